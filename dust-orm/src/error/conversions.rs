//! Errors of the layers below, as [`DustErr`].

use super::DustErr;
use crate::protocol::channel::RequestError;
use crate::protocol::glob::UnnameablePath;
use crate::protocol::list::EndlessList;
use crate::protocol::read::ListError;
use crate::protocol::{GlobError, PathError, ValueError};
#[cfg(feature = "embedded")]
use crate::store::{StoreError, StoreErrorKind};

impl From<PathError> for DustErr {
    fn from(error: PathError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}

impl From<GlobError> for DustErr {
    fn from(error: GlobError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}

impl From<UnnameablePath> for DustErr {
    fn from(error: UnnameablePath) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}

impl From<ListError> for DustErr {
    fn from(error: ListError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}

impl From<ValueError> for DustErr {
    fn from(error: ValueError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}

impl From<EndlessList> for DustErr {
    fn from(error: EndlessList) -> DustErr {
        DustErr::Http { status: 200, message: error.to_string() }
    }
}

impl From<RequestError> for DustErr {
    fn from(error: RequestError) -> DustErr {
        let unsupported = |operation: &str, hint: &str| DustErr::NotSupported {
            operation: operation.to_owned(),
            transport: "realtime",
            hint: hint.to_owned(),
        };
        match error {
            RequestError::FileReference => unsupported("put_file of a reference", "send the file itself"),
            RequestError::IfVacant => {
                unsupported("a write on condition that nothing is below a path", "use if_absent for a leaf")
            }
            other => DustErr::InvalidParams(other.to_string()),
        }
    }
}

#[cfg(feature = "embedded")]
impl From<StoreError> for DustErr {
    fn from(error: StoreError) -> DustErr {
        let path = || error.path().map(ToString::to_string).unwrap_or_default();
        match error.kind() {
            StoreErrorKind::Conflict { current_revision } => {
                DustErr::Conflict { path: path(), current: *current_revision, op_index: error.op_index() }
            }
            StoreErrorKind::Exists { current_revision } => DustErr::Exists { path: path(), current: *current_revision },
            StoreErrorKind::Fenced { key } => DustErr::Fenced { key: key.to_string() },
            StoreErrorKind::Held => DustErr::Held { key: path() },
            StoreErrorKind::NotHeld => DustErr::NotHeld { key: path() },
            StoreErrorKind::Occupied => DustErr::Occupied { key: path() },
            StoreErrorKind::Storage(message) => DustErr::Storage(message.clone()),
            StoreErrorKind::Locked { .. }
            | StoreErrorKind::NotAStore { .. }
            | StoreErrorKind::Damaged { .. }
            | StoreErrorKind::NewerFormat { .. } => DustErr::Storage(error.to_string().into()),
            _ => DustErr::InvalidParams(error.to_string()),
        }
    }
}
