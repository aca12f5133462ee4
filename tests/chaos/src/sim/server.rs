//! The server: an emulator without a network, and the logs of its stores.

use std::sync::Arc;
use std::time::Duration;

use dust_emulator::{Emulator, InProcessServer, RateLimit};
use dust_store::{ManualClock, Origin, Store};

use super::plan::Plan;
use crate::ledger::Ledger;

pub(super) struct Server {
    pub(super) unplugged: InProcessServer,
    clock: Arc<ManualClock>,
    told_ms: u64,
    pub(super) stores: Vec<Kept>,
    /// The end of its downtime.
    pub(super) down_until: Option<Duration>,
}

/// A store, and its log.
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) handle: Store,
    pub(super) ledger: Ledger,
    /// The ledgers before each restore from a backup.
    pub(super) lost: Vec<Ledger>,
    /// The last op of each of the backups.
    pub(super) restored_to: Vec<u64>,
}

impl Kept {
    /// Number of restores. An op of two eras is in the ledger of both, with the same number.
    pub(super) fn era(&self) -> usize {
        self.lost.len()
    }

    /// The ledger of an era.
    pub(super) fn ledger_of(&self, era: usize) -> &Ledger {
        self.lost.get(era).unwrap_or(&self.ledger)
    }
}

/// The origin of HTTP writes.
pub(super) fn http_origin(id: &str) -> Origin {
    Origin::new("http:token", id)
}

impl Server {
    pub(super) fn new(plan: &Plan) -> Result<Server, String> {
        let clock = Arc::new(ManualClock::new(1_790_000_000_000));
        let names: Vec<String> = (0..plan.stores).map(|store| format!("acme/s{store}")).collect();
        let mut builder = Emulator::builder().secret("secret").clock(Arc::clone(&clock) as Arc<_>);
        for name in &names {
            builder = builder.store(name);
        }
        if let Some(writes) = plan.rate_limit {
            builder = builder.rate_limit(RateLimit { writes, ..RateLimit::PRODUCTION });
        }
        let unplugged = builder.unplugged().map_err(|error| error.to_string())?;
        let stores = names.into_iter().map(|name| {
            let handle = unplugged.store_handle(&name).map_err(|error| error.to_string())?;
            Ok(Kept { name, handle, ledger: Ledger::default(), lost: Vec::new(), restored_to: Vec::new() })
        });
        let stores = stores.collect::<Result<_, String>>()?;
        Ok(Server { unplugged, clock, told_ms: 0, stores, down_until: None })
    }

    /// Advances its clock.
    pub(super) fn tick(&mut self, now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let passed = now_ms.saturating_sub(self.told_ms);
        self.clock.advance(u32::try_from(passed).unwrap_or(u32::MAX));
        self.told_ms = now_ms;
    }

    /// Sets its wall clock.
    pub(super) fn set_wall(&mut self, by_ms: i64) {
        use dust_store::Clock;
        self.clock.set_wall(self.clock.wall_ms() + by_ms);
    }
}
