//! Errors of the layers below, as [`DustErr`].

use dust_protocol::channel::RequestError;
use dust_protocol::list::EndlessList;
use dust_protocol::pattern::UnnameablePath;
use dust_protocol::read::ListError;
use dust_protocol::{PathError, PatternError, ValueError};
#[cfg(feature = "embedded")]
use dust_store::{StoreError, StoreErrorKind};

use super::DustErr;

macro_rules! from_invalid_params {
    ($($error:ty),*) => {$(
        impl From<$error> for DustErr {
            fn from(error: $error) -> DustErr {
                DustErr::invalid_params(error.to_string()).with_source(error)
            }
        }
    )*};
}

from_invalid_params!(PathError, PatternError, UnnameablePath, ListError, ValueError);

impl From<EndlessList> for DustErr {
    fn from(error: EndlessList) -> DustErr {
        DustErr::http(200, error.to_string()).with_source(error)
    }
}

impl From<RequestError> for DustErr {
    fn from(error: RequestError) -> DustErr {
        let unsupported = |operation, hint| DustErr::not_supported(operation, "realtime", hint);
        match error {
            RequestError::FileReference => unsupported("put_file of a reference", "send the file itself"),
            RequestError::IfSubtreeAbsent => {
                unsupported("a write on condition that nothing is below a path", "use if_absent for a leaf")
            }
            other => DustErr::invalid_params(other.to_string()).with_source(other),
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
            StoreErrorKind::Held => DustErr::LeaseHeld { key: path() },
            StoreErrorKind::NotHeld => DustErr::LeaseLost { key: path() },
            StoreErrorKind::Occupied => DustErr::NotALease { key: path() },
            StoreErrorKind::Storage(message) => DustErr::storage(&**message).with_source(error),
            StoreErrorKind::Locked { .. }
            | StoreErrorKind::NotAStore { .. }
            | StoreErrorKind::Damaged { .. }
            | StoreErrorKind::NewerFormat { .. } => DustErr::storage(error.to_string()).with_source(error),
            _ => DustErr::invalid_params(error.to_string()).with_source(error),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use std::error::Error as _;

    use dust_protocol::{Fence, Op, Path, Precondition, RawJson};
    use dust_store::{Origin, Store};

    use super::*;
    use crate::error::ErrKind;

    fn set(value: &str) -> Op {
        Op::set(Path::parse("leaf").unwrap(), RawJson::parse(value).unwrap())
    }

    fn write(store: &Store, op: Op, fence: Option<Fence>) -> Result<(), DustErr> {
        Ok(store.write(op, fence, &Origin::new("device", "op")).map(drop)?)
    }

    #[test]
    fn refusal_of_the_store_is_an_error_of_its_kind() {
        let store = Store::in_memory().unwrap();
        write(&store, set("1"), None).unwrap();
        let conflict = write(&store, set("1").on(Precondition::IfMatch(9)), None).unwrap_err();
        let DustErr::Conflict { path, current, op_index } = &conflict else { panic!("{conflict:?}") };
        assert_eq!((path.as_str(), *current, *op_index), ("leaf", Some(1), None));
        let exists = write(&store, set("1").on(Precondition::IfLeafAbsent), None).unwrap_err();
        assert_eq!(exists.kind(), ErrKind::Exists);
        let fence = Fence { key: Path::parse("lock").unwrap(), token: 7 };
        let fenced = write(&store, set("1"), Some(fence)).unwrap_err();
        assert!(matches!(fenced, DustErr::Fenced { key } if key == "lock"));
        let invalid = write(&store, set(r#"{"_type":"datetime","_typed":"nope"}"#), None).unwrap_err();
        assert_eq!(invalid.kind(), ErrKind::InvalidParams);
        assert!(invalid.source().unwrap().is::<StoreError>(), "{invalid:?}");
    }

    #[test]
    fn file_that_is_open_already_is_an_error_of_the_storage() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dev.redb");
        let _store = Store::open(&file).unwrap();
        let error = DustErr::from(Store::open(&file).unwrap_err());
        assert_eq!(error.kind(), ErrKind::Storage);
        assert!(error.source().unwrap().is::<StoreError>(), "{error:?}");
    }
}
