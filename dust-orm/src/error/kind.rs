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
    Held,
    NotHeld,
    Occupied,
    Partial,
    Damaged,
    TooLarge,
    Database,
    Storage,
    Json,
}

impl DustErr {
    /// Which kind of error this is.
    pub fn kind(&self) -> ErrKind {
        match self {
            DustErr::Network(_) => ErrKind::Network,
            DustErr::Http { .. } => ErrKind::Http,
            DustErr::Conflict { .. } => ErrKind::Conflict,
            DustErr::Exists { .. } => ErrKind::Exists,
            DustErr::NotSupported { .. } => ErrKind::NotSupported,
            DustErr::NotImplemented { .. } => ErrKind::NotImplemented,
            DustErr::NothingToWrite { .. } => ErrKind::NothingToWrite,
            DustErr::Timeout { .. } => ErrKind::Timeout,
            DustErr::Unauthorized { .. } => ErrKind::Unauthorized,
            DustErr::InvalidParams(_) => ErrKind::InvalidParams,
            DustErr::RateLimited { .. } => ErrKind::RateLimited,
            DustErr::NotFound { .. } => ErrKind::NotFound,
            DustErr::Invalid(_) => ErrKind::Invalid,
            DustErr::Decode(_) => ErrKind::Decode,
            DustErr::Fenced { .. } => ErrKind::Fenced,
            DustErr::Held { .. } => ErrKind::Held,
            DustErr::NotHeld { .. } => ErrKind::NotHeld,
            DustErr::Occupied { .. } => ErrKind::Occupied,
            DustErr::Partial { .. } => ErrKind::Partial,
            DustErr::Damaged { .. } => ErrKind::Damaged,
            DustErr::TooLarge { .. } => ErrKind::TooLarge,
            DustErr::Database(_) => ErrKind::Database,
            DustErr::Storage(_) => ErrKind::Storage,
            DustErr::Json(_) => ErrKind::Json,
        }
    }
}
