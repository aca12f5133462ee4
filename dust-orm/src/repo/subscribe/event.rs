//! The events of the subscribers of an entity, and their form in a queue.

use std::fmt;
use std::sync::Arc;

use sea_orm::{EntityTrait, ModelTrait, PrimaryKeyTrait};

use super::cached_record::CachedRecord;
use crate::entity::{DustEntity, KeyOf, parse_key};
use crate::feed::Coalesce;

/// A change of the records of an entity.
///
/// The enum is exhaustive on purpose: an application handles each of these, and a further one would be a breaking
/// change that the compiler shows.
pub enum Event<M: ModelTrait> {
    /// A record was written. This is the whole record as of that op; it may have changed since.
    Upserted(M),
    /// The record with this key was deleted, or does not fit its entity any more. A composite key is a tuple.
    Deleted(KeyOf<M::Entity>),
    /// Events are missing here: the subscriber fell too far behind, or the client did. Read again the data that depends
    /// on them, with [`all`](crate::DustRepo::all) for instance; the events that follow are newer than that or known
    /// already.
    Resync,
}

impl<M: ModelTrait<Entity: EntityTrait<PrimaryKey: PrimaryKeyTrait<ValueType: Clone>>>> Clone for Event<M> {
    fn clone(&self) -> Event<M> {
        match self {
            Event::Upserted(model) => Event::Upserted(model.clone()),
            Event::Deleted(key) => Event::Deleted(key.clone()),
            Event::Resync => Event::Resync,
        }
    }
}

impl<M: ModelTrait> fmt::Debug for Event<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Upserted(model) => f.debug_tuple("Upserted").field(model).finish(),
            Event::Deleted(key) => f.debug_tuple("Deleted").field(key).finish(),
            Event::Resync => f.write_str("Resync"),
        }
    }
}

impl<M: ModelTrait + PartialEq> PartialEq for Event<M> {
    fn eq(&self, other: &Event<M>) -> bool {
        match (self, other) {
            (Event::Upserted(one), Event::Upserted(other)) => one == other,
            (Event::Deleted(one), Event::Deleted(other)) => one == other,
            (one, other) => matches!((one, other), (Event::Resync, Event::Resync)),
        }
    }
}

impl<M: ModelTrait<Entity: EntityTrait<PrimaryKey: PrimaryKeyTrait<ValueType: Eq>>> + Eq> Eq for Event<M> {}

/// The change of one record by one commit.
pub(super) struct Change<E: DustEntity> {
    /// The key in its rendered form, `ada/dust`.
    pub(super) key: Arc<str>,
    pub(super) before: Option<Arc<CachedRecord<E>>>,
    pub(super) after: Option<Arc<CachedRecord<E>>>,
}

/// A change in the queue of one subscriber.
pub(super) struct PendingEvent<E: DustEntity> {
    pub(super) change: Arc<Change<E>>,
    /// The op up to which the subscriber has every event once it has this one. `None` if an older event waits behind
    /// it.
    pub(super) seq: Option<u64>,
    /// The record before the oldest of the changes that this one stands for: the record that the subscriber has.
    known: Option<Arc<CachedRecord<E>>>,
}

impl<E: DustEntity> PendingEvent<E> {
    pub(super) fn new(change: Arc<Change<E>>, seq: u64) -> PendingEvent<E> {
        PendingEvent { change, seq: Some(seq), known: None }
    }

    /// The event for the subscriber; `None` if the record fits its entity neither before nor after the change.
    pub(super) fn event(&self) -> Option<Event<E::Model>> {
        let Change { key, before, after } = &*self.change;
        if let Some(model) = after.as_ref().and_then(|after| after.model_or_warning()) {
            return Some(Event::Upserted(E::Model::clone(model)));
        }
        let was_there = [before, &self.known].into_iter().flatten().any(|stored| stored.is_valid());
        // A record that fitted its entity has a key that is read.
        was_there.then(|| parse_key::<E>(key).map(Event::Deleted)).flatten()
    }
}

impl<E: DustEntity> Clone for PendingEvent<E> {
    fn clone(&self) -> PendingEvent<E> {
        PendingEvent { change: Arc::clone(&self.change), seq: self.seq, known: self.known.clone() }
    }
}

impl<E: DustEntity> Coalesce for PendingEvent<E> {
    type Key = Arc<str>;

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.change.key)
    }

    fn replace(&mut self, older: &PendingEvent<E>) -> bool {
        self.known = older.known.as_ref().or(older.change.before.as_ref()).cloned();
        true
    }

    fn overtake(&mut self) {
        self.seq = None;
    }

    fn weight(&self) -> usize {
        self.change.after.as_ref().map_or(0, |after| after.bytes)
    }
}
