//! Constructors of a repo on an embedded store or on a transport.

use std::sync::Arc;

#[cfg(feature = "embedded")]
use dust_store::Store;

use super::{DustRepo, TransportSource};
#[cfg(feature = "embedded")]
use crate::error::DustErr;
#[cfg(feature = "embedded")]
use crate::transport::EmbeddedTransport;
use crate::transport::Transport;

impl DustRepo {
    /// Makes a repo on a new, empty store in the memory of this process, for tests and examples.
    ///
    /// ```
    /// use dust_orm::DustRepo;
    ///
    /// let repo = DustRepo::embedded();
    /// assert_eq!(repo.transport().name(), "embedded");
    /// ```
    #[cfg(feature = "embedded")]
    #[expect(clippy::expect_used, reason = "an empty store in memory does no I/O that could fail")]
    pub fn embedded() -> DustRepo {
        DustRepo::with_store(Store::in_memory().expect("a store in memory can be made"))
    }

    /// Makes a repo on a store in one file, which is created if it does not exist. One process at a time can open it.
    ///
    /// # Errors
    /// [`Storage`](DustErr::Storage) if the file cannot be opened, or another process has opened it.
    ///
    /// ```
    /// # fn main() -> Result<(), dust_orm::DustErr> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("dev.redb");
    /// let repo = dust_orm::DustRepo::open(path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "embedded")]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<DustRepo, DustErr> {
        Ok(DustRepo::with_store(Store::open(path.as_ref())?))
    }

    /// Makes a repo on an embedded store that the caller has built, for example to share it or to set its clock.
    ///
    /// ```
    /// use dust_orm::{DustRepo, store::Store};
    ///
    /// let store = Store::in_memory()?;
    /// let repo = DustRepo::with_store(store.clone());
    /// assert_eq!(store.current_seq(), 0);
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    #[cfg(feature = "embedded")]
    pub fn with_store(store: Store) -> DustRepo {
        DustRepo::with_transport(Arc::new(EmbeddedTransport::new(store)))
    }

    /// Makes a repo on any transport.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dust_orm::{DustRepo, store::Store, transport::EmbeddedTransport};
    ///
    /// let transport = EmbeddedTransport::new(Store::in_memory()?);
    /// let repo = DustRepo::with_transport(Arc::new(transport));
    /// assert_eq!(repo.transport().name(), "embedded");
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn with_transport(transport: Arc<dyn Transport>) -> DustRepo {
        DustRepo::from_source(TransportSource::Given(transport))
    }
}
