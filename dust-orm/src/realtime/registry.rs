//! The running clients of this process, by store. Repos look them up on every call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use super::client::SyncClient;
use super::session::StoreId;
use super::store::Horizon;
use crate::config::{DustConfig, Token};

/// Interval of warnings about a client that is down.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The server, the store and the token. A client serves only repos of its own token, so that a token that may only read
/// does not write through the client of another.
type Key = (String, String, Token);

static REGISTRATIONS: LazyLock<Mutex<HashMap<Key, Weak<StoreRegistration>>>> = LazyLock::new(Mutex::default);

fn key(config: &DustConfig) -> Key {
    (config.base_url().to_owned(), config.store(), config.token().clone())
}

fn registrations() -> MutexGuard<'static, HashMap<Key, Weak<StoreRegistration>>> {
    // Nothing that can panic is called under this lock.
    REGISTRATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clients of a store that its repos can use. Repos and clients share it.
#[derive(Debug)]
pub(crate) struct StoreRegistration {
    key: Key,
    clients: RwLock<Vec<ClientHandle>>,
    /// The ops that were written over HTTP: a mirror without them would hide a repo's own writes from it.
    written: HttpWrites,
    warned: Throttle,
}

/// One store of a running client. It does not keep the client running.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandle {
    pub(crate) client: SyncClient,
    pub(crate) store: StoreId,
}

impl StoreRegistration {
    /// The registration of a store, shared by all that hold it.
    pub(crate) fn of(config: &DustConfig) -> Arc<StoreRegistration> {
        let key = key(config);
        let mut registrations = registrations();
        if let Some(registration) = registrations.get(&key).and_then(Weak::upgrade) {
            return registration;
        }
        let registration = Arc::new(StoreRegistration::new(key.clone(), Vec::new()));
        registrations.insert(key, Arc::downgrade(&registration));
        registration
    }

    /// A private registration, of one client that was given explicitly.
    pub(crate) fn apart(config: &DustConfig, client: ClientHandle) -> Arc<StoreRegistration> {
        Arc::new(StoreRegistration::new(key(config), vec![client]))
    }

    fn new(key: Key, clients: Vec<ClientHandle>) -> StoreRegistration {
        StoreRegistration {
            key,
            clients: RwLock::new(clients),
            written: HttpWrites::default(),
            warned: Throttle::default(),
        }
    }

    /// The client for a call. The flag is true if it is up and its mirror has every op written over HTTP; the newest
    /// such client is preferred. Clients that are not enabled are ignored.
    pub(crate) fn pick(&self) -> Option<(ClientHandle, bool)> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        if clients.is_empty() {
            return None;
        }
        let is_current = |handle: &&ClientHandle| handle.client.is_up(handle.store) && self.is_known_to(handle);
        if let Some(handle) = clients.iter().rev().find(is_current) {
            return Some((handle.clone(), true));
        }
        let handle = clients.iter().rev().find(|handle| handle.client.is_enabled())?.clone();
        drop(clients);
        if handle.client.is_down(handle.store) && self.warned.is_due(Instant::now(), WARN_EVERY) {
            tracing::warn!(
                target: "dust_orm",
                store = %self.key.1,
                "the realtime client is down: calls use HTTP until it is connected again"
            );
        }
        Some((handle, false))
    }

    /// True if a mirror has every op written over HTTP.
    pub(crate) fn is_known_to(&self, handle: &ClientHandle) -> bool {
        let needed = self.written.needed();
        if needed == 0 || handle.client.seq(handle.store) >= needed {
            return true;
        }
        // The store may have been restored from a backup, and have fewer ops than before.
        let Some(horizon) = handle.client.horizon(handle.store) else { return false };
        handle.client.seq(handle.store) >= self.written.needed_since(horizon)
    }

    /// Notifies the clients of an op written over HTTP, which the server does not push.
    pub(crate) fn notify_write(&self, seq: u64) {
        // Noted before the clients are read: one that is added in between is not used before it has the op.
        self.written.add(Instant::now(), seq);
        for handle in self.clients.read().unwrap_or_else(PoisonError::into_inner).iter() {
            handle.client.advance_known_seq(handle.store, seq);
        }
    }

    /// Registers a client for the repos of its stores, until it ends.
    pub(super) fn register(client: &SyncClient) {
        for (store, config) in client.configs() {
            let registration = StoreRegistration::of(config);
            registration.add(ClientHandle { client: client.without_life(), store });
            client.at_end(move |client| registration.remove(client));
        }
    }

    fn add(&self, handle: ClientHandle) {
        let needed = self.written.needed();
        if needed > 0 {
            handle.client.advance_known_seq(handle.store, needed);
        }
        self.clients.write().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    fn remove(&self, client: &SyncClient) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        let removed: Vec<ClientHandle> = clients.extract_if(.., |handle| handle.client.is_same(client)).collect();
        drop(clients);
        // Dropped without the lock, as this may end the client.
        drop(removed);
    }
}

impl Drop for StoreRegistration {
    fn drop(&mut self) {
        let mut registrations = registrations();
        // Another caller may have registered the store again meanwhile.
        if registrations.get(&self.key).is_some_and(|registration| registration.strong_count() == 0) {
            registrations.remove(&self.key);
        }
    }
}

/// The ops that this process wrote over HTTP, as far as a mirror needs them before it is read.
///
/// The numbers of a store decrease when it is restored from a backup. If the store answers a request for its position
/// with a smaller number than an op that was known before the request, it has lost that op: then a mirror needs the ops
/// through the answered position only.
///
/// ```text
/// written over HTTP: 100                         a mirror needs 100
/// restored from a backup as of 50, written: 51
/// requested, answered: 51                        a mirror needs 51
/// ```
#[derive(Debug, Default)]
struct HttpWrites {
    /// The largest number of `ops`; 0 without any.
    needed: AtomicU64,
    /// In the order of their times. Later ones have smaller numbers: one with a larger number makes those before it
    /// redundant.
    ops: Mutex<Vec<HttpWrite>>,
}

#[derive(Clone, Copy, Debug)]
struct HttpWrite {
    /// The time at which the op was known.
    at: Instant,
    seq: u64,
}

impl HttpWrites {
    /// The op that a mirror needs.
    fn needed(&self) -> u64 {
        self.needed.load(Ordering::SeqCst)
    }

    /// Adds an op that was known at a time.
    fn add(&self, at: Instant, seq: u64) {
        let mut ops = self.ops();
        HttpWrites::push(&mut ops, HttpWrite { at, seq });
        self.update_needed(&ops);
    }

    /// The op that a mirror needs, given the last position that the store has answered.
    fn needed_since(&self, Horizon { asked, seq }: Horizon) -> u64 {
        let mut ops = self.ops();
        for mut op in std::mem::take(&mut *ops) {
            if op.at < asked {
                op.seq = op.seq.min(seq);
            }
            HttpWrites::push(&mut ops, op);
        }
        // A store without ops needs none.
        ops.retain(|op| op.seq > 0);
        self.update_needed(&ops);
        self.needed()
    }

    /// Adds an op, and removes those that it makes redundant.
    fn push(ops: &mut Vec<HttpWrite>, op: HttpWrite) {
        while ops.last().is_some_and(|before| before.seq <= op.seq) {
            ops.pop();
        }
        ops.push(op);
    }

    fn ops(&self) -> MutexGuard<'_, Vec<HttpWrite>> {
        // Nothing that can panic is called under this lock.
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_needed(&self, ops: &[HttpWrite]) {
        self.needed.store(ops.first().map_or(0, |op| op.seq), Ordering::SeqCst);
    }
}

/// Rate-limits a warning.
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

    fn registration(base_url: &str, store: &str, token: &str) -> Arc<StoreRegistration> {
        StoreRegistration::of(&DustConfig::builder().base_url(base_url).store(store).token(token).build().unwrap())
    }

    #[test]
    fn registration_is_shared_by_equal_server_store_and_token() {
        let here = registration("http://registry:1", "acme/main", "dust_tok_a");
        assert!(Arc::ptr_eq(&here, &registration("http://REGISTRY:1/", "acme/main", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &registration("http://registry:2", "acme/main", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &registration("http://registry:1", "acme/other", "dust_tok_a")));
        assert!(!Arc::ptr_eq(&here, &registration("http://registry:1", "acme/main", "dust_tok_b")));
        assert!(!format!("{here:?}").contains("dust_tok"));
    }

    #[test]
    fn registration_without_holders_is_removed() {
        let has = || registrations().keys().any(|(server, ..)| server == "http://forgotten:1");
        let (one, two) =
            (registration("http://forgotten:1", "a/b", "t"), registration("http://forgotten:1", "a/b", "t"));
        one.notify_write(7);
        drop(one);
        assert!(has() && two.written.needed() == 7);
        drop(two);
        assert!(!has());
    }

    #[test]
    fn smaller_position_than_earlier_writes_reduces_needed_op() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let answered = |seconds, seq| Horizon { asked: at(seconds), seq };
        let written = HttpWrites::default();
        written.add(at(1), 100);
        written.add(at(2), 99);
        assert_eq!(written.needed(), 100, "answers may arrive in another order than the ops");
        assert_eq!(written.needed_since(answered(1, 50)), 100, "it was requested before the op was known");
        // Restored as of op 50, and written over HTTP after the request.
        written.add(at(4), 51);
        assert_eq!(written.needed_since(answered(3, 50)), 51);
        written.add(at(5), 52);
        assert_eq!((written.needed(), written.ops().len()), (52, 1));
        assert_eq!(written.needed_since(answered(6, 60)), 52);
    }

    #[test]
    fn warning_is_due_once_a_minute() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let due = |after| throttle.is_due(start + Duration::from_secs(after), WARN_EVERY);
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(due), [true, false, false, true, false, false, true]);
    }
}
