//! What is promised, and how a run tells that it was broken.

use std::fmt;

/// What the realtime client promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// An acknowledged write is in the log, under the number it was acknowledged with, within the time of its call.
    AcknowledgedIsKept,
    /// No op is in the log twice.
    WrittenOnce,
    /// A write is sent once, by whatever way, unless its caller was told that it was not done.
    SentOnce,
    /// What was answered as failed, or was never asked for, is not in the log.
    FailedIsAbsent,
    /// If one call returned before another began, their numbers agree; and what a caller was told of is in its mirror.
    OrderOfCalls,
    /// What is read is the state at some op that the reader may see.
    ReadsAreStates,
    /// When all is quiet the mirror is the store.
    MirrorIsExact,
    /// Ops are handed on once each and in order.
    OnceAndInOrder,
    /// Every caller is answered once, in time.
    EveryCallIsAnswered,
    /// Where nothing was lost but events, no call ends with an unknown outcome, and each is answered soon.
    UnknownNeedsAFault,
    /// It comes to rest when the faults are over.
    ComesToRest,
    /// A write under a fence is done only while its lease is held.
    FencesHold,
    /// Nothing panics.
    NoPanic,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// How.
    pub what: String,
}

impl Violation {
    /// A broken promise.
    pub fn new(promise: Promise, what: impl Into<String>) -> Violation {
        Violation { promise, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}
