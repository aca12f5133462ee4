use super::DustErr;

/// The kind of a [`DustErr`]: cheap to copy and compare. [`DustErr`] has the table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is described on DustErr")]
pub enum ErrKind {
    Network,
    Http,
    Conflict,
    Exists,
    NotSupported,
    NotImplemented,
    NothingToWrite,
    Timeout,
    Unauthorized,
    InvalidParams,
    RateLimited,
    NotFound,
    Invalid,
    Decode,
    Fenced,
    LeaseHeld,
    LeaseLost,
    NotALease,
    PartiallyWritten,
    ChecksumMismatch,
    TooLarge,
    Database,
    Storage,
    Json,
}

impl DustErr {
    /// The kind of the error.
    pub fn kind(&self) -> ErrKind {
        match self {
            DustErr::Network { .. } => ErrKind::Network,
            DustErr::Http { .. } => ErrKind::Http,
            DustErr::Conflict { .. } => ErrKind::Conflict,
            DustErr::Exists { .. } => ErrKind::Exists,
            DustErr::NotSupported { .. } => ErrKind::NotSupported,
            DustErr::NotImplemented { .. } => ErrKind::NotImplemented,
            DustErr::NothingToWrite { .. } => ErrKind::NothingToWrite,
            DustErr::Timeout { .. } => ErrKind::Timeout,
            DustErr::Unauthorized { .. } => ErrKind::Unauthorized,
            DustErr::InvalidParams { .. } => ErrKind::InvalidParams,
            DustErr::RateLimited { .. } => ErrKind::RateLimited,
            DustErr::NotFound { .. } => ErrKind::NotFound,
            DustErr::Invalid { .. } => ErrKind::Invalid,
            DustErr::Decode { .. } => ErrKind::Decode,
            DustErr::Fenced { .. } => ErrKind::Fenced,
            DustErr::LeaseHeld { .. } => ErrKind::LeaseHeld,
            DustErr::LeaseLost { .. } => ErrKind::LeaseLost,
            DustErr::NotALease { .. } => ErrKind::NotALease,
            DustErr::PartiallyWritten { .. } => ErrKind::PartiallyWritten,
            DustErr::ChecksumMismatch { .. } => ErrKind::ChecksumMismatch,
            DustErr::TooLarge { .. } => ErrKind::TooLarge,
            DustErr::Database { .. } => ErrKind::Database,
            DustErr::Storage { .. } => ErrKind::Storage,
            DustErr::Json { .. } => ErrKind::Json,
        }
    }
}
