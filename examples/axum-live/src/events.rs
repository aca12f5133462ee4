//! `GET /events`: the events for every open browser.
//!
//! The id of an event is a `store_seq` from which a reconnect loses nothing. A browser whose connection broke sends the
//! last id that it received in `Last-Event-ID`; a new page sends the op of its list in `?after=`. If no op followed,
//! only changes are sent. Otherwise every link is sent first:
//!
//! | event | id | the page |
//! |---|---|---|
//! | `replay` | 0 | marks its links as unconfirmed |
//! | `upserted`, for each link | 0; with the last link that of the state | shows the link, and removes its mark |
//! | `current` | that of the state | removes the links that still have the mark |
//!
//! A browser whose connection breaks in the middle reconnects with the id 0, and receives every link again. As
//! `store_seq` is the op number of the store, this holds across restarts of the site, and for a reconnect to another of
//! its processes.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use axum::routing::get;
use dust_orm::Event;
use dust_orm::realtime::StoreState;
use dust_orm::repo::Subscription;
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::html;
use crate::link;
use crate::site::Site;

/// Pause of a browser before it reconnects.
const COME_BACK: Duration = Duration::from_millis(500);

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/events", get(events)).route("/events/{slug}", get(events_of_link))
}

/// `GET /events/{slug}`: one link, for the page that edits it. `upserted` has the link as JSON: its current state
/// first, if it exists, and then each change. Other links cause no work here.
async fn events_of_link(
    State(site): State<Site>,
    Path(slug): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Failure> {
    let changes = site.repo.subscribe::<link::Entity>().key(slug).with_current().await?;
    let messages = stream::unfold((site, changes), async |(site, mut changes)| {
        let event = tokio::select! {
            () = site.closed() => return None,
            event = changes.next() => event?,
        };
        let message = match event {
            Event::Upserted(link) => Message::default().event("upserted").json_data(link).ok()?,
            Event::Deleted(_) => Message::default().event("deleted").data(""),
            // The browser reconnects, and receives the current state.
            Event::Resync => return None,
        };
        Some((Ok(message.retry(COME_BACK)), (site, changes)))
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::default()))
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
    // An id that is no number is not one of this site: the browser receives every link.
    let last_event_id =
        headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.parse().ok()).unwrap_or(0));
    let mut state = site.state.clone();
    state.mark_changed();
    let after = last_event_id.or(since.after);
    let browser = Browser { site, state, after, changes: None, is_current: false };
    let messages = stream::unfold(browser, async |mut browser| {
        let message = browser.next().await?;
        Some((Ok(message.retry(COME_BACK)), browser))
    });
    Sse::new(messages).keep_alive(KeepAlive::default())
}

/// One open browser.
struct Browser {
    site: Site,
    state: watch::Receiver<StoreState>,
    /// The op up to which the browser has everything.
    after: Option<u64>,
    changes: Option<Subscription<link::Entity>>,
    /// True if the browser has received `current`.
    is_current: bool,
}

impl Browser {
    /// Returns the next message; `None` ends the stream, and a browser then reconnects.
    async fn next(&mut self) -> Option<Message> {
        let changes = match &mut self.changes {
            Some(changes) => changes,
            none => {
                let changes = none.insert(self.site.links.receiver_after(self.after).await.ok()?);
                if changes.begins_with_current() {
                    return Some(message("replay", changes).data(""));
                }
                changes
            }
        };
        if changes.is_current() && !std::mem::replace(&mut self.is_current, true) {
            return Some(message("current", changes).data(""));
        }
        let event = tokio::select! {
            () = self.site.closed() => return None,
            Ok(()) = self.state.changed() => None,
            event = changes.next() => Some(event?),
        };
        Some(match event {
            None => {
                let is_live = self.state.borrow_and_update().is_live();
                message("dust", changes).data(if is_live { "live" } else { "away" })
            }
            Some(Event::Upserted(link)) => message("upserted", changes).data(html::item(&link)),
            Some(Event::Deleted(slug)) => message("deleted", changes).data(slug),
            Some(Event::Resync) => {
                // Sends all current links. The links that the browser has may be out of date.
                self.changes = Some(self.site.links.receiver_with_current().await.ok()?);
                self.is_current = false;
                message("replay", self.changes.as_ref()?).data("")
            }
        })
    }
}

/// A message whose id is the op to resume after.
fn message(name: &str, changes: &Subscription<link::Entity>) -> Message {
    Message::default().event(name).id(changes.store_seq().to_string())
}
