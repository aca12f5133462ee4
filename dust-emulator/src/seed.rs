//! Seeds: the content of stores before the first request.

use std::path::PathBuf;

use dust_store::Store;

use crate::error::EmulatorError;
use crate::import;

/// The content of a store at the start.
#[derive(Clone)]
pub(crate) struct Seed {
    pub(crate) store: String,
    pub(crate) from: SeedFrom,
}

#[derive(Clone)]
pub(crate) enum SeedFrom {
    Text(String),
    File(PathBuf),
}

impl Seed {
    /// Fills the store if it is empty. Returns true if it was.
    pub(crate) fn sow(&self, store: &Store) -> Result<bool, EmulatorError> {
        if store.current_seq() > 0 {
            tracing::warn!(target: "dust_emulator", store = self.store, "a seed was skipped: the store is not empty");
            return Ok(false);
        }
        match &self.from {
            SeedFrom::Text(text) => import::import(store, text)?,
            SeedFrom::File(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| EmulatorError::file(file, error))?;
                import::import(store, &text).map_err(|error| error.in_file(file))?
            }
        };
        Ok(true)
    }
}
