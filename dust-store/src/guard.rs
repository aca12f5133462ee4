//! What becomes of a store whose file something else has changed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Inner;
use super::error::{StoreError, StoreErrorKind};
use super::tables::View;

impl Inner {
    /// Makes a call of redb. It takes the structure of its pages on trust, and panics where that does not hold: this call and
    /// all later ones are then an error, as nothing is known of what is behind the pages that were read.
    pub(super) fn guarded<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Nothing else can have changed the memory.
        if !self.storage.is_persistent() {
            return call();
        }
        if let Some(error) = self.damage.get() {
            return Err(error.clone());
        }
        // What the panic leaves half done is not looked at any more.
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|panic| Err(self.damage.get_or_init(|| given_up(&self.file, &*panic)).clone()))
    }

    /// Reads from the last commit. Where the disk has failed, the database is opened again, and the read is made once
    /// more.
    pub(super) fn read<T>(&self, call: impl Fn(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let read = || call(&*self.storage.view()?);
        self.guarded(|| match read() {
            Err(error) if self.storage.is_persistent() && matches!(error.kind(), StoreErrorKind::Storage(_)) => {
                self.heal()?;
                read()
            }
            done => done,
        })
    }

    /// Opens the database again if redb refuses to go on, as it does after the disk has failed once.
    fn heal(&self) -> Result<(), StoreError> {
        let _writer = self.writer();
        // The transaction ends here, without a change.
        self.begin_write().map(drop)
    }
}

/// The error for a file over which redb has panicked.
pub(super) fn given_up(file: &str, panic: &(dyn Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    StoreErrorKind::Damaged { file: file.to_owned(), reason: format!("redb gives up: {text}") }.into()
}
