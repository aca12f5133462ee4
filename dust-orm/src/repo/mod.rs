//! [`DustRepo`] and its verbs, one file per family.

mod batch;
mod bulk;
mod chunks;
mod countable;
mod delete_all;
mod fenced;
mod field;
mod field_leaf;
mod file;
mod find;
mod lease;
mod many;
mod merge;
mod open;
mod prefixes;
mod read;
mod record_pages;
#[cfg(feature = "http")]
mod server;
mod single_flight;
mod subscribe;
mod write;

use std::sync::Arc;

pub use batch::{BatchEntry, BatchResult, BatchWrite};
pub use bulk::InsertMany;
pub use countable::Countable;
pub use delete_all::DeleteAll;
pub use field::FieldWrite;
pub use file::PutFile;
pub use find::{Find, RestOfKey, WholeKey};
pub use lease::{Lease, TakeLease};
pub use merge::Merge;
pub use single_flight::{Flight, FlightOptions, OnUnavailable, Source};
pub use subscribe::{Broadcast, Callback, Event, Live, RawEvent, RawOp, RawSubscription, Subscribe, Subscription};
pub use write::{Delete, DeleteResult, Insert, IntoDustActiveModel, Put, Update, VersionedWrite};

use crate::entity::DustEntity;
#[cfg(feature = "realtime")]
use crate::transport::Failover;
use crate::transport::{Transport, for_subscription};
use prefixes::Prefixes;

/// A Dust store with the verbs of SeaORM for [`DustEntity`]s.
///
/// It has no queries and no joins. Clones are cheap and share the store; tasks can use one at the same time.
///
/// | SeaORM | Dust |
/// |---|---|
/// | `Entity::find().all(&db)` | [`repo.all::<Entity>()`](DustRepo::all), [`stream`](DustRepo::stream) |
/// | `Entity::find().cursor_by(key)` | [`repo.find::<Entity>()`](DustRepo::find) |
/// | `Entity::find_by_id(key).one(&db)` | [`repo.find_by_id::<Entity>(key)`](DustRepo::find_by_id) |
/// | `active.insert(&db)` | [`repo.insert(active)`](DustRepo::insert), which is an upsert |
/// | `active.update(&db)` | [`repo.update(active)`](DustRepo::update) |
/// | `active.delete(&db)`, `Entity::delete_by_id(key)` | [`repo.delete(active)`](DustRepo::delete), [`delete_by_id`](DustRepo::delete_by_id) |
/// | `Entity::insert_many(..)` | [`repo.insert_many(..)`](DustRepo::insert_many) |
/// | `Entity::delete_many()` | [`repo.delete_all::<Entity>()`](DustRepo::delete_all) |
/// | a transaction | [`repo.batch_write(..)`](DustRepo::batch_write) |
/// | `UPDATE .. SET hits = hits + 1` | [`repo.increment(key, column, by)`](DustRepo::increment), [`add_to_set`](DustRepo::add_to_set), [`remove_from_set`](DustRepo::remove_from_set) |
/// | an advisory lock | [`repo.lease(key, ttl)`](DustRepo::lease), [`single_flight`](DustRepo::single_flight) |
/// | (none) | [`repo.subscribe::<Entity>()`](DustRepo::subscribe), [`on_change`](Subscribe::on_change), [`broadcast`](DustRepo::broadcast), [`live`](DustRepo::live) |
/// | a version column | [`find_versioned`](DustRepo::find_versioned) and `.if_match(&revision)` |
#[derive(Clone, Debug)]
pub struct DustRepo {
    source: TransportSource,
    /// The prefixes of the entities that this repo and its clones have used.
    prefixes: Arc<Prefixes>,
}

/// The source of the transport for a call.
#[derive(Clone, Debug)]
enum TransportSource {
    /// Always this transport.
    Given(Arc<dyn Transport>),
    /// A realtime client while one runs, otherwise HTTP.
    #[cfg(feature = "realtime")]
    Failover(Arc<Failover>),
}

impl DustRepo {
    /// The transport that a call made now uses. A repo on a server uses the realtime client of its store while one
    /// runs, see [`SyncClient`](crate::realtime::SyncClient).
    ///
    /// ```
    /// use dust_orm::DustRepo;
    ///
    /// let repo = DustRepo::embedded();
    /// let transport = repo.transport();
    /// assert_eq!(transport.name(), "embedded");
    /// assert!(transport.capabilities().subscribe);
    /// ```
    pub fn transport(&self) -> Arc<dyn Transport> {
        match &self.source {
            TransportSource::Given(transport) => Arc::clone(transport),
            #[cfg(feature = "realtime")]
            TransportSource::Failover(failover) => failover.now(),
        }
    }

    fn from_source(source: TransportSource) -> DustRepo {
        DustRepo { source, prefixes: Arc::default() }
    }

    /// The same repo over another transport to its store.
    fn over(&self, transport: Arc<dyn Transport>) -> DustRepo {
        DustRepo { source: TransportSource::Given(transport), prefixes: Arc::clone(&self.prefixes) }
    }

    /// The transport for one call of a verb of an entity.
    fn active_for<E: DustEntity>(&self) -> Arc<dyn Transport> {
        self.prefixes.note::<E>();
        self.active()
    }

    /// The transport for a subscription to an entity.
    fn source_for<E: DustEntity>(&self) -> Arc<dyn Transport> {
        self.prefixes.note::<E>();
        self.source()
    }

    /// The transport for one call of a verb, whose requests share one deadline.
    fn active(&self) -> Arc<dyn Transport> {
        let transport = self.transport();
        transport.for_call().unwrap_or(transport)
    }

    /// The transport for a subscription.
    fn source(&self) -> Arc<dyn Transport> {
        match &self.source {
            TransportSource::Given(transport) => for_subscription(Arc::clone(transport)),
            #[cfg(feature = "realtime")]
            TransportSource::Failover(failover) => failover.source(),
        }
    }
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod outside_runtime;
