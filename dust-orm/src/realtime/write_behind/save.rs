//! Writing missing changes to a cache, in transactions of bounded size.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dust_protocol::{Entry, Path};
use tokio::time::{Instant, sleep};

use super::{CacheTarget, WRITING, in_time};
use crate::error::DustErr;
use crate::realtime::cache::{CacheWrite, Cursor};
use crate::realtime::mirror::{CHUNK, Changes, Unsaved, What, next_chunk};
use crate::realtime::store::StoreShared;

/// The leaves after which a transaction takes no further chunk.
pub(super) const MAX_LEAVES: usize = 16 * 1024;
/// The bytes of paths and values after which a transaction takes no further chunk.
const MAX_BYTES: usize = 4 << 20;
/// The pause between two transactions of one save: half of the time that the first one took, within these bounds.
///
/// SQLite does not queue connections that wait: each tries again after at most 25 ms in the first 128 ms of its wait,
/// after 50 ms until 228 ms, and after 100 ms from then on. A connection that has waited for the whole transaction
/// therefore tries within the pause.
const MIN_PAUSE: Duration = Duration::from_millis(30);
const MAX_PAUSE: Duration = Duration::from_millis(120);
/// The time without a new mark after which another client's unfinished save is taken over.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_PATIENCE: Duration = Duration::from_secs(60);

/// The end of a save that did not fail.
enum Saved {
    Through(u64),
    /// Another client writes.
    Waits,
}

/// The reason why a save ends before its last transaction.
enum Stop {
    Failed(DustErr),
    /// Another client began to write between two transactions.
    TakenOver,
    /// The mirror was replaced while it was written.
    Replaced,
}

impl From<DustErr> for Stop {
    fn from(error: DustErr) -> Stop {
        Stop::Failed(error)
    }
}

/// Another client that has not finished its save.
struct Rival {
    /// Its last mark, and the time at which this client first saw it.
    mark: Option<(Arc<str>, Instant)>,
    /// The time to wait for the next mark. It grows with every save that a rival took over, so that of two slow clients
    /// one comes to the end.
    patience: Duration,
}

impl Rival {
    fn is_gone(&mut self, mark: &Arc<str>) -> bool {
        match &self.mark {
            Some((last, since)) if last == mark => since.elapsed() >= self.patience,
            _ => {
                self.mark = Some((Arc::clone(mark), Instant::now()));
                false
            }
        }
    }
}

impl CacheTarget {
    /// Writes the changes that the cache of a store lacks.
    pub(super) async fn flush(&self, store: &StoreShared) -> Result<(), DustErr> {
        let Some(mut unsaved) = store.take_unsaved() else { return Ok(()) };
        let mut rival = Rival { mark: None, patience: PATIENCE };
        loop {
            match self.save(store, &mut unsaved, &mut rival).await {
                Ok(Saved::Through(seq)) => {
                    store.set_saved(Some(seq));
                    return Ok(());
                }
                Ok(Saved::Waits) => sleep(MAX_PAUSE).await,
                Err(stop) => {
                    store.put_back(unsaved);
                    match stop {
                        Stop::Failed(error) => return Err(error),
                        Stop::TakenOver => rival.patience = rival.patience.saturating_mul(2).min(MAX_PATIENCE),
                        Stop::Replaced => {}
                    }
                    match store.take_unsaved() {
                        Some(newer) => unsaved = newer,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    async fn save(&self, store: &StoreShared, unsaved: &mut Unsaved, rival: &mut Rival) -> Result<Saved, Stop> {
        let mut save = Save::begin(self, store, unsaved).await?;
        let kept = in_time(WRITING, save.write.cursor()).await?;
        if let Some(kept) = &kept {
            self.check(&store.name, kept)?;
        }
        if let Some(mark) = kept.as_ref().and_then(|kept| kept.unfinished.as_ref()) {
            store.set_saved(None);
            if !self.is_own(mark) && !rival.is_gone(mark) {
                return Ok(Saved::Waits);
            }
            return save.rewrite(unsaved).await;
        }
        let is_rewound = matches!(unsaved.what, What::Whole { is_rewound: true });
        match (&unsaved.what, kept) {
            (_, Some(kept)) if kept.seq >= unsaved.seq && !is_rewound => Ok(Saved::Through(kept.seq)),
            (What::Changes(changes), Some(kept)) if kept.seq >= unsaved.base => {
                save.cursor.inexact_through = unsaved.inexact_through.max(kept.inexact_through);
                save.changes(changes).await?.finish().await
            }
            _ => save.rewrite(unsaved).await,
        }
    }

    fn is_own(&self, mark: &str) -> bool {
        mark.strip_prefix(&self.writer).is_some_and(|number| number.starts_with('/'))
    }

    fn next_mark(&self) -> Arc<str> {
        format!("{}/{}", self.writer, self.marks.fetch_add(1, Ordering::Relaxed)).into()
    }
}

/// A save under way: its present transaction.
struct Save<'s> {
    target: &'s CacheTarget,
    store: &'s StoreShared,
    write: Box<dyn CacheWrite>,
    /// The cursor of the leaves once all of them are written.
    cursor: Cursor,
    began: Instant,
    leaves: usize,
    bytes: usize,
}

impl<'s> Save<'s> {
    async fn begin(target: &'s CacheTarget, store: &'s StoreShared, unsaved: &Unsaved) -> Result<Save<'s>, Stop> {
        let cursor = Cursor {
            server: target.server.clone(),
            seq: unsaved.seq,
            last_op_id: unsaved.last_op_id.clone(),
            inexact_through: unsaved.inexact_through,
            unfinished: None,
        };
        Save::transaction(target, store, cursor).await
    }

    /// Begins a transaction of a save.
    async fn transaction(target: &'s CacheTarget, store: &'s StoreShared, cursor: Cursor) -> Result<Save<'s>, Stop> {
        let write = in_time(WRITING, target.cache.write(&store.name)).await?;
        Ok(Save { target, store, write, cursor, began: Instant::now(), leaves: 0, bytes: 0 })
    }

    /// Writes the whole mirror in chunks, and then the changes since: the last commit is the state at one op, although
    /// the mirror was never locked for the whole time.
    async fn rewrite(mut self, unsaved: &mut Unsaved) -> Result<Saved, Stop> {
        if let What::Changes(_) = unsaved.what {
            // For a failure before the end: changes of leaves that are not written yet are not in the journal.
            unsaved.what = What::Whole { is_rewound: false };
        }
        let store = self.store;
        while in_time(WRITING, self.write.clear(MAX_LEAVES)).await? {
            self = self.next_transaction().await?;
        }
        store.begin_rewrite();
        let mut after: Option<Path> = None;
        let newer = loop {
            match store.rewrite_next(after.as_ref()) {
                Ok(leaves) => {
                    after = leaves.last().map(|last| last.path.clone());
                    self = self.change(leaves, Vec::new()).await?;
                }
                Err(newer) => break newer,
            }
        };
        let Some(newer) = newer else { return self.finish().await };
        let What::Changes(changes) = &newer.what else {
            store.put_back(newer);
            return Err(Stop::Replaced);
        };
        self.cursor.seq = newer.seq;
        self.cursor.last_op_id = newer.last_op_id.clone();
        self.cursor.inexact_through = newer.inexact_through;
        let written = match self.changes(changes).await {
            Ok(save) => save.finish().await,
            Err(stop) => Err(stop),
        };
        if written.is_err() {
            store.put_back(newer);
        }
        written
    }

    async fn changes(mut self, changes: &Changes) -> Result<Save<'s>, Stop> {
        let mut leaves = changes.set.iter();
        let mut removed = changes.removed.iter().map(|path| Path::from_trusted(path));
        loop {
            let set = next_chunk(&mut leaves);
            let removed: Vec<Path> = removed.by_ref().take(CHUNK).collect();
            if set.is_empty() && removed.is_empty() {
                return Ok(self);
            }
            self = self.change(set, removed).await?;
        }
    }

    /// Writes a chunk, in another transaction if this one is full.
    async fn change(mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<Save<'s>, Stop> {
        if self.leaves >= MAX_LEAVES || self.bytes >= MAX_BYTES {
            self = self.next_transaction().await?;
        }
        self.leaves += set.len() + removed.len();
        self.bytes += set.iter().map(|leaf| leaf.path.as_str().len() + leaf.value.as_str().len()).sum::<usize>();
        in_time(WRITING, self.write.change(set, removed)).await?;
        Ok(self)
    }

    /// Commits the leaves so far as unfinished, lets other users of the database write, and begins the next
    /// transaction. Fails if another client wrote to this store meanwhile.
    async fn next_transaction(self) -> Result<Save<'s>, Stop> {
        let Save { target, store, write, cursor, began, .. } = self;
        let mark = target.next_mark();
        store.set_saved(None);
        in_time(WRITING, write.commit(Cursor { unfinished: Some(Arc::clone(&mark)), ..cursor.clone() })).await?;
        sleep((began.elapsed() / 2).clamp(MIN_PAUSE, MAX_PAUSE)).await;
        let mut next = Save::transaction(target, store, cursor).await?;
        let kept = in_time(WRITING, next.write.cursor()).await?;
        if kept.and_then(|kept| kept.unfinished).is_none_or(|last| last != mark) {
            return Err(Stop::TakenOver);
        }
        Ok(next)
    }

    async fn finish(self) -> Result<Saved, Stop> {
        let seq = self.cursor.seq;
        in_time(WRITING, self.write.commit(self.cursor)).await?;
        Ok(Saved::Through(seq))
    }
}
