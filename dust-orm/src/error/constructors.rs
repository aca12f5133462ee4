//! Constructors, for this crate and for transports and caches outside of it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, DustErr};

impl DustErr {
    /// [`Network`](DustErr::Network): the server was not reached, and nothing was applied.
    ///
    /// ```
    /// use std::error::Error;
    /// use std::io;
    /// use dust_orm::DustErr;
    ///
    /// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    /// let error = DustErr::network(format!("get of `links/dust`: {refused}")).with_source(refused);
    /// assert_eq!(error.to_string(), "the Dust server was not reached: get of `links/dust`: connection refused");
    /// assert!(error.source().is_some_and(|cause| cause.is::<io::Error>()));
    /// ```
    pub fn network(message: impl Into<String>) -> DustErr {
        DustErr::Network { message: message.into(), source: None }
    }

    /// [`Http`](DustErr::Http): an answer outside the protocol.
    pub fn http(status: u16, message: impl Into<String>) -> DustErr {
        DustErr::Http { status, message: message.into(), source: None }
    }

    /// [`Conflict`](DustErr::Conflict): the guarded leaf or record at `path` now has the revision `current`, `None` if
    /// it was deleted.
    pub fn conflict(path: impl Into<String>, current: Option<u64>) -> DustErr {
        DustErr::Conflict { path: path.into(), current, op_index: None }
    }

    /// [`Exists`](DustErr::Exists): there is already a leaf or record at `path`, of the revision `current`.
    pub fn exists(path: impl Into<String>, current: Option<u64>) -> DustErr {
        DustErr::Exists { path: path.into(), current }
    }

    /// [`NotSupported`](DustErr::NotSupported): `transport` cannot do `operation`; `hint` names the way out.
    pub(crate) fn not_supported(
        operation: impl Into<String>,
        transport: &'static str,
        hint: impl Into<String>,
    ) -> DustErr {
        DustErr::NotSupported { operation: operation.into(), transport, hint: hint.into() }
    }

    /// [`NotImplemented`](DustErr::NotImplemented): the server lacks the route of `operation`.
    pub fn not_implemented(operation: impl Into<String>) -> DustErr {
        DustErr::NotImplemented { operation: operation.into() }
    }

    /// [`Timeout`](DustErr::Timeout): no clear response to `operation`, which may have been applied.
    pub fn timeout(operation: impl Into<String>) -> DustErr {
        DustErr::Timeout { operation: operation.into(), source: None }
    }

    /// [`Unauthorized`](DustErr::Unauthorized): the token was refused, or lacks `scope`.
    pub fn unauthorized(message: impl Into<String>, scope: Option<String>) -> DustErr {
        DustErr::Unauthorized { scope, message: message.into() }
    }

    /// [`InvalidParams`](DustErr::InvalidParams): the request itself is wrong; `message` says which part, and the way
    /// out.
    pub fn invalid_params(message: impl Into<String>) -> DustErr {
        DustErr::InvalidParams { message: message.into(), source: None }
    }

    /// [`RateLimited`](DustErr::RateLimited): `limit` is reached, and holds for `retry_after`.
    pub fn rate_limited(retry_after: Duration, limit: impl Into<String>) -> DustErr {
        DustErr::RateLimited { retry_after, limit: limit.into() }
    }

    /// [`NotFound`](DustErr::NotFound): there is no such record, store or file.
    pub fn not_found(what: impl Into<String>) -> DustErr {
        DustErr::NotFound { what: what.into() }
    }

    /// [`Fenced`](DustErr::Fenced): the lease at `key` is not held with the fence's token.
    pub fn fenced(key: impl Into<String>) -> DustErr {
        DustErr::Fenced { key: key.into() }
    }

    /// [`LeaseHeld`](DustErr::LeaseHeld): another holder has the lease at `key`.
    pub fn lease_held(key: impl Into<String>) -> DustErr {
        DustErr::LeaseHeld { key: key.into() }
    }

    /// [`LeaseLost`](DustErr::LeaseLost): the lease at `key` is not held with this token.
    pub fn lease_lost(key: impl Into<String>) -> DustErr {
        DustErr::LeaseLost { key: key.into() }
    }

    /// [`NotALease`](DustErr::NotALease): the value at `key` is not a lease.
    pub fn not_a_lease(key: impl Into<String>) -> DustErr {
        DustErr::NotALease { key: key.into() }
    }

    /// [`TooLarge`](DustErr::TooLarge): `what` is more than is taken into memory.
    pub fn too_large(what: impl Into<String>) -> DustErr {
        DustErr::TooLarge { what: what.into() }
    }

    /// [`Storage`](DustErr::Storage): the file of a store or of a cache failed.
    pub fn storage(message: impl Into<String>) -> DustErr {
        DustErr::Storage { message: message.into(), source: None }
    }

    /// Sets the position of the op in its batch, counted from 0, of a [`Conflict`](DustErr::Conflict); other errors
    /// stay as they are.
    ///
    /// ```
    /// # use dust_orm::DustErr;
    /// let error = DustErr::conflict("links/dust/title", Some(7)).at_op(2);
    /// assert!(matches!(error, DustErr::Conflict { op_index: Some(2), .. }));
    /// ```
    pub fn at_op(mut self, index: usize) -> DustErr {
        if let DustErr::Conflict { op_index, .. } = &mut self {
            *op_index = Some(index);
        }
        self
    }

    /// Sets the cause of a `Network`, `Http`, `Timeout`, `InvalidParams` or `Storage` error; other errors stay as they
    /// are.
    pub fn with_source(self, cause: impl Error + Send + Sync + 'static) -> DustErr {
        self.with_cause(Some(Arc::new(cause)))
    }

    /// The same with a cause that is shared already.
    pub(crate) fn with_cause(mut self, cause: Option<Cause>) -> DustErr {
        if let DustErr::Network { source, .. }
        | DustErr::Http { source, .. }
        | DustErr::Timeout { source, .. }
        | DustErr::InvalidParams { source, .. }
        | DustErr::Storage { source, .. } = &mut self
        {
            *source = cause;
        }
        self
    }
}
