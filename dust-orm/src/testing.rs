//! A repo for tests of applications: it has a store in memory, and the test fills the store, acts as other writers, and
//! controls the clock and the connection.
//!
//! ```
//! use dust_orm::testing::TestRepo;
//! use dust_protocol::Mutation;
//! use dust_orm::{Event, tests_cfg::link};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), dust_orm::DustErr> {
//! let repo = TestRepo::seeded(&json!({
//!     "links": {"dust": {"title": "Dust", "url": "https://dustlayer.io"}},
//! }))?;
//! assert_eq!(repo.get::<link::Entity>("dust").await?.title, "Dust");
//!
//! let mut changes = repo.subscribe::<link::Entity>().await?;
//! repo.emit("links/dust", Mutation::Delete)?;
//! assert_eq!(changes.next().await, Some(Event::Deleted("dust".into())));
//! # Ok(())
//! # }
//! ```

mod switch;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dust_protocol::{CommittedOp, Mutation, Op, Path, RawJson, SeedCheck};
use dust_store::{ManualClock, Origin, Store};
use serde_json::Value;

use crate::error::DustErr;
use crate::repo::DustRepo;
use crate::transport::EmbeddedTransport;

use switch::Switch;

/// The wall clock of a new [`TestRepo`]: the beginning of 2025, in milliseconds since 1970.
const START: i64 = 1_735_689_600_000;

/// A [`DustRepo`] over a store in memory, with control of the store, the clock and the connection. See the
/// [module](self).
///
/// It dereferences to `DustRepo`; pass a clone (`DustRepo::clone(&repo)`) to code that takes a repo.
#[derive(Debug)]
pub struct TestRepo {
    repo: DustRepo,
    switch: Arc<Switch>,
    store: Store,
    clock: Arc<ManualClock>,
    emitted: AtomicU64,
}

impl TestRepo {
    /// A repo over an empty store.
    #[expect(clippy::expect_used, reason = "an empty store in memory does no I/O that could fail")]
    pub fn new() -> TestRepo {
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::builder().clock(Arc::<ManualClock>::clone(&clock)).in_memory();
        let store = store.expect("a store in memory can be made");
        let switch = Arc::new(Switch::new(EmbeddedTransport::new(store.clone())));
        let repo = DustRepo::with_transport(Arc::<Switch>::clone(&switch));
        TestRepo { repo, switch, store, clock, emitted: AtomicU64::new(0) }
    }

    /// A repo over a store with these values: an object by the first segment of their paths, with further objects
    /// inside, such as `{"links": {"dust": {"title": ..}}}`. Each member of the outer object is one op.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) for a value that is not an object, for values that no store accepts,
    /// for empty objects and empty keys, which a store does not keep, and for two paths that differ only in ASCII case,
    /// as the removal of one removes the other. It names the path.
    pub fn seeded(values: &Value) -> Result<TestRepo, DustErr> {
        let Value::Object(members) = values else {
            return Err(DustErr::invalid_params(format!(
                "a store is seeded from an object, such as {{\"links\": {{\"dust\": {{\"title\": \"Dust\"}}}}}}, not \
                 from {values}"
            )));
        };
        let (mut check, mut writes) = (SeedCheck::default(), Vec::with_capacity(members.len()));
        for (segment, value) in members {
            let (path, value) = (Path::from_segments([segment])?, RawJson::from(value));
            check
                .entry(&path, &value)
                .map_err(|error| DustErr::invalid_params(format!("the seed: {error}")).with_source(error))?;
            writes.push(Op::set(path, value));
        }
        let repo = TestRepo::new();
        repo.store.write_all(writes, &Origin::new("another-writer", "seed"))?;
        Ok(repo)
    }

    /// Applies an op as another writer, and returns the committed op; `None` only for the release of a lease that is
    /// not held. Subscribers have the op when this returns, if no other thread writes at the same time.
    ///
    /// # Errors
    ///
    /// The error of an invalid path, or of the store that refuses the op.
    ///
    /// ```
    /// use dust_orm::{protocol::Mutation, testing::TestRepo};
    /// use serde_json::json;
    ///
    /// let repo = TestRepo::new();
    /// let op = repo.emit("links/dust/title", Mutation::Set(json!("Dust").into()))?.unwrap();
    /// assert_eq!((op.store_seq, &*op.device_id), (1, "another-writer"));
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn emit(&self, path: &str, mutation: Mutation) -> Result<Option<CommittedOp>, DustErr> {
        self.write(Path::parse(path)?, mutation)
    }

    /// The clock of the store. It advances only when the test advances it, and leases expire by it.
    ///
    /// ```
    /// use dust_orm::{protocol::Mutation, testing::TestRepo};
    ///
    /// let repo = TestRepo::new();
    /// let lease = || Mutation::Lease { holder: Some("me".into()), ttl_ms: 1_000 };
    /// repo.emit("locks/import", lease())?;
    /// assert!(repo.emit("locks/import", lease()).is_err());
    /// repo.clock().advance(1_000);
    /// assert!(repo.emit("locks/import", lease()).is_ok());
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Cuts the connection of the repo and its clones, as that of a realtime client: writes and `fetch_file` fail with
    /// [`Network`](DustErr::Network) and change nothing; reads still work.
    ///
    /// Unlike a client without a connection, the repo still reads, and its subscribers still receive, the ops that the
    /// test [emits](TestRepo::emit).
    ///
    /// ```
    /// # use dust_orm::{ErrKind, entity::prelude::*, testing::TestRepo, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// let repo = TestRepo::new();
    /// # let (title, url) = (Set("Dust".into()), Set("u".into()));
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title, url, note: NotSet };
    /// repo.go_offline();
    /// assert_eq!(repo.insert(draft.clone()).await.unwrap_err().kind(), ErrKind::Network);
    /// assert_eq!(repo.find_by_id::<link::Entity>("dust").await?, None);
    /// repo.come_online();
    /// repo.insert(draft).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn go_offline(&self) {
        self.switch.set_offline(true);
    }

    /// Restores the connection after [`go_offline`](TestRepo::go_offline).
    pub fn come_online(&self) {
        self.switch.set_offline(false);
    }

    /// The store behind the repo.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn write(&self, path: Path, mutation: Mutation) -> Result<Option<CommittedOp>, DustErr> {
        let number = self.emitted.fetch_add(1, Ordering::Relaxed);
        Ok(self.store.write(
            Op::new(path, mutation),
            None,
            &Origin::new("another-writer", format!("emitted-{number}")),
        )?)
    }
}

impl Default for TestRepo {
    fn default() -> TestRepo {
        TestRepo::new()
    }
}

impl Deref for TestRepo {
    type Target = DustRepo;

    fn deref(&self) -> &DustRepo {
        &self.repo
    }
}

#[cfg(test)]
#[cfg(feature = "macros")]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::error::ErrKind;
    use crate::tests_cfg::setting;
    use crate::{BatchEntry, Event};

    #[tokio::test]
    async fn a_seed_is_read_as_entities() {
        let seed = json!({"app": {"settings": {"theme": {"enabled": true, "options": {"a": 1}}}}, "motd": "hello"});
        let repo = TestRepo::seeded(&seed).unwrap();
        let theme = repo.get::<setting::Entity>("theme").await.unwrap();
        assert_eq!((theme.enabled, theme.options, theme.owner), (true, json!({"a": 1}), None));
        assert_eq!(repo.store().get(&"motd".parse().unwrap()).unwrap().unwrap().value.as_str(), "\"hello\"");
    }

    #[tokio::test]
    async fn offline_nothing_is_written_and_everything_is_read() {
        let repo =
            TestRepo::seeded(&json!({"app": {"settings": {"theme": {"enabled": true, "options": {"a": 1}}}}})).unwrap();
        let clone = DustRepo::clone(&repo);
        let theme = repo.get::<setting::Entity>("theme").await.unwrap();
        let mut settings = repo.subscribe::<setting::Entity>().await.unwrap();
        repo.go_offline();
        let before = repo.store().current_seq();
        let errors = [
            clone.put(theme.clone()).await.err(),
            clone.delete_by_id::<setting::Entity>("theme").await.err(),
            clone.batch_write([BatchEntry::delete_by_id::<setting::Entity>("theme")]).await.err(),
            clone.lease("locks/a", Duration::from_secs(1)).await.err(),
        ];
        assert!(errors.iter().all(|error| error.as_ref().map(DustErr::kind) == Some(ErrKind::Network)), "{errors:?}");
        assert_eq!(repo.store().current_seq(), before);
        assert_eq!(clone.all::<setting::Entity>().await.unwrap(), [theme]);
        repo.come_online();
        clone.delete_by_id::<setting::Entity>("theme").await.unwrap();
        assert_eq!(settings.next().await, Some(Event::Deleted("theme".into())));
    }

    #[test]
    fn a_seed_that_a_store_would_not_keep_is_refused() {
        for (seed, reason) in [
            (json!([]), "from an object"),
            (json!({"": 1}), "empty_segment"),
            (json!({"a": {"": 1}}), "`a` has an empty key"),
            (json!({"links": {"dust": {"meta": {}}}}), "`links/dust/meta` is an empty object"),
            (json!({"links": {"a": 1}, "LINKS": {"b": 1}}), "`links` and `LINKS` differ only in case"),
            (json!({"links": {"dust": 1, "Dust": {"title": 1}}}), "`links/dust` and `links/Dust` differ only in case"),
        ] {
            let error = TestRepo::seeded(&seed).unwrap_err();
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
