//! The conditions after all activity has ended.

use dust_protocol::Pattern;

use super::call::{Call, Outcome};
use super::world::{Checked, World, broken};
use crate::ledger;
use crate::violation::{Promise, Violation};

impl World {
    /// Checks the conditions after all activity has ended.
    pub(super) fn check(&mut self) -> Checked {
        let everything = Pattern::parse("**").map_err(|error| broken(error.to_string()))?;
        for (client, this) in self.clients.iter().enumerate() {
            for (store, (seen, kept)) in this.stores.iter().zip(&self.server.stores).enumerate() {
                let wrong = |what| self.violation(Promise::MirrorIsExact, client, store, what);
                let shown = ledger::shown(&seen.mirror, &everything).map_err(broken)?;
                let stored = ledger::stored(&kept.handle, &everything).map_err(broken)?;
                ledger::same(&shown, &stored, seen.mirror.inexact_through()).map_err(wrong)?;
                if seen.heard != kept.ledger.seq() {
                    let what = format!("ops were handed on up to {}, of {}", seen.heard, kept.ledger.seq());
                    return Err(self.violation(Promise::OnceAndInOrder, client, store, what));
                }
            }
        }
        for client in 0..self.clients.len() {
            for store in 0..self.server.stores.len() {
                let followers = self.clients[client].stores[store].check_followers();
                followers.map_err(|what| self.violation(Promise::OnceAndInOrder, client, store, what))?;
            }
        }
        for (index, call) in self.calls.iter().enumerate() {
            let Call { outcome, found, target, .. } = call;
            if let Some(lost) = self.is_missing(index) {
                let what = format!("call {index} was op {lost}, which no restore has lost, and is not there");
                return Err(Violation::new(Promise::AcknowledgedIsKept, what));
            }
            match outcome {
                None => {
                    let what = format!("call {index} was never answered");
                    return Err(Violation::new(Promise::EveryCallIsAnswered, what));
                }
                Some(Outcome::Done(seq)) if target.is_some() && seq != found => {
                    let what = format!("call {index} was acknowledged as op {seq:?}, but it is {found:?}");
                    return Err(Violation::new(Promise::AcknowledgedIsKept, what));
                }
                Some(Outcome::Failed(error)) if found.is_some() => {
                    let what = format!("call {index} was answered as failed ({error}), but it is op {found:?}");
                    return Err(Violation::new(Promise::FailedIsAbsent, what));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The op of a call that is missing in the log although no backup was older than it.
    fn is_missing(&self, index: usize) -> Option<u64> {
        let Call { store, found, found_era, .. } = self.calls[index];
        let kept = &self.server.stores[store];
        let seq = found?;
        let eras = found_era..kept.era();
        let oldest = eras.map(|era| kept.restored_to[era]).min().unwrap_or(u64::MAX);
        if seq > oldest {
            return None;
        }
        let author = kept.ledger.op(seq).and_then(|op| self.author(op));
        (author != Some(index)).then_some(seq)
    }
}
