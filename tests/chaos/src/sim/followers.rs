//! Subscribers: immediate and slow ones.

use std::sync::Arc;

use dust_orm::internals::{Delivery, Mirror, Ops, QUEUE, subscribe};
use dust_orm::transport::Hub;
use dust_protocol::Pattern;
use futures_util::{FutureExt, StreamExt};

use crate::dice::Dice;
use crate::ledger;

const PATTERNS: [&str; 5] = ["**", "a/**", "*/x", "b/**", "c/*"];

/// A subscriber that keeps a copy of the leaves that match a pattern.
pub(super) struct Follower {
    pattern: Pattern,
    ops: Ops,
    copy: Mirror,
    /// Percentage of the times at which it reads its queue. At 100 it never needs a resync.
    listens: u64,
    /// The last op that it received.
    last: u64,
    /// The era of the store of its copy.
    era: usize,
}

/// The subscribers of a store: an immediate one, and two slow ones with short queues.
pub(super) fn followers(hub: &Arc<Hub>, mirror: &Mirror, era: usize, dice: &mut Dice) -> Result<Vec<Follower>, String> {
    let follower = |pattern: &str, room, listens| -> Result<Follower, String> {
        let pattern = Pattern::parse(pattern).map_err(|error| error.to_string())?;
        let ops = subscribe(hub, &pattern, room);
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
    /// True if it reads its queue this time.
    pub(super) fn wants(&self, dice: &mut Dice) -> bool {
        dice.percent(self.listens)
    }

    /// Applies a restore of the store that keeps all ops of the client's mirror.
    pub(super) fn restored(&mut self, era: usize) {
        if self.era + 1 == era {
            self.era = era;
        }
    }

    /// Reads its queue, and returns the number of resyncs. The error is a wrong event.
    /// Before an op of a restored store it has to receive a resync, unless it had none of the lost ops.
    pub(super) fn listen(&mut self, mirror: &Mirror, era: usize) -> Result<u64, String> {
        let mut resyncs = 0;
        while let Some(Some(delivery)) = self.ops.next().now_or_never() {
            match delivery {
                Delivery::Op(op) => {
                    let (seq, is_prompt) = (op.store_seq, self.listens == 100);
                    let is_next = if is_prompt { seq == self.copy.seq() + 1 } else { seq > self.last };
                    if self.era != era {
                        return Err(format!("a subscriber receives op {seq} of a restored store without a resync"));
                    }
                    if !is_next {
                        let (last, at) = (self.last, self.copy.seq());
                        return Err(format!("a subscriber at op {at} receives op {seq} after op {last}"));
                    }
                    self.last = seq;
                    // Ops that a resync has read already may still arrive.
                    if seq > self.copy.seq() {
                        self.copy.apply(&op);
                    }
                }
                _ => {
                    resyncs += 1;
                    self.copy = mirror.clone();
                    if std::mem::replace(&mut self.era, era) != era {
                        // The numbers are those of other ops now.
                        self.last = 0;
                    }
                }
            }
        }
        Ok(resyncs)
    }

    /// Checks its copy after all events.
    pub(super) fn check(&self, mirror: &Mirror) -> Result<(), String> {
        let (copy, original) = (ledger::shown(&self.copy, &self.pattern)?, ledger::shown(mirror, &self.pattern)?);
        let same = ledger::same(&copy, &original, self.copy.inexact_through());
        same.map_err(|what| format!("what a subscriber to {} has made of it: {what}", self.pattern.as_str()))
    }
}
