//! The stores of an emulator, in memory or in a directory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dust_store::{Clock, Store, StoreError};

use crate::error::EmulatorError;
use crate::ids;

/// The name of a store: `org/name`, both of lower-case letters, digits and `-`, the second with `.` and `_` too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StoreName {
    org: String,
    name: String,
}

impl StoreName {
    pub(crate) fn parse(full: &str) -> Result<StoreName, EmulatorError> {
        let fits = |text: &str, also: &str| {
            let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            text.starts_with(inside) && text.chars().all(|c| inside(c) || c == '-' || also.contains(c))
        };
        match full.split_once('/') {
            Some((org, name)) if fits(org, "") && fits(name, "._") => {
                Ok(StoreName { org: org.to_owned(), name: name.to_owned() })
            }
            _ => Err(EmulatorError::StoreName(full.to_owned())),
        }
    }

    pub(crate) fn org(&self) -> &str {
        &self.org
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for StoreName {
    type Err = EmulatorError;

    fn from_str(full: &str) -> Result<StoreName, EmulatorError> {
        StoreName::parse(full)
    }
}

impl Held {
    /// Waits until no op is being pushed to sockets.
    pub(crate) fn push_in_order(&self) -> MutexGuard<'_, ()> {
        // The lock guards an order and no data.
        self.pushing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.name)
    }
}

/// A store and its data in the API.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) name: StoreName,
    pub(crate) id: String,
    pub(crate) since_ms: i64,
    pub(crate) store: Store,
    /// Held by a write on a WebSocket until its op is pushed, so that ops are pushed in their order.
    pub(crate) pushing: Arc<Mutex<()>>,
}

/// All stores, by name.
pub(crate) struct Stores {
    data: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<StoreName, Held>>,
}

const EXTENSION: &str = "redb";

impl Stores {
    /// Makes an empty set of stores in memory, or opens those in a directory, which is created if it is missing.
    pub(crate) fn open(data: Option<PathBuf>, clock: Arc<dyn Clock>) -> Result<Stores, EmulatorError> {
        let stores = Stores { data, clock, held: Mutex::default() };
        for name in stores.on_disk()? {
            stores.open_or_create(&name)?;
        }
        Ok(stores)
    }

    pub(crate) fn persistent(&self) -> bool {
        self.data.is_some()
    }

    pub(crate) fn get(&self, org: &str, name: &str) -> Option<Held> {
        let name = StoreName { org: org.to_owned(), name: name.to_owned() };
        self.lock().get(&name).cloned()
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Held> {
        self.lock().values().find(|held| held.id == id).cloned()
    }

    /// The stores, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Held> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn open_or_create(&self, name: &StoreName) -> Result<Held, EmulatorError> {
        let mut held = self.lock();
        if let Some(found) = held.get(name) {
            return Ok(found.clone());
        }
        let builder = Store::builder().clock(Arc::clone(&self.clock));
        let store = match &self.data {
            None => builder.in_memory()?,
            Some(data) => {
                let directory = data.join(name.org());
                create_directory(&directory)?;
                builder.open(directory.join(format!("{}.{EXTENSION}", name.name())))?
            }
        };
        let opened = Held {
            name: name.clone(),
            id: ids::uuid(),
            since_ms: self.clock.wall_ms(),
            store,
            pushing: Arc::default(),
        };
        held.insert(name.clone(), opened.clone());
        Ok(opened)
    }

    /// Replaces a store by its state as of an op. Returns false if that is unknown.
    pub(crate) fn restore(&self, name: &StoreName, seq: u64) -> Result<bool, EmulatorError> {
        let mut held = self.lock();
        let Some(present) = held.get_mut(name) else { return Ok(false) };
        let Some(before) = present.store.copy_as_of(seq)? else { return Ok(false) };
        present.store = before;
        Ok(true)
    }

    /// The bytes of a file of any store: a server keeps the files of all stores together.
    pub(crate) fn file_content(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        for held in self.all() {
            if let Some(content) = held.store.file_content(hash)? {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    fn on_disk(&self) -> Result<Vec<StoreName>, EmulatorError> {
        let Some(data) = &self.data else { return Ok(Vec::new()) };
        create_directory(data)?;
        let mut names = Vec::new();
        for org in entries(data)? {
            for file in entries(&org)? {
                let stem = file.file_stem().and_then(|stem| stem.to_str());
                let is_store = file.extension().is_some_and(|extension| extension == EXTENSION);
                if let (true, Some(name), Some(org)) = (is_store, stem, org.file_name().and_then(|org| org.to_str()))
                    && let Ok(name) = StoreName::parse(&format!("{org}/{name}"))
                {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StoreName, Held>> {
        // A store is inserted in one step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries of a directory; empty for any other path.
fn entries(directory: &FilePath) -> Result<Vec<PathBuf>, EmulatorError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| EmulatorError::file(directory, error);
    std::fs::read_dir(directory).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn create_directory(directory: &FilePath) -> Result<(), EmulatorError> {
    std::fs::create_dir_all(directory).map_err(|error| EmulatorError::file(directory, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_name_is_checked() {
        for name in ["acme/main", "a/0", "a-b/x.y_z-1", "0/a"] {
            assert_eq!(StoreName::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "acme", "acme/", "/main", "Acme/main", "acme/Main", "a/b/c", "../x", "a/..", "a_b/c", "-a/b"] {
            assert!(StoreName::parse(name).is_err(), "{name}");
        }
    }
}
