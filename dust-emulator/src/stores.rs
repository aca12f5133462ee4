//! The stores of an emulator, in memory or in a directory, and the files they refer to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dust_orm::store::{Clock, Store};
use sha2::{Digest, Sha256};

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
    /// Waits for whoever is pushing an op to sockets.
    pub(crate) fn push_in_order(&self) -> MutexGuard<'_, ()> {
        // It guards an order and no data.
        self.pushing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.name)
    }
}

/// A store and what the API tells of it.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) name: StoreName,
    pub(crate) id: String,
    pub(crate) since_ms: i64,
    pub(crate) store: Store,
    /// Held by whoever writes on a WebSocket until the op is pushed: ops are pushed in their order.
    pub(crate) pushing: Arc<Mutex<()>>,
}

/// All stores, by name.
pub(crate) struct Stores {
    data: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<StoreName, Held>>,
    files: Mutex<HashMap<String, Bytes>>,
}

const EXTENSION: &str = "redb";

impl Stores {
    /// No stores in memory, or those in a directory, which is created if it is not there.
    pub(crate) fn open(data: Option<PathBuf>, clock: Arc<dyn Clock>) -> Result<Stores, EmulatorError> {
        let stores = Stores { data, clock, held: Mutex::default(), files: Mutex::default() };
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

    /// Keeps the bytes of a file and answers the hash they are asked for by: `sha256:` and hexadecimal digits.
    pub(crate) fn keep_file(&self, content: Bytes) -> Result<String, EmulatorError> {
        let digest = Sha256::digest(&content);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(directory) = self.file_directory() {
            create_directory(&directory)?;
            let file = directory.join(&hex);
            std::fs::write(&file, &content).map_err(|error| EmulatorError::file(&file, error))?;
        }
        let hash = format!("sha256:{hex}");
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.clone(), content);
        Ok(hash)
    }

    /// The bytes of a file.
    pub(crate) fn file(&self, hash: &str) -> Option<Bytes> {
        if let Some(content) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(hash) {
            return Some(content.clone());
        }
        let hex = hash.strip_prefix("sha256:")?;
        // Nothing else may be read from the disk by its name.
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        std::fs::read(self.file_directory()?.join(hex)).ok().map(Bytes::from)
    }

    fn file_directory(&self) -> Option<PathBuf> {
        // No organisation is called so: its name would begin with a letter or a digit.
        self.data.as_ref().map(|data| data.join("_files"))
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
        // A store is put in whole or not at all.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in a directory; nothing for anything else.
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
    fn store_names() {
        for name in ["acme/main", "a/0", "a-b/x.y_z-1", "0/a"] {
            assert_eq!(StoreName::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "acme", "acme/", "/main", "Acme/main", "acme/Main", "a/b/c", "../x", "a/..", "a_b/c", "-a/b"] {
            assert!(StoreName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn only_files_are_read_by_their_hash() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "no").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(dust_orm::store::ManualClock::new(0));
        let open = || Stores::open(Some(directory.path().to_owned()), Arc::clone(&clock)).unwrap();
        let hash = open().keep_file(Bytes::from_static(b"hello")).unwrap();
        assert_eq!(hash, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(open().file(&hash).unwrap(), "hello");
        for hash in ["sha256:../secret", "secret", "sha256:", "sha256:0000"] {
            assert_eq!(open().file(hash), None);
        }
    }
}
