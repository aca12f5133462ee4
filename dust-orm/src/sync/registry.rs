//! Which running clients there are in this process, by store: what repos look for on every call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use super::client::SyncClient;
use super::session::StoreId;
use crate::config::{DustConfig, Token};

/// How often a client that is down is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The server, the store and the token. A client serves only repos of its own token: a token that may read must not write
/// because another one may.
type Key = (String, String, Token);

static SLOTS: LazyLock<Mutex<HashMap<Key, Weak<Slot>>>> = LazyLock::new(Mutex::default);

fn key(config: &DustConfig) -> Key {
    (config.base_url().to_owned(), config.store(), config.token().clone())
}

fn slots() -> MutexGuard<'static, HashMap<Key, Weak<Slot>>> {
    // Nothing that can panic is called under this lock.
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place where the repos of a store, and the clients that keep a mirror of it, find each other.
#[derive(Debug)]
pub(crate) struct Slot {
    key: Key,
    offers: RwLock<Vec<Offer>>,
    /// The last op that was written past the clients: a mirror without it would hide a repo's own write from it.
    written: AtomicU64,
    warned: Throttle,
}

/// One store of a running client. It does not keep the client running.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) client: SyncClient,
    pub(crate) store: StoreId,
}

impl Slot {
    /// The place of a store, as long as anybody holds it.
    pub(crate) fn of(config: &DustConfig) -> Arc<Slot> {
        let key = key(config);
        let mut slots = slots();
        if let Some(slot) = slots.get(&key).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot::new(key.clone(), Vec::new()));
        slots.insert(key, Arc::downgrade(&slot));
        slot
    }

    /// A place of one's own, for a client that was given.
    pub(crate) fn apart(config: &DustConfig, offer: Offer) -> Arc<Slot> {
        Arc::new(Slot::new(key(config), vec![offer]))
    }

    fn new(key: Key, offers: Vec<Offer>) -> Slot {
        Slot { key, offers: RwLock::new(offers), written: AtomicU64::new(0), warned: Throttle::default() }
    }

    /// The client for a call, and whether it is up and its mirror has all that was written past it. The newest that is
    /// comes first. Clients that are not enabled are as if they were not there.
    pub(crate) fn pick(&self) -> Option<(Offer, bool)> {
        let offers = self.offers.read().unwrap_or_else(PoisonError::into_inner);
        if offers.is_empty() {
            return None;
        }
        if let Some(offer) =
            offers.iter().rev().find(|offer| offer.client.is_up(offer.store) && self.is_known_to(offer))
        {
            return Some((offer.clone(), true));
        }
        let offer = offers.iter().rev().find(|offer| offer.client.is_enabled())?.clone();
        drop(offers);
        if offer.client.is_down(offer.store) && self.warned.is_due(Instant::now(), WARN_EVERY) {
            tracing::warn!(
                target: "dust_orm",
                store = %self.key.1,
                "the realtime client is down: calls go over HTTP until it is back"
            );
        }
        Some((offer, false))
    }

    /// Whether a mirror has all that was written past it.
    pub(crate) fn is_known_to(&self, offer: &Offer) -> bool {
        let written = self.written.load(Ordering::SeqCst);
        written == 0 || offer.client.seq(offer.store) >= written
    }

    /// An op was written past the clients: they are told, as a server would not do it.
    pub(crate) fn wrote(&self, seq: u64) {
        // First this and then the clients: one that comes in between is not taken before it has the op.
        self.written.fetch_max(seq, Ordering::SeqCst);
        for offer in self.offers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            offer.client.tell(offer.store, seq);
        }
    }

    pub(super) fn add(&self, offer: Offer) {
        let written = self.written.load(Ordering::SeqCst);
        if written > 0 {
            offer.client.tell(offer.store, written);
        }
        self.offers.write().unwrap_or_else(PoisonError::into_inner).push(offer);
    }

    pub(super) fn remove(&self, client: &SyncClient) {
        let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
        let removed: Vec<Offer> = offers.extract_if(.., |offer| offer.client.is_same(client)).collect();
        drop(offers);
        // Only now, as it may have been the last trace of the client.
        drop(removed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = slots();
        // Somebody may have made it anew meanwhile.
        if slots.get(&self.key).is_some_and(|slot| slot.strong_count() == 0) {
            slots.remove(&self.key);
        }
    }
}

/// Something that is said once in a while.
#[derive(Debug, Default)]
struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    fn is_due(&self, now: Instant, every: Duration) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= every);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(base_url: &str, store: &str, token: &str) -> Arc<Slot> {
        Slot::of(&DustConfig::builder().base_url(base_url).store(store).token(token).build().unwrap())
    }

    #[test]
    fn a_place_is_that_of_a_server_a_store_and_a_token() {
        let here = slot("http://registry:1", "acme/main", "dust_tok_a");
        assert!(Arc::ptr_eq(&here, &slot("http://REGISTRY:1/", "acme/main", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &slot("http://registry:2", "acme/main", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &slot("http://registry:1", "acme/other", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &slot("http://registry:1", "acme/main", "dust_tok_b")));
        assert!(!format!("{here:?}").contains("dust_tok"));
    }

    #[test]
    fn a_place_that_nobody_holds_is_forgotten() {
        let has = || slots().keys().any(|(server, ..)| server == "http://forgotten:1");
        let (one, two) = (slot("http://forgotten:1", "a/b", "t"), slot("http://forgotten:1", "a/b", "t"));
        one.wrote(7);
        drop(one);
        assert!(has() && two.written.load(Ordering::SeqCst) == 7);
        drop(two);
        assert!(!has());
    }

    #[test]
    fn a_warning_comes_once_a_minute() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let due = |after| throttle.is_due(start + Duration::from_secs(after), WARN_EVERY);
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(due), [true, false, false, true, false, false, true]);
    }
}
