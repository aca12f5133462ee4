//! The promises of the realtime client, and their violations.

use std::fmt;

/// A promise of the realtime client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// An acknowledged write is in the log, under the number it was acknowledged with, within the time of its call.
    AcknowledgedIsKept,
    /// No op is in the log twice.
    WrittenOnce,
    /// A write is sent once, over the socket or HTTP, unless its caller received the answer that it was not applied.
    SentOnce,
    /// A write that was answered as failed, or was never requested, is not in the log.
    FailedIsAbsent,
    /// If one call returned before another began, their op numbers are in this order; an acknowledged op is in the
    /// mirror.
    OrderOfCalls,
    /// A read returns the state at some op that the reader may see.
    ReadsAreStates,
    /// The mirror equals the store after all activity has ended.
    MirrorIsExact,
    /// Subscribers receive each op once and in order.
    OnceAndInOrder,
    /// Every call has one answer, in time.
    EveryCallIsAnswered,
    /// If only events are lost, no call ends with an unknown outcome, and each ends soon.
    UnknownNeedsAFault,
    /// The client becomes idle after the faults have ended.
    ComesToRest,
    /// A write under a fence is applied only while its lease is held.
    FencesHold,
    /// Nothing panics.
    NoPanic,
}

/// A broken promise with its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: Promise,
    /// The details.
    pub what: String,
}

impl Violation {
    /// Makes a violation of a promise.
    pub fn new(promise: Promise, what: impl Into<String>) -> Violation {
        Violation { promise, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}
