//! `GET /events`: what every open browser hears.
//!
//! An event has the `store_seq` of its commit as its id. A browser that was cut off sends the last one it has seen, in
//! `Last-Event-ID`; a page that was just loaded says in `?after=` as of which op its list is. Where nothing has happened
//! since, nothing is sent. Otherwise the list is, once, and then what changes. As `store_seq` is the store's own count, this holds
//! across restarts of the site, and whichever of its processes the browser comes back to.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use axum::routing::get;
use dust_orm::Event;
use dust_orm::repo::Subscription;
use dust_orm::sync::session::StoreState;
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::watch;

use crate::html;
use crate::link;
use crate::site::Site;

/// How long a browser that was cut off waits before it comes back.
const COME_BACK: Duration = Duration::from_millis(500);

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/events", get(events))
}

#[derive(Deserialize)]
struct Since {
    after: Option<u64>,
}

async fn events(
    State(site): State<Site>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let changes = site.links.receiver();
    let is_behind = last_event_id.or(since.after) != Some(changes.store_seq());
    let mut state = site.state.clone();
    state.mark_changed();
    let browser = Browser { site, changes, state, is_behind };
    let messages = stream::unfold(browser, async |mut browser| {
        let message = browser.next().await?;
        Some((Ok(message.retry(COME_BACK)), browser))
    });
    Sse::new(messages).keep_alive(KeepAlive::default())
}

/// One open browser.
struct Browser {
    site: Site,
    changes: Subscription<link::Entity>,
    state: watch::Receiver<StoreState>,
    is_behind: bool,
}

impl Browser {
    /// What to tell it next; `None` ends the stream, and a browser then comes back.
    async fn next(&mut self) -> Option<Message> {
        if std::mem::take(&mut self.is_behind) {
            return self.list().await;
        }
        let event = tokio::select! {
            () = self.site.closed() => return None,
            Ok(()) = self.state.changed() => None,
            event = self.changes.next() => Some(event?),
        };
        match event {
            None => {
                let is_live = self.state.borrow_and_update().is_live();
                Some(Message::default().event("dust").data(if is_live { "live" } else { "away" }))
            }
            Some(Event::Upserted(link)) => Some(self.message("upserted").data(html::item(&link))),
            Some(Event::Deleted(slug)) => Some(self.message("deleted").data(slug)),
            Some(Event::Resync) => self.list().await,
        }
    }

    async fn list(&self) -> Option<Message> {
        // Taken before the list is read, so that nothing is between the two. What is in both is told twice, which does
        // no harm.
        let message = self.message("list");
        let links = self.site.repo.all::<link::Entity>().await.ok()?;
        Some(message.data(html::items(&links)))
    }

    fn message(&self, name: &str) -> Message {
        Message::default().event(name).id(self.changes.store_seq().to_string())
    }
}
