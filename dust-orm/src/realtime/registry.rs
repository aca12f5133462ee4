//! Which running clients there are in this process, by store: what repos look for on every call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use super::client::SyncClient;
use super::session::StoreId;
use super::store::Horizon;
use crate::config::{DustConfig, Token};

/// How often a client that is down is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The server, the store and the token. A client serves only repos of its own token: a token that may read must not write
/// because another one may.
type Key = (String, String, Token);

static SLOTS: LazyLock<Mutex<HashMap<Key, Weak<StoreRegistration>>>> = LazyLock::new(Mutex::default);

fn key(config: &DustConfig) -> Key {
    (config.base_url().to_owned(), config.store(), config.token().clone())
}

fn slots() -> MutexGuard<'static, HashMap<Key, Weak<StoreRegistration>>> {
    // Nothing that can panic is called under this lock.
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place where the repos of a store, and the clients that keep a mirror of it, find each other.
#[derive(Debug)]
pub(crate) struct StoreRegistration {
    key: Key,
    offers: RwLock<Vec<ClientHandle>>,
    /// What was written past the clients: a mirror without it would hide a repo's own write from it.
    written: Written,
    warned: Throttle,
}

/// One store of a running client. It does not keep the client running.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandle {
    pub(crate) client: SyncClient,
    pub(crate) store: StoreId,
}

impl StoreRegistration {
    /// The place of a store, as long as anybody holds it.
    pub(crate) fn of(config: &DustConfig) -> Arc<StoreRegistration> {
        let key = key(config);
        let mut slots = slots();
        if let Some(slot) = slots.get(&key).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(StoreRegistration::new(key.clone(), Vec::new()));
        slots.insert(key, Arc::downgrade(&slot));
        slot
    }

    /// A place of one's own, for a client that was given.
    pub(crate) fn apart(config: &DustConfig, offer: ClientHandle) -> Arc<StoreRegistration> {
        Arc::new(StoreRegistration::new(key(config), vec![offer]))
    }

    fn new(key: Key, offers: Vec<ClientHandle>) -> StoreRegistration {
        StoreRegistration { key, offers: RwLock::new(offers), written: Written::default(), warned: Throttle::default() }
    }

    /// The client for a call, and whether it is up and its mirror has all that was written past it. The newest that is
    /// comes first. Clients that are not enabled are as if they were not there.
    pub(crate) fn pick(&self) -> Option<(ClientHandle, bool)> {
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
    pub(crate) fn is_known_to(&self, offer: &ClientHandle) -> bool {
        let needed = self.written.needed();
        if needed == 0 || offer.client.seq(offer.store) >= needed {
            return true;
        }
        // The store may have been restored from a backup, and have fewer ops than it had.
        let Some(horizon) = offer.client.horizon(offer.store) else { return false };
        offer.client.seq(offer.store) >= self.written.needed_since(horizon)
    }

    /// An op was written past the clients: they are told, as a server would not do it.
    pub(crate) fn notify_write(&self, seq: u64) {
        // First this and then the clients: one that comes in between is not taken before it has the op.
        self.written.add(Instant::now(), seq);
        for offer in self.offers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            offer.client.advance_known_seq(offer.store, seq);
        }
    }

    pub(super) fn add(&self, offer: ClientHandle) {
        let needed = self.written.needed();
        if needed > 0 {
            offer.client.advance_known_seq(offer.store, needed);
        }
        self.offers.write().unwrap_or_else(PoisonError::into_inner).push(offer);
    }

    pub(super) fn remove(&self, client: &SyncClient) {
        let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
        let removed: Vec<ClientHandle> = offers.extract_if(.., |offer| offer.client.is_same(client)).collect();
        drop(offers);
        // Only now, as it may have been the last trace of the client.
        drop(removed);
    }
}

impl Drop for StoreRegistration {
    fn drop(&mut self) {
        let mut slots = slots();
        // Somebody may have made it anew meanwhile.
        if slots.get(&self.key).is_some_and(|slot| slot.strong_count() == 0) {
            slots.remove(&self.key);
        }
    }
}

/// The ops that a process wrote past its clients, as far as they say which op a mirror has to have.
///
/// The numbers of a store go back when it is restored from a backup. A store that is asked after an op is known, and
/// answers with a smaller number, has lost that op: then a mirror has to have all that it was asked about, and no more.
#[derive(Debug, Default)]
struct Written {
    /// The largest number of `ops`; 0 without any.
    needed: AtomicU64,
    /// When each was known, and its number: later ones have smaller numbers, as any other is of no account.
    ops: Mutex<Vec<(Instant, u64)>>,
}

impl Written {
    /// The op that a mirror has to have.
    fn needed(&self) -> u64 {
        self.needed.load(Ordering::SeqCst)
    }

    /// An op was written, which was known at a time.
    fn add(&self, at: Instant, seq: u64) {
        let mut ops = self.ops();
        while ops.last().is_some_and(|(_, before)| *before <= seq) {
            ops.pop();
        }
        ops.push((at, seq));
        self.settle(&ops);
    }

    /// The op that a mirror has to have, as of what the store has told.
    fn needed_since(&self, Horizon { asked, seq }: Horizon) -> u64 {
        let mut ops = self.ops();
        for (_, op) in ops.iter_mut().filter(|(at, _)| *at < asked) {
            *op = seq.min(*op);
        }
        // What is no larger than a later one is of no account any more.
        let mut least = 0;
        let mut at = ops.len();
        while at > 0 {
            at -= 1;
            if ops[at].1 <= least {
                ops.remove(at);
            } else {
                least = ops[at].1;
            }
        }
        self.settle(&ops);
        self.needed()
    }

    fn ops(&self) -> MutexGuard<'_, Vec<(Instant, u64)>> {
        // Nothing that can panic is called under this lock.
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, ops: &[(Instant, u64)]) {
        self.needed.store(ops.first().map_or(0, |(_, seq)| *seq), Ordering::SeqCst);
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

    fn slot(base_url: &str, store: &str, token: &str) -> Arc<StoreRegistration> {
        StoreRegistration::of(&DustConfig::builder().base_url(base_url).store(store).token(token).build().unwrap())
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
        one.notify_write(7);
        drop(one);
        assert!(has() && two.written.needed() == 7);
        drop(two);
        assert!(!has());
    }

    #[test]
    fn a_store_that_tells_fewer_ops_than_were_written_has_lost_them() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = |seconds, seq| Horizon { asked: at(seconds), seq };
        let written = Written::default();
        written.add(at(1), 100);
        written.add(at(2), 99);
        assert_eq!(written.needed(), 100, "answers may come in another order than the ops");
        assert_eq!(written.needed_since(told(1, 50)), 100, "it was asked before the op was known");
        // Restored as of op 50, written to over HTTP, and asked in between.
        written.add(at(4), 51);
        assert_eq!(written.needed_since(told(3, 50)), 51);
        written.add(at(5), 52);
        assert_eq!((written.needed(), written.ops().len()), (52, 1));
        assert_eq!(written.needed_since(told(6, 60)), 52);
    }

    #[test]
    fn a_warning_comes_once_a_minute() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let due = |after| throttle.is_due(start + Duration::from_secs(after), WARN_EVERY);
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(due), [true, false, false, true, false, false, true]);
    }
}
