//! The stores that are tested.

use std::sync::Arc;

use async_trait::async_trait;
use dust_orm::Transport;
use dust_orm::transport::EmbeddedTransport;
use dust_store::Store;

/// A kind of store that tests can be run against.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The first part of the tests' names.
    fn name(&self) -> &'static str;

    /// A transport to a store, and what must live as long as the test. The store may be shared with other tests, those
    /// of the same module or all: each keeps to paths below a random one.
    async fn connect(&self, module: &str) -> (Arc<dyn Transport>, Box<dyn Send>);
}

/// A random number, unique to the test run: std's hasher has a random seed.
pub(crate) fn unique() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// The embedded store in memory.
pub struct EmbeddedMemory;

/// The embedded store in a file.
pub struct EmbeddedFile;

#[async_trait]
impl Backend for EmbeddedMemory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        (Arc::new(EmbeddedTransport::new(Store::in_memory().unwrap())), Box::new(()))
    }
}

#[async_trait]
impl Backend for EmbeddedFile {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store.redb")).unwrap();
        (Arc::new(EmbeddedTransport::new(store)), Box::new(directory))
    }
}
