//! Keeping mirrors in a cache: read at the start, written behind.
//!
//! One task per client writes what its mirrors' journals have collected, a moment after they have begun to. What it takes
//! from a journal it puts back when the cache fails, and tries again later, less and less often.
//!
//! # Several clients, one cache
//!
//! What a store holds follows from its `store_seq` alone, so it does not matter which client wrote it. One that has collected
//! the changes from op `base` to op `seq` looks where the cache is, in the transaction in which it writes:
//!
//! | the cache is | |
//! |---|---|
//! | at `seq` or later | another client was quicker: nothing is left to be done |
//! | from `base` on | what is collected covers what it lacks |
//! | before `base`, or nowhere | somebody put it back or emptied it: everything is written again |
//!
//! Everything is also written after a snapshot, and, wherever the cache is, when the store itself went back.
//!
//! # Transactions of bounded size
//!
//! Changes that exceed the size of one transaction are written in several, with a pause between them in which other
//! users of the database write. Each but the last commits a cursor that is `unfinished`, with a mark of its own:
//!
//! ```text
//!                first part            further parts                     last part
//! as of seq n ──────────────▶ mark 1 ──────────────▶ mark 2 … mark k ──────────────▶ as of seq m
//!                               │ another mark or cursor is found: begin again
//!                               ▼
//!                    the other client writes; wait for it while its marks change, else take its place
//! ```

mod save;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dust_protocol::PackedLeaves;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::mirror::Mirror;
use super::store::StoreShared;
use crate::error::DustErr;
use crate::patience::within;
use crate::random::backoff;
use crate::realtime::cache::{Cache, Cursor};

/// How long changes are collected before they are written.
const FLUSH_DELAY: Duration = Duration::from_millis(100);
/// The pause after a failure, doubled for each further one.
const MIN_RETRY_PAUSE: Duration = Duration::from_millis(200);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(30);
/// How often a failure is warned of at the most.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How long one step of a transaction may take.
const STEP: Duration = Duration::from_secs(60);
/// The time in which a caller waits for a flush of all mirrors: longer than a step, as it is many of them.
const FLUSH: Duration = Duration::from_secs(120);
/// The operations in errors.
const READING: &str = "reading from the cache";
const WRITING: &str = "writing to the cache";
/// How long the last write may take when the client ends.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// Where the mirrors of a client are kept.
#[derive(Debug)]
pub(super) struct CacheTarget {
    cache: Arc<dyn Cache>,
    /// The address of the server.
    server: String,
    /// The name of this client in its marks.
    writer: String,
    /// The number of marks that it has made.
    marks: AtomicU64,
}

impl CacheTarget {
    /// The cache of a client, which its marks name `writer`.
    pub(super) fn new(cache: Arc<dyn Cache>, server: String, writer: String) -> CacheTarget {
        CacheTarget { cache, server, writer, marks: AtomicU64::new(0) }
    }

    /// The mirror of a store as it was kept, with a journal; and whether anything was.
    pub(super) async fn load(&self, store: &str) -> Result<(Mirror, bool), DustErr> {
        let mut read = in_time(READING, self.cache.read(store)).await?;
        let mut mirror = Mirror::default();
        let kept = in_time(READING, read.cursor()).await?;
        if let Some(kept) = &kept {
            self.check(store, kept)?;
        }
        let kept = kept.filter(|kept| kept.unfinished.is_none());
        if let Some(kept) = &kept {
            mirror.replace(kept.seq, kept.inexact_through, PackedLeaves::default());
            mirror.set_last_op_id(kept.last_op_id.clone());
            loop {
                let leaves = in_time(READING, read.next_leaves()).await?;
                if leaves.is_empty() {
                    break;
                }
                mirror.extend(&leaves.into());
            }
        }
        mirror.keep_journal(kept.as_ref().map(|kept| kept.seq));
        Ok((mirror, kept.is_some()))
    }

    fn check(&self, store: &str, kept: &Cursor) -> Result<(), DustErr> {
        if kept.server == self.server {
            return Ok(());
        }
        Err(DustErr::invalid_params(format!(
            "the cache keeps the store `{store}` of the server {}, and this client is one of {}; give it another cache (a SQL \
             cache: another `table`), or clear the store's (`SqlCache::clear`)",
            kept.server, self.server
        )))
    }
}

/// A cache that does not answer at all has failed, too.
async fn in_time<T>(operation: &str, step: impl Future<Output = Result<T, DustErr>>) -> Result<T, DustErr> {
    match timeout(STEP, step).await {
        Ok(result) => result,
        Err(_) => Err(DustErr::timeout(operation)),
    }
}

/// What is asked of the task that writes.
enum FlushMessage {
    /// Write what there is now, and say how that went.
    Flush(oneshot::Sender<Result<(), DustErr>>),
    Stop,
}

/// Asks for what was mirrored to be written.
#[derive(Clone, Debug)]
pub(super) struct FlushHandle(mpsc::Sender<FlushMessage>);

impl FlushHandle {
    pub(super) async fn flush(&self) -> Result<(), DustErr> {
        let stopped = || DustErr::network("the realtime client was shut down");
        let (answer, answered) = oneshot::channel();
        let flush = async {
            self.0.send(FlushMessage::Flush(answer)).await.map_err(|_| stopped())?;
            answered.await.unwrap_or_else(|_| Err(stopped()))
        };
        within(FLUSH, flush).await.unwrap_or_else(|| {
            let operation = format!("{WRITING}, whose task does not come to it (is its runtime driven?)");
            Err(DustErr::timeout(operation))
        })
    }
}

/// The task that writes.
pub(super) struct WriteBehindHandle {
    asks: FlushHandle,
    task: JoinHandle<()>,
}

impl WriteBehindHandle {
    /// `unsaved` is rung when there may be something to write.
    pub(super) fn start(place: CacheTarget, stores: Vec<Arc<StoreShared>>, unsaved: Arc<Notify>) -> WriteBehindHandle {
        let (asks, asked) = mpsc::channel(16);
        let writer = Writer { place, stores, failures: 0, warned: None };
        WriteBehindHandle { asks: FlushHandle(asks), task: tokio::spawn(writer.run(asked, unsaved)) }
    }

    pub(super) fn flusher(&self) -> FlushHandle {
        self.asks.clone()
    }

    /// Writes what is left, if the cache is there to take it, and ends.
    pub(super) async fn stop(mut self) {
        let end = async {
            // It ends only when it is told to.
            let _ = self.asks.0.send(FlushMessage::Stop).await;
            let _ = (&mut self.task).await;
        };
        if timeout(STOP_GRACE, end).await.is_err() {
            tracing::warn!(
                "the cache of the realtime client did not take the last changes in time; they are fetched again"
            );
            self.task.abort();
        }
    }
}

struct Writer {
    place: CacheTarget,
    stores: Vec<Arc<StoreShared>>,
    /// In a row.
    failures: u32,
    warned: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut asked: mpsc::Receiver<FlushMessage>, unsaved: Arc<Notify>) {
        let mut flush_at = None;
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(FlushMessage::Flush(answer)) => {
                        let flushed = self.flush().await;
                        flush_at = self.retry_at(&flushed);
                        // Whoever asked may have gone.
                        let _ = answer.send(flushed);
                    }
                    Some(FlushMessage::Stop) | None => {
                        let _ = self.flush().await;
                        return;
                    }
                },
                () = unsaved.notified(), if flush_at.is_none() => flush_at = Some(Instant::now() + FLUSH_DELAY),
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    let flushed = self.flush().await;
                    flush_at = self.retry_at(&flushed);
                }
            }
        }
    }

    /// Writes what every store lacks; the first failure.
    async fn flush(&mut self) -> Result<(), DustErr> {
        let mut result = Ok(());
        for store in &self.stores {
            if let Err(error) = self.place.flush(store).await {
                if self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                    self.warned = Some(Instant::now());
                    tracing::warn!(store = %store.name, %error, "the cache cannot be written; it is tried again");
                }
                result = result.and(Err(error));
            }
        }
        result
    }

    /// When to try again after a failure.
    fn retry_at(&mut self, flushed: &Result<(), DustErr>) -> Option<Instant> {
        if flushed.is_ok() {
            self.failures = 0;
            return None;
        }
        let pause = backoff(self.failures, MIN_RETRY_PAUSE, MAX_RETRY_PAUSE);
        self.failures = self.failures.saturating_add(1);
        Some(Instant::now() + pause)
    }
}

#[cfg(test)]
mod tests;
