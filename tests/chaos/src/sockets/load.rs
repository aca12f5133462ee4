//! The load of the clients: writes, reads, subscriptions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dust_orm::internals::{Delivery, QUEUE, subscribe};
use dust_orm::realtime::SyncClient;
use dust_orm::transport::RealtimeTransport;
use dust_orm::{DustErr, ErrKind, Transport};
use dust_protocol::{Mutation, Op, Path, Pattern, RawJson};
use futures_util::StreamExt;

use crate::dice::Dice;
use crate::ledger::Shown;
use crate::violation::{Promise, Violation};

/// Time limit for a call, longer than the client's own deadlines.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

const PATHS: [&str; 7] = ["a", "a/x", "a/y", "A/x", "b", "b/x/y", "e"];
pub(super) const COUNTER: &str = "n";

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(u64),
    Failed(String),
    Unknown,
}

/// An answered write.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// The marker in its values, unless it only counts.
    pub(super) marker: Option<String>,
    /// Number of its ops.
    pub(super) ops: u64,
    /// The last op that any caller had an answer for when it began.
    pub(super) floor: u64,
    pub(super) outcome: Outcome,
}

/// A read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) client: usize,
    pub(super) pattern: Pattern,
    /// The range of ops whose state the reader may see.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) shown: Vec<Shown>,
}

/// The events of a run.
#[derive(Default)]
pub(super) struct History {
    pub(super) written: Mutex<Vec<Written>>,
    pub(super) reads: Mutex<Vec<Read>>,
    pub(super) violations: Mutex<Vec<Violation>>,
    /// Numbers of ops in the order of a subscriber, and `None` for a resync.
    pub(super) heard: Mutex<Vec<Vec<Option<u64>>>>,
    /// The last op that any caller had an answer for.
    pub(super) told: AtomicU64,
    /// Number of callers that gave up.
    pub(super) cancelled: AtomicU64,
    pub(super) stops: AtomicBool,
}

/// Locks a list, also after a panic: it is only appended to.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    fn violate(&self, promise: Promise, what: String) {
        lock(&self.violations).push(Violation::new(promise, what));
    }

    fn goes_on(&self) -> bool {
        !self.stops.load(Ordering::SeqCst)
    }
}

/// One client, and the last op that its own callers had an answer for.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) index: usize,
    pub(super) client: SyncClient,
    pub(super) transport: Arc<RealtimeTransport>,
    pub(super) told: Arc<AtomicU64>,
}

impl Subject {
    /// The op of its mirror.
    pub(super) fn seq(&self) -> u64 {
        self.client.status().first().map_or(0, |status| status.seq)
    }

    /// True if it follows the store.
    pub(super) fn is_live(&self) -> bool {
        self.client.status().iter().all(|status| status.state.is_live())
    }
}

/// Writes until it is stopped, one write after the other.
pub(super) async fn write(subject: Subject, history: Arc<History>, name: String, seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut number = 0_u64;
    while history.goes_on() {
        number += 1;
        let marker = format!("{name}.{number}");
        let kind = dice.pick(&[(60, 's'), (15, 'o'), (12, 'c'), (13, 'b')]);
        let (marker, ops) = match kind {
            Some('b') => {
                let ops = (0..3).map(|at| {
                    let value = raw(&format!(r#""{marker}:{at}""#))?;
                    Ok(Op::set(path(&mut dice)?, value))
                });
                let ops: Vec<Op> = ops.collect::<Result<_, String>>()?;
                (Some(marker), ops)
            }
            Some('c') => {
                let counter = Path::parse(COUNTER).map_err(|error| error.to_string())?;
                (None, vec![Op::new(counter, Mutation::Increment(raw("1")?))])
            }
            Some('o') => {
                let value = raw(&format!(r#"{{"x":"{marker}:0","z":{{"y":1}}}}"#))?;
                (Some(marker), vec![Op::set(path(&mut dice)?, value)])
            }
            _ => {
                let value = raw(&format!(r#""{marker}:0""#))?;
                (Some(marker), vec![Op::set(path(&mut dice)?, value)])
            }
        };
        // Some callers give up, at any point.
        let gives_up = dice.percent(5).then(|| dice.time(0, 20));
        let result = answer(&subject, &history, ops, marker, gives_up).await;
        // A caller without a connection pauses before its next call.
        if result.is_err() {
            tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
        }
    }
    Ok(())
}

/// Makes a call, and records its answer.
async fn answer(
    subject: &Subject,
    history: &History,
    ops: Vec<Op>,
    marker: Option<String>,
    gives_up: Option<Duration>,
) -> Result<u64, DustErr> {
    let floor = history.told.load(Ordering::SeqCst);
    let count = ops.len() as u64;
    let call = async { Ok(subject.transport.write(ops, None).await?.store_seq.unwrap_or(0)) };
    let result = tokio::time::timeout(gives_up.unwrap_or(PATIENCE), call).await.unwrap_or_else(|_| {
        match gives_up {
            Some(_) => _ = history.cancelled.fetch_add(1, Ordering::SeqCst),
            None => history.violate(Promise::EveryCallIsAnswered, format!("the write {marker:?} is not answered")),
        }
        Err(DustErr::timeout("a write"))
    });
    let outcome = match &result {
        Ok(seq) => {
            // Over HTTP without a connection of the socket the mirror cannot have it.
            if subject.is_live() && subject.seq() < *seq && count == 1 {
                let what =
                    format!("client {} has the answer op {seq}, its mirror has {}", subject.index, subject.seq());
                history.violate(Promise::OrderOfCalls, what);
            }
            if count == 1 {
                subject.told.fetch_max(*seq, Ordering::SeqCst);
            }
            history.told.fetch_max(*seq, Ordering::SeqCst);
            Outcome::Done(*seq)
        }
        Err(error) if error.kind() == ErrKind::Timeout => Outcome::Unknown,
        Err(error) => Outcome::Failed(error.to_string()),
    };
    lock(&history.written).push(Written { marker, ops: count, floor, outcome });
    result
}

/// Reads until it is stopped.
pub(super) async fn read(subject: Subject, history: Arc<History>, seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    while history.goes_on() {
        let pattern = ["**", "a/**", "*/x", "b/**"][dice.index(4)];
        let pattern = Pattern::parse(pattern).map_err(|error| error.to_string())?;
        let from = subject.seq().max(subject.told.load(Ordering::SeqCst));
        let listed = tokio::time::timeout(PATIENCE, subject.transport.list(&list(&pattern))).await;
        match listed {
            Err(_) => history.violate(Promise::EveryCallIsAnswered, "a read is not answered".to_owned()),
            // There is nothing to read before the first catch-up.
            Ok(Err(_)) => {}
            Ok(Ok(page)) => {
                let shown = crate::ledger::page(page);
                let to = subject.seq();
                lock(&history.reads).push(Read { client: subject.index, pattern, from, to, shown });
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.within(1, 20))).await;
    }
    Ok(())
}

fn list(pattern: &Pattern) -> dust_protocol::ListRequest {
    dust_protocol::ListRequest::pattern(pattern.clone())
}

/// Subscribes until the client is shut down.
pub(super) async fn listen(subject: Subject, history: Arc<History>) -> Result<(), String> {
    let pattern = Pattern::parse("**").map_err(|error| error.to_string())?;
    let hub = subject.transport.op_hub().await.map_err(|error| error.to_string())?;
    let mut ops = subscribe(&hub, &pattern, QUEUE);
    drop(hub);
    let mut heard = Vec::new();
    while let Some(delivery) = ops.next().await {
        heard.push(match delivery {
            Delivery::Op(op) => Some(op.store_seq),
            _ => None,
        });
    }
    lock(&history.heard).push(heard);
    Ok(())
}

fn path(dice: &mut Dice) -> Result<Path, String> {
    Path::parse(PATHS[dice.index(PATHS.len())]).map_err(|error| error.to_string())
}

fn raw(text: &str) -> Result<RawJson, String> {
    RawJson::parse(text).map_err(|error| error.to_string())
}
