//! The state that all requests share.

use std::sync::Arc;

use axum::Router;
use dust_orm::realtime::StoreState;
use dust_orm::{Broadcast, DustErr, DustRepo, Revision, Versioned};
use serde_json::Value;
use tokio::sync::watch;

use crate::dust::Dust;
use crate::{api, events, html, link, pages};

/// The site: cheap to clone, and the state of every handler.
#[derive(Clone)]
pub struct Site {
    pub(crate) repo: DustRepo,
    /// The one subscription, of which every open browser has a receiver.
    pub(crate) links: Broadcast<link::Entity>,
    /// The state of the connection to Dust.
    pub(crate) state: watch::Receiver<StoreState>,
    closing: Arc<watch::Sender<bool>>,
}

impl Site {
    pub async fn new(dust: &Dust) -> Result<Site, DustErr> {
        let repo = dust.repo()?;
        let links = repo.broadcast().await?;
        Ok(Site { repo, links, state: dust.state()?, closing: Arc::new(watch::Sender::new(false)) })
    }

    pub fn router(&self) -> Router {
        let site = Router::new().merge(pages::routes()).merge(api::routes()).merge(events::routes());
        site.merge(html::assets()).with_state(self.clone())
    }

    /// Ends the streams of events. They have no end of their own, so that a graceful shutdown would wait forever.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the site is closed, for a graceful shutdown.
    pub async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // `self` holds the sender, so that waiting cannot fail.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    pub(crate) async fn add(&self, params: &Value) -> Result<link::Model, DustErr> {
        match self.repo.insert(link::create(params)).if_absent().await {
            Err(DustErr::Exists { .. }) => Err(link::taken().into()),
            other => other,
        }
    }

    /// Saves changes. If the parameters have the `revision` that the form had, a change of the same fields by others
    /// since is a [`Conflict`](DustErr::Conflict). With the value of an `If-Match` header, any change is one.
    pub(crate) async fn save(
        &self,
        slug: &str,
        params: &Value,
        if_match: Option<&str>,
    ) -> Result<Versioned<link::Model>, DustErr> {
        let seen = self.repo.get_versioned::<link::Entity>(slug).await?;
        if if_match.is_some_and(|if_match| !seen.revision.matches(if_match)) {
            return Err(DustErr::conflict(slug, Some(seen.revision.number())));
        }
        let revision: Revision = match params.get("revision").and_then(Value::as_str) {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                DustErr::invalid_params(format!("`revision` is not a revision of this site: {error}"))
                    .with_source(error)
            })?,
            None => seen.revision,
        };
        self.repo.update(link::edit(seen.model, params)).if_match(revision).versioned().await
    }

    pub(crate) async fn remove(&self, slug: &str) -> Result<(), DustErr> {
        self.repo.delete_by_id::<link::Entity>(slug).await.map(drop)
    }
}
