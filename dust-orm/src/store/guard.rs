//! What becomes of a store whose file something else has changed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Store;
use super::error::{StoreError, StoreErrorKind};

impl Store {
    /// Makes a call of redb. It takes the structure of its pages on trust, and panics where that does not hold: this call and
    /// all later ones are then an error, as nobody knows what is behind the pages that were read.
    pub(super) fn guarded<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Nothing else can have changed the memory.
        if !self.inner.persistent {
            return call();
        }
        if let Some(error) = self.inner.damage.get() {
            return Err(error.clone());
        }
        // What the panic leaves half done is not looked at any more.
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|panic| Err(self.inner.damage.get_or_init(|| given_up(&self.inner.file, &*panic)).clone()))
    }
}

/// The error for a file over which redb has panicked.
pub(super) fn given_up(file: &str, panic: &(dyn Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    StoreErrorKind::Damaged { file: file.to_owned(), reason: format!("redb gives up: {text}") }.into()
}
