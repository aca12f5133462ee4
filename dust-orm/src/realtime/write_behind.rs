//! Keeping mirrors in a cache: read at the start, written in the background.
//!
//! One task per client writes the changes that the journals of its mirrors have collected, 100 ms after the first of
//! them. When the cache fails, it puts them back into the journal, and retries with exponential back-off.
//!
//! # Several clients, one cache
//!
//! The content of a store follows from its `store_seq` alone, so any client may write it. A client that has collected
//! the changes from op `base` to op `seq` reads the cursor of the cache in the transaction in which it writes:
//!
//! | cursor of the cache | action |
//! |---|---|
//! | `seq` or later | none: another client has written the changes |
//! | from `base` to `seq` | the changes are written |
//! | before `base`, or none | the cache was restored or emptied: the whole mirror is written |
//!
//! The whole mirror is also written after a snapshot, and, for any cursor, after the store itself went back.
//!
//! # Transactions of bounded size
//!
//! Changes that exceed the size of one transaction are written in several, with a pause between them in which other
//! users of the database write. Each but the last commits a cursor that is `unfinished`, with a mark of its own:
//!
//! ```text
//!                first part            further parts                     last part
//! as of seq n ──────────────▶ mark 1 ──────────────▶ mark 2 … mark k ──────────────▶ as of seq m
//!                               │ the cursor or the mark has changed: begin again
//!                               ▼
//!                    the other client writes: wait while its marks change, then take over
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

/// Time for which changes are collected before they are written.
const FLUSH_DELAY: Duration = Duration::from_millis(100);
/// The pause after a failure, doubled for each further one.
const MIN_RETRY_PAUSE: Duration = Duration::from_millis(200);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(30);
/// Shortest interval between two warnings about failures.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Time in which one step of a transaction completes.
const STEP: Duration = Duration::from_secs(60);
/// The time in which a caller waits for a flush of all mirrors: longer than a step, as it is many of them.
const FLUSH: Duration = Duration::from_secs(120);
/// The operations in errors.
const READING: &str = "reading from the cache";
const WRITING: &str = "writing to the cache";
/// Time for the last write when the client ends.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);

/// The cache of a client's mirrors.
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
    /// The cache of a client. `writer` is the name of the client in its marks.
    pub(super) fn new(cache: Arc<dyn Cache>, server: String, writer: String) -> CacheTarget {
        CacheTarget { cache, server, writer, marks: AtomicU64::new(0) }
    }

    /// The mirror of a store as the cache has it, with a journal. The flag is true if the cache has a complete copy.
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
            "the cache has the store `{store}` of the server {}, but this client uses the server {}; use another cache \
             (a SQL cache: another `table`), or clear the store in this one (`SqlCache::clear`)",
            kept.server, self.server
        )))
    }
}

/// The result of a step, or a timeout: a cache that does not answer has failed.
async fn in_time<T>(operation: &str, step: impl Future<Output = Result<T, DustErr>>) -> Result<T, DustErr> {
    match timeout(STEP, step).await {
        Ok(result) => result,
        Err(_) => Err(DustErr::timeout(operation)),
    }
}

/// A message to the task that writes.
enum FlushMessage {
    /// Writes all changes now, and sends the result.
    Flush(oneshot::Sender<Result<(), DustErr>>),
    Stop,
}

/// Requests writes from the task.
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
            let operation = format!("{WRITING}, whose task does not run (is its runtime driven?)");
            Err(DustErr::timeout(operation))
        })
    }
}

/// The task that writes.
pub(super) struct WriteBehindHandle {
    flusher: FlushHandle,
    task: JoinHandle<()>,
}

impl WriteBehindHandle {
    /// Starts the task. `unsaved` is notified when there may be changes to write.
    pub(super) fn start(target: CacheTarget, stores: Vec<Arc<StoreShared>>, unsaved: Arc<Notify>) -> WriteBehindHandle {
        let (messages, received) = mpsc::channel(16);
        let writer = Writer { target, stores, failures: 0, warned: None };
        WriteBehindHandle { flusher: FlushHandle(messages), task: tokio::spawn(writer.run(received, unsaved)) }
    }

    pub(super) fn flusher(&self) -> FlushHandle {
        self.flusher.clone()
    }

    /// Writes the last changes within [`STOP_GRACE`], and ends the task.
    pub(super) async fn stop(mut self) {
        let end = async {
            // The task ends only after this message.
            let _ = self.flusher.0.send(FlushMessage::Stop).await;
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
    target: CacheTarget,
    stores: Vec<Arc<StoreShared>>,
    /// Failures in a row.
    failures: u32,
    warned: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::Receiver<FlushMessage>, unsaved: Arc<Notify>) {
        let mut flush_at = None;
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(FlushMessage::Flush(answer)) => {
                        let flushed = self.flush().await;
                        flush_at = self.retry_at(&flushed);
                        // The caller may have dropped the future.
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

    /// Writes the changes of every store, and returns the first failure.
    async fn flush(&mut self) -> Result<(), DustErr> {
        let mut result = Ok(());
        for store in &self.stores {
            if let Err(error) = self.target.flush(store).await {
                if self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                    self.warned = Some(Instant::now());
                    tracing::warn!(store = %store.name, %error, "the cache cannot be written; the write is retried");
                }
                result = result.and(Err(error));
            }
        }
        result
    }

    /// The time of the next try, after a failure.
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
