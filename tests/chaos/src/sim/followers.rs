//! Subscribers: those who listen at once, and those who are slow.

use std::sync::Arc;

use dust_orm::feed::{Delivery, Hub, Ops, QUEUE};
use dust_orm::realtime::Mirror;
use dust_protocol::Pattern;
use futures_util::{FutureExt, StreamExt};

use crate::dice::Dice;
use crate::ledger;

const PATTERNS: [&str; 5] = ["**", "a/**", "*/x", "b/**", "c/*"];

/// One who keeps a copy of what matches a pattern, by what its subscription tells it.
pub(super) struct Follower {
    pattern: Pattern,
    ops: Ops,
    copy: Mirror,
    /// How often in a hundred times it listens. Who always listens misses nothing.
    listens: u64,
    /// The last op it was told of.
    last: u64,
    /// The era of the store that its copy is of.
    era: usize,
}

/// The subscribers of a store: one who hears everything at once, and two who are slow and have little room.
pub(super) fn followers(hub: &Arc<Hub>, mirror: &Mirror, era: usize, dice: &mut Dice) -> Result<Vec<Follower>, String> {
    let follower = |pattern: &str, room, listens| -> Result<Follower, String> {
        let pattern = Pattern::parse(pattern).map_err(|error| error.to_string())?;
        let ops = hub.subscribe(&pattern, room);
        Ok(Follower { pattern, ops, copy: mirror.clone(), listens, last: mirror.seq(), era })
    };
    let slow = |dice: &mut Dice| {
        let (pattern, room) = (PATTERNS[dice.index(PATTERNS.len())], dice.index(6));
        let listens = dice.pick(&[(2, 30), (1, 3), (1, 0)]).unwrap_or(30);
        follower(pattern, room, listens)
    };
    let slow = [slow(dice)?, slow(dice)?];
    Ok([follower("**", QUEUE, 100)?].into_iter().chain(slow).collect())
}

impl Follower {
    /// Whether it listens this time.
    pub(super) fn wants(&self, dice: &mut Dice) -> bool {
        dice.percent(self.listens)
    }

    /// The store was restored from a backup, and all that its client's mirror has is still there.
    pub(super) fn restored(&mut self, era: usize) {
        if self.era + 1 == era {
            self.era = era;
        }
    }

    /// Takes what waits for it; how often it had to read again. An error is what is wrong with what it was told.
    ///
    /// Before it is told of an op of a restored store, it has to be told to read again, unless it had no op that was lost.
    pub(super) fn listen(&mut self, mirror: &Mirror, era: usize) -> Result<u64, String> {
        let mut resyncs = 0;
        while let Some(Some(delivery)) = self.ops.next().now_or_never() {
            match delivery {
                Delivery::Op(op) => {
                    let (seq, is_prompt) = (op.store_seq, self.listens == 100);
                    let is_next = if is_prompt { seq == self.copy.seq() + 1 } else { seq > self.last };
                    if self.era != era {
                        return Err(format!("a subscriber is told of op {seq} of a restored store as if it went on"));
                    }
                    if !is_next {
                        let (last, at) = (self.last, self.copy.seq());
                        return Err(format!("a subscriber at op {at} is told of op {seq} after op {last}"));
                    }
                    self.last = seq;
                    // What it has read already may still be told.
                    if seq > self.copy.seq() {
                        self.copy.apply(&op);
                    }
                }
                _ => {
                    resyncs += 1;
                    self.copy = mirror.clone();
                    if std::mem::replace(&mut self.era, era) != era {
                        // The numbers mean other ops now.
                        self.last = 0;
                    }
                }
            }
        }
        Ok(resyncs)
    }

    /// Checks its copy, when it has heard everything.
    pub(super) fn check(&self, mirror: &Mirror) -> Result<(), String> {
        let (copy, original) = (ledger::shown(&self.copy, &self.pattern)?, ledger::shown(mirror, &self.pattern)?);
        let same = ledger::same(&copy, &original, self.copy.inexact_through());
        same.map_err(|what| format!("what a subscriber to {} has made of it: {what}", self.pattern.as_str()))
    }
}
