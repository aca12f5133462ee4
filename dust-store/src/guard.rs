//! Protection against a file that another program has changed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Inner;
use super::error::{StoreError, StoreErrorKind};
use super::tables::View;

impl Inner {
    /// Calls redb and turns a panic into an error. redb does not check the structure of its pages and panics if it is
    /// wrong. After such a panic every later call is an error too, as no other page can be trusted.
    pub(super) fn guarded<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Only this process can change the memory.
        if !self.storage.is_persistent() {
            return call();
        }
        if let Some(error) = self.damage.get() {
            return Err(error.clone());
        }
        // State that the panic leaves inconsistent is not used again.
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|panic| Err(self.damage.get_or_init(|| given_up(&self.file, &*panic)).clone()))
    }

    /// Reads from the last commit. After a failure of the disk, opens the database again and repeats the read.
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

    /// Opens the database again if redb refuses all calls, as it does after a failure of the disk.
    fn heal(&self) -> Result<(), StoreError> {
        let _writer = self.writer();
        // The transaction is dropped here without a change.
        self.begin_write().map(drop)
    }
}

/// The error for a file that made redb panic.
pub(super) fn given_up(file: &str, panic: &(dyn Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    StoreErrorKind::Damaged { file: file.to_owned(), reason: format!("redb gives up: {text}") }.into()
}
