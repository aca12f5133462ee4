//! Opening a repo on a Dust server.

use std::sync::Arc;

use super::DustRepo;
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::transport::HttpTransport;

impl DustRepo {
    /// A repo on the store that the environment names: `DUST_STORE` (`org/name`), `DUST_TOKEN` and, unless it is
    /// `https://dustlayer.io`, `DUST_BASE_URL`.
    ///
    /// Nothing is sent yet. A variable that is missing or malformed is an
    /// [`InvalidParams`](DustErr::InvalidParams) that names it and shows an example.
    ///
    /// ```no_run
    /// let repo = dust_orm::DustRepo::from_env()?;
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn from_env() -> Result<DustRepo, DustErr> {
        DustRepo::connect(DustConfig::from_env()?)
    }

    /// A repo on a Dust server, by a configuration of one's own. Nothing is sent yet.
    ///
    /// ```
    /// use dust_orm::{DustConfig, DustRepo};
    ///
    /// let config = DustConfig::builder().store("acme/reading").token("t").base_url("http://127.0.0.1:7755").build()?;
    /// let repo = DustRepo::connect(config)?;
    /// assert_eq!(repo.transport().name(), "http");
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn connect(config: DustConfig) -> Result<DustRepo, DustErr> {
        Ok(DustRepo::with_transport(Arc::new(HttpTransport::new(config)?)))
    }
}
