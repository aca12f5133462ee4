//! A client: a session, its mirrors, its callers and its subscribers.

use std::sync::Arc;
use std::time::Duration;

use dust_orm::internals::{Mirror, Session, StoreId};
use dust_orm::realtime::{StoreState, Timing};
use dust_orm::transport::Hub;
use dust_protocol::CommittedOp;

use super::followers::{Follower, followers};
use super::server::Kept;
use crate::dice::Dice;

pub(super) struct Client {
    pub(super) name: String,
    /// Its device id, a new one after each restart.
    pub(super) device_id: String,
    pub(super) session: Session,
    pub(super) stores: Vec<Seen>,
    pub(super) wire: Option<usize>,
    /// The running attempt to connect.
    pub(super) dialling: Option<u64>,
    pub(super) attempts: u64,
    /// Its wake time, on the clock of the world.
    pub(super) wakes_at: Option<Duration>,
    /// The offset of its clock.
    pub(super) ahead: Duration,
    /// Its calls, by the number of the command.
    pub(super) commands: Vec<usize>,
    /// Number of its starts.
    pub(super) starts: u64,
    /// Answers that the server will not send.
    pub(super) mute: Mute,
    /// The last write that was sent.
    pub(super) last_write: Option<String>,
}

/// Numbers of the next answers that a client does not receive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mute {
    pub(super) joins: u64,
    pub(super) catch_ups: u64,
    pub(super) statuses: u64,
}

/// A store as a client sees it.
pub(super) struct Seen {
    pub(super) mirror: Mirror,
    /// The mirror as saved by a cache.
    pub(super) cached: Mirror,
    /// The eras of the store of the mirror and of the cache.
    pub(super) era: usize,
    pub(super) cached_era: usize,
    pub(super) is_live: bool,
    /// The last op that callers had an answer for.
    pub(super) told: u64,
    /// The last op that subscribers received.
    pub(super) heard: u64,
    hub: Arc<Hub>,
    pub(super) followers: Vec<Follower>,
}

impl Client {
    pub(super) fn new(index: usize, stores: &[Kept], dice: &mut Dice) -> Result<Client, String> {
        let names = stores.iter().map(|store| (store.name.clone(), 0));
        let seen =
            stores.iter().map(|_| Seen::starting_at(Mirror::default(), 0, dice)).collect::<Result<_, String>>()?;
        Ok(Client {
            name: format!("client {index}"),
            device_id: format!("d{index}.0"),
            session: Session::new(Timing::default(), names, dice.roll()),
            stores: seen,
            wire: None,
            dialling: None,
            attempts: 0,
            wakes_at: None,
            ahead: Duration::ZERO,
            commands: Vec::new(),
            starts: 0,
            mute: Mute::default(),
            last_write: None,
        })
    }

    /// Restarts as a new process, with the mirrors of its cache.
    pub(super) fn restart(&mut self, index: usize, stores: &[Kept], dice: &mut Dice) -> Result<(), String> {
        self.starts += 1;
        self.device_id = format!("d{index}.{}", self.starts);
        let names = stores.iter().zip(&self.stores).map(|(store, seen)| (store.name.clone(), seen.cached.seq()));
        let mut session = Session::new(Timing::default(), names, dice.roll());
        for (store, seen) in self.stores.iter_mut().enumerate() {
            session = session.with_last_op(StoreId(store), seen.cached.last_op_id().cloned());
            *seen = Seen::starting_at(seen.cached.clone(), seen.cached_era, dice)?;
        }
        self.session = session;
        (self.wire, self.dialling, self.wakes_at, self.last_write) = (None, None, None, None);
        self.commands.clear();
        Ok(())
    }

    /// Saves the mirrors in the cache.
    pub(super) fn save(&mut self) {
        for seen in &mut self.stores {
            (seen.cached, seen.cached_era) = (seen.mirror.clone(), seen.era);
        }
    }

    /// The ops of its mirrors.
    pub(super) fn cursors(&self) -> Vec<u64> {
        self.stores.iter().map(|seen| seen.mirror.seq()).collect()
    }

    /// The time of its own clock.
    pub(super) fn time(&self, now: Duration) -> Duration {
        now + self.ahead
    }
}

impl Seen {
    /// The state of a client at its first start.
    fn starting_at(cached: Mirror, era: usize, dice: &mut Dice) -> Result<Seen, String> {
        let (mirror, at) = (cached.clone(), cached.seq());
        let hub = Hub::new(at);
        let followers = followers(&hub, &mirror, era, dice)?;
        Ok(Seen { mirror, cached, era, cached_era: era, is_live: false, told: at, heard: at, hub, followers })
    }

    /// Applies a restore of the store from a backup up to an op. A state up to this op is of the new era, too.
    pub(super) fn restored(&mut self, through: u64, era: usize) {
        let follows = |its: &mut usize, seq: u64| {
            if *its + 1 == era && seq <= through {
                *its = era;
            }
        };
        follows(&mut self.era, self.mirror.seq());
        follows(&mut self.cached_era, self.cached.seq());
        if self.era == era {
            self.followers.iter_mut().for_each(|follower| follower.restored(era));
        }
    }

    /// Sends ops of the mirror to subscribers.
    pub(super) fn publish(&mut self, ops: &[CommittedOp], dice: &mut Dice) -> Result<u64, String> {
        self.hub.publish(ops, None);
        self.listen(dice)
    }

    /// Sends a resync to subscribers after the mirror was replaced.
    pub(super) fn resync(&mut self, dice: &mut Dice) -> Result<u64, String> {
        self.hub.resync(self.mirror.seq());
        self.listen(dice)
    }

    /// Lets some subscribers read their queues, and returns the number of resyncs.
    fn listen(&mut self, dice: &mut Dice) -> Result<u64, String> {
        let Seen { followers, mirror, era, .. } = self;
        followers.iter_mut().filter(|follower| follower.wants(dice)).map(|follower| follower.listen(mirror, *era)).sum()
    }

    /// Lets all subscribers read their queues, and checks their copies.
    pub(super) fn check_followers(&mut self) -> Result<(), String> {
        for follower in &mut self.followers {
            follower.listen(&self.mirror, self.era)?;
            follower.check(&self.mirror)?;
        }
        Ok(())
    }

    /// Applies an op; the error is the broken promise.
    pub(super) fn apply(&mut self, op: &CommittedOp, original: Option<&CommittedOp>) -> Result<(), String> {
        if op.store_seq != self.heard + 1 {
            return Err(format!("op {} is handed on after op {}", op.store_seq, self.heard));
        }
        self.heard = op.store_seq;
        self.mirror.apply(op);
        let key = |op: &CommittedOp| (op.op, op.path.clone(), op.device_id.clone(), op.client_op_id.clone());
        match original {
            Some(original) if key(original) == key(op) => Ok(()),
            Some(original) => {
                Err(format!("op {} is handed on as {:?}, not {:?}", op.store_seq, key(op), key(original)))
            }
            None => Err(format!("op {} is handed on, which there is not", op.store_seq)),
        }
    }

    pub(super) fn set_state(&mut self, state: &StoreState) {
        self.is_live = state.is_live();
    }
}
