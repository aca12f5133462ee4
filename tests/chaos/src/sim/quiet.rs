//! What has to be true when all is quiet.

use dust_orm::protocol::Glob;

use super::call::{Call, Outcome};
use super::world::{Checked, World, broken};
use crate::ledger;
use crate::violation::{Promise, Violation};

impl World {
    /// What has to be true when all is quiet.
    pub(super) fn check(&mut self) -> Checked {
        let everything = Glob::parse("**").map_err(|error| broken(error.to_string()))?;
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
}
