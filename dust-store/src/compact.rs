//! Compaction, which replaces the log by a snapshot of the leaves.
//!
//! Without compaction a store grows with every write. A store compacts itself once its log is large compared with its
//! leaves, on a separate thread and in steps, between which other writes are possible:
//!
//! 1. Copy the leaves as of the current `store_seq` S to a new snapshot, a few hundred in each transaction.
//! 2. In one transaction replace the old snapshot by the new one and record S. From now on readers skip the rows of
//!    the log up to S.
//! 3. Remove these rows, a few hundred in each transaction.
//! 4. If the file is much larger than its content, return the rest to the disk.
//!
//! A process that ends in step 1 leaves a part of a new snapshot, which the next compaction removes first. A process
//! that ends in step 3 leaves rows that no reader sees, which the next step 3 removes.

use std::ops::Bound;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use redb::{Durability, ReadableTable, WriteTransaction};

use super::changes::Sizes;
use super::error::StoreError;
use super::tables::{
    LEAVES, LIVE_BYTES, LOG, LOG_BYTES, META, NEXT_SNAPSHOT, SNAPSHOT, SNAPSHOT_BYTES, SNAPSHOT_SEQ, View, last_seq,
    leaf_bytes, number, op_bytes,
};
use super::{Inner, Store, Writer, files};

/// The largest number of rows and of bytes in one step.
const STEP_ROWS: usize = 500;
const STEP_BYTES: u64 = 256 * 1024;
/// The longest wait between two steps.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// The largest number of bytes in use for which a store shrinks its file by itself, as reads and writes wait during
/// that.
const SHRINK_AT_MOST: u64 = 64 * 1024 * 1024;

/// The condition under which a store compacts itself, see
/// [`StoreBuilder::compaction`](super::StoreBuilder::compaction).
///
/// ```
/// use dust_store::{Compaction, Store};
///
/// // A log of 1 MiB is compacted if it is 4 times as large as the leaves.
/// let often = Compaction::default().min_log_bytes(1024 * 1024).log_per_live(4);
/// let store = Store::builder().compaction(often).in_memory()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    min_log_bytes: u64,
    log_per_live: u64,
}

impl Default for Compaction {
    /// A log of 8 MiB that is twice as large as the leaves.
    fn default() -> Compaction {
        Compaction { min_log_bytes: 8 * 1024 * 1024, log_per_live: 2 }
    }
}

impl Compaction {
    /// The store never compacts itself, for callers of [`Store::compact`] and readers of the whole log.
    pub fn never() -> Compaction {
        Compaction { min_log_bytes: u64::MAX, log_per_live: 0 }
    }

    /// The size that a log has to exceed, in bytes (default: 8 MiB).
    pub fn min_log_bytes(mut self, bytes: u64) -> Compaction {
        self.min_log_bytes = bytes;
        self
    }

    /// The factor by which a log has to be larger than the leaves (default: 2).
    pub fn log_per_live(mut self, times: u64) -> Compaction {
        self.log_per_live = times;
        self
    }

    fn most(&self, live: u64) -> u64 {
        self.min_log_bytes.max(self.log_per_live.saturating_mul(live))
    }

    fn is_due(&self, sizes: &Sizes) -> bool {
        // The part of the snapshot that is larger than the leaves counts as log.
        sizes.log + sizes.snapshot.saturating_sub(sizes.live) > self.most(sizes.live)
    }

    /// True if a file is much larger than a store of this size needs between two compactions.
    fn should_shrink(&self, sizes: &Sizes, file: u64) -> bool {
        let in_use = sizes.live + sizes.snapshot + sizes.log;
        let needed = self.most(sizes.live).saturating_add(in_use).saturating_mul(2);
        in_use <= SHRINK_AT_MOST && file > needed.saturating_mul(2)
    }
}

impl Store {
    /// Replaces the log by a snapshot of the leaves and returns the snapshot's `store_seq`; `None` if the log was
    /// empty. Leaves and sequence stay as they are. Files without a reference are removed, and unused space is returned
    /// to the disk.
    ///
    /// A store does this by itself, see [`StoreBuilder::compaction`](super::StoreBuilder::compaction); then writers
    /// wait no longer than a few hundred rows take. During this call they wait until it returns.
    pub fn compact(&self) -> Result<Option<u64>, StoreError> {
        self.inner.guarded(|| {
            let mut writer = self.inner.writer();
            let txn = self.inner.begin_write()?;
            let seq = last_seq(&txn.open_table(LOG)?, &txn.open_table(META)?)?;
            if Some(seq) == number(&txn.open_table(META)?, SNAPSHOT_SEQ)?.or(Some(0)) {
                return Ok(None);
            }
            txn.delete_table(NEXT_SNAPSHOT)?;
            txn.delete_table(LOG)?;
            {
                let leaves = txn.open_table(LEAVES)?;
                let mut snapshot = txn.open_table(NEXT_SNAPSHOT)?;
                for row in leaves.range::<&[u8]>(..)? {
                    let (path, leaf) = row?;
                    snapshot.insert(path.value(), leaf.value())?;
                }
                txn.open_table(LOG)?;
            }
            let live = writer.sizes.live;
            finish(&self.inner, &mut writer, txn, seq, Sizes { live, log: 0, snapshot: live })?;
            self.inner.storage.shrink()?;
            Ok(Some(seq))
        })
    }
}

/// Makes the new snapshot the current one. The transaction is durable.
fn finish(inner: &Inner, writer: &mut Writer, txn: WriteTransaction, seq: u64, sizes: Sizes) -> Result<(), StoreError> {
    txn.delete_table(SNAPSHOT)?;
    txn.rename_table(NEXT_SNAPSHOT, SNAPSHOT)?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert(SNAPSHOT_SEQ, seq)?;
        if inner.storage.is_persistent() {
            note(&mut meta, sizes)?;
        }
    }
    files::sweep(&txn)?;
    txn.commit()?;
    writer.sizes = sizes;
    writer.compactions += 1;
    inner.storage.refresh()
}

/// Stores the sizes for the next opening of the file.
pub(super) fn note(meta: &mut redb::Table<'_, &'static str, u64>, sizes: Sizes) -> Result<(), StoreError> {
    meta.insert(LIVE_BYTES, sizes.live)?;
    meta.insert(LOG_BYTES, sizes.log)?;
    meta.insert(SNAPSHOT_BYTES, sizes.snapshot)?;
    Ok(())
}

/// The sizes of a store that is opened: the stored ones, otherwise counted ones.
pub(super) fn sizes(view: &View) -> Result<Sizes, StoreError> {
    let meta = view.txn.open_table(META)?;
    let noted = [number(&meta, LIVE_BYTES)?, number(&meta, LOG_BYTES)?, number(&meta, SNAPSHOT_BYTES)?];
    if let [Some(live), Some(log), Some(snapshot)] = noted {
        return Ok(Sizes { live, log, snapshot });
    }
    let mut sizes = Sizes::default();
    for row in view.leaves.range::<&[u8]>(..)? {
        let (path, leaf) = row?;
        sizes.live += leaf_bytes(path.value(), &leaf.value());
    }
    for row in view.snapshot.range::<&[u8]>(..)? {
        let (path, leaf) = row?;
        sizes.snapshot += leaf_bytes(path.value(), &leaf.value());
    }
    for row in view.log_after(0)? {
        sizes.log += op_bytes(&row?.1.value());
    }
    Ok(sizes)
}

/// Starts a compaction on a separate thread if one is due and none is running.
pub(super) fn start_if_due(inner: &Arc<Inner>, writer: &mut Writer) {
    if writer.is_compacting || !inner.compaction.is_due(&writer.sizes) {
        return;
    }
    let compacting = Arc::clone(inner);
    let started = std::thread::Builder::new().name("dust-orm-compact".to_owned()).spawn(move || run(&compacting));
    // If no thread can be started, the log grows until a later call starts one.
    writer.is_compacting = started.is_ok();
}

fn run(inner: &Arc<Inner>) {
    let done = inner.guarded(|| Gradual::begin(inner)?.run());
    if let Err(error) = done
        && !inner.storage.is_closed()
    {
        tracing::warn!(target: "dust_store", %error, "a compaction of the store failed; the next write tries again");
    }
    inner.writer().is_compacting = false;
}

/// A compaction in steps.
struct Gradual<'i> {
    inner: &'i Inner,
    /// The view of the store that the snapshot copies.
    view: Arc<View>,
    /// The sizes as of that view.
    sizes: Sizes,
    round: Round,
}

/// The state that must stay the same between two steps: no other compaction runs, and the database is not opened again,
/// which would lose the steps that are not durable.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Round {
    compactions: u64,
    opened: u64,
}

impl Round {
    fn now(inner: &Inner, writer: &Writer) -> Round {
        Round { compactions: writer.compactions, opened: inner.storage.opened() }
    }
}

impl<'i> Gradual<'i> {
    fn begin(inner: &'i Inner) -> Result<Gradual<'i>, StoreError> {
        let writer = inner.writer();
        let txn = step(inner)?;
        txn.delete_table(NEXT_SNAPSHOT)?;
        txn.open_table(NEXT_SNAPSHOT)?;
        txn.commit()?;
        let round = Round::now(inner, &writer);
        Ok(Gradual { inner, view: inner.storage.view()?, sizes: writer.sizes, round })
    }

    fn run(mut self) -> Result<(), StoreError> {
        let mut after = None;
        while let Some(rows) = self.copy(after.as_deref())? {
            let began = Instant::now();
            let Some(writer) = self.writer() else { return Ok(()) };
            let txn = step(self.inner)?;
            {
                let mut snapshot = txn.open_table(NEXT_SNAPSHOT)?;
                for Row { path, kind, revision, value } in &rows {
                    snapshot.insert(path.as_slice(), (*kind, *revision, value.as_slice()))?;
                }
            }
            txn.commit()?;
            drop(writer);
            after = rows.into_iter().next_back().map(|row| row.path);
            pause(began);
        }
        let seq = self.view.seq;
        {
            let Some(mut writer) = self.writer() else { return Ok(()) };
            let Sizes { live, log, .. } = writer.sizes;
            let sizes = Sizes { live, log: log.saturating_sub(self.sizes.log), snapshot: self.sizes.live };
            finish(self.inner, &mut writer, self.inner.begin_write()?, seq, sizes)?;
            self.round = Round::now(self.inner, &writer);
        }
        let inner = self.inner;
        let round = self.round;
        // The view holds the pages of the log that the next step removes.
        drop(self);
        trim(inner, round, seq)?;
        let writer = inner.writer();
        if inner.storage.size().is_some_and(|file| inner.compaction.should_shrink(&writer.sizes, file)) {
            inner.storage.shrink()?;
        }
        Ok(())
    }

    /// The lock of the writer; `None` if this compaction has become useless.
    fn writer(&self) -> Option<MutexGuard<'i, Writer>> {
        let writer = self.inner.writer();
        (Round::now(self.inner, &writer) == self.round).then_some(writer)
    }

    /// The next leaves after a path; `None` after the last.
    fn copy(&self, after: Option<&[u8]>) -> Result<Option<Vec<Row>>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for row in self.view.leaves.range::<&[u8]>((from, Bound::Unbounded))? {
            let (path, leaf) = row?;
            let (kind, revision, value) = leaf.value();
            bytes += leaf_bytes(path.value(), &leaf.value());
            rows.push(Row { path: path.value().to_vec(), kind, revision, value: value.to_vec() });
            if rows.len() == STEP_ROWS || bytes >= STEP_BYTES {
                break;
            }
        }
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }
}

/// A leaf to copy to the snapshot.
struct Row {
    path: Vec<u8>,
    kind: u8,
    revision: u64,
    value: Vec<u8>,
}

/// Removes the rows of the log that the snapshot covers.
fn trim(inner: &Inner, round: Round, seq: u64) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        let writer = inner.writer();
        if Round::now(inner, &writer) != round {
            return Ok(());
        }
        let txn = step(inner)?;
        {
            let mut log = txn.open_table(LOG)?;
            let first = log.first()?.map(|(first, _)| first.value());
            let Some(first) = first.filter(|first| *first <= seq) else { break };
            log.retain_in(first..=seq.min(first + STEP_ROWS as u64), |_, _| false)?;
        }
        txn.commit()?;
        drop(writer);
        pause(began);
    }
    // The content for readers is unchanged; the new view is on current pages.
    let _writer = inner.writer();
    inner.storage.refresh()
}

/// The transaction of a step. It does not wait for the disk: the steps become durable with the next commit.
fn step(inner: &Inner) -> Result<WriteTransaction, StoreError> {
    let mut txn = inner.begin_write()?;
    if inner.storage.is_persistent() {
        txn.set_durability(Durability::None)?;
    }
    Ok(txn)
}

/// Pauses, so that writers get as much time as they have waited.
fn pause(began: Instant) {
    std::thread::sleep(began.elapsed().min(LONGEST_PAUSE));
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Op, Path, RawJson};

    use super::*;
    use crate::Origin;

    #[test]
    fn step_copies_a_bounded_part_of_the_leaves() {
        for (bytes, steps) in [(1, 7), (2_000, 24), (300_000, 3_000)] {
            let store = Store::in_memory().unwrap();
            let value = RawJson::from(&serde_json::Value::from("x".repeat(bytes)));
            for hundred in 0..if bytes > 100_000 { 1 } else { 30 } {
                let at = |number| Path::parse(&format!("r/{hundred}/{number}")).unwrap();
                let ops = (0..100).map(|number| Op::set(at(number), value.clone())).collect();
                store.batch_write(ops, None, &Origin::new("d", "1")).unwrap();
            }
            let compaction = Gradual::begin(&store.inner).unwrap();
            let (mut after, mut copied, mut rows) = (None, 0, 0);
            while let Some(step) = compaction.copy(after.as_deref()).unwrap() {
                assert!(
                    step.len() <= STEP_ROWS
                        && step.iter().map(|row| row.value.len() as u64).sum::<u64>() < 2 * STEP_BYTES
                );
                (copied, rows) = (copied + 1, rows + step.len() as u64);
                after = step.into_iter().next_back().map(|row| row.path);
            }
            assert!(copied <= steps, "{copied} steps for values of {bytes} bytes");
            assert_eq!(rows, store.entry_count().unwrap());
        }
    }
}
