//! The committed ops of a store, which have a total order, and the state after each op.

use dust_orm::internals::Mirror;
use dust_protocol::{CommittedOp, Entry, ListItem, ListRequest, Page, Pattern, RawJson};
use dust_store::Store;

use crate::violation::{Promise, Violation};

/// Number of ops that are read from a log at once.
const PAGE: usize = 1000;

/// A leaf as a reader sees it.
pub type Shown = (String, RawJson, u64);

/// A store's log, and the state after each of its ops.
#[derive(Clone)]
pub struct Ledger {
    ops: Vec<CommittedOp>,
    /// The states after each number of ops, beginning with none.
    states: Vec<Mirror>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { ops: Vec::new(), states: vec![Mirror::default()] }
    }
}

impl Ledger {
    /// Reads the ops that a store has committed since the last call, and returns them.
    pub fn read(&mut self, store: &Store) -> Result<&[CommittedOp], String> {
        let known = self.ops.len();
        while self.seq() < store.current_seq() {
            let page = store.ops_since(self.seq(), PAGE).map_err(|error| error.to_string())?;
            for op in page {
                if op.store_seq != self.seq() + 1 {
                    return Err(format!("the log has op {} where {} is next", op.store_seq, self.seq() + 1));
                }
                let mut state = self.states[self.ops.len()].clone();
                state.apply(&op);
                self.states.push(state);
                self.ops.push(op);
            }
        }
        Ok(&self.ops[known..])
    }

    /// The state after an op.
    pub fn through(&self, seq: u64) -> Ledger {
        let count = usize::try_from(seq).unwrap_or(usize::MAX).min(self.ops.len());
        Ledger { ops: self.ops[..count].to_vec(), states: self.states[..=count].to_vec() }
    }

    /// The last op's number.
    pub fn seq(&self) -> u64 {
        self.ops.len() as u64
    }

    /// All ops, in order.
    pub fn ops(&self) -> &[CommittedOp] {
        &self.ops
    }

    /// An op by its number.
    pub fn op(&self, seq: u64) -> Option<&CommittedOp> {
        self.ops.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// The state after an op, or before the first.
    pub fn state(&self, seq: u64) -> Option<&Mirror> {
        self.states.get(usize::try_from(seq).ok()?)
    }

    /// Compares a mirror with the state after its op.
    pub fn check(&self, mirror: &Mirror, pattern: &Pattern, promise: Promise) -> Result<(), Violation> {
        let seq = mirror.seq();
        let wrong = |what: String| Violation::new(promise, format!("at op {seq}: {what}"));
        let state = self.state(seq).ok_or_else(|| wrong(format!("the store has {} ops only", self.seq())))?;
        let (shown, expected) =
            (self::shown(mirror, pattern).map_err(&wrong)?, self::shown(state, pattern).map_err(&wrong)?);
        same(&shown, &expected, mirror.inexact_through()).map_err(wrong)
    }
}

/// True if leaves equal the expected ones. Up to `inexact_through` their revisions may be too high.
pub fn same(shown: &[Shown], expected: &[Shown], inexact_through: u64) -> Result<(), String> {
    let paths = |leaves: &[Shown]| leaves.iter().map(|(path, ..)| path.clone()).collect::<Vec<_>>();
    if shown.len() != expected.len() {
        return Err(format!("there is {:?}, not {:?}", paths(shown), paths(expected)));
    }
    for ((path, value, revision), (its_path, its_value, its_revision)) in shown.iter().zip(expected) {
        if (path, value) != (its_path, its_value) {
            return Err(format!("there is {path} = {value}, not {its_path} = {its_value}"));
        }
        let is_exact = *its_revision > inexact_through;
        let fits =
            if is_exact { revision == its_revision } else { (*its_revision..=inexact_through).contains(revision) };
        if !fits {
            return Err(format!(
                "{path} has the revision {revision}, not {its_revision} (inexact to {inexact_through})"
            ));
        }
    }
    Ok(())
}

/// The leaves of a mirror that match a pattern.
pub fn shown(mirror: &Mirror, pattern: &Pattern) -> Result<Vec<Shown>, String> {
    pages(pattern, |request| mirror.list(request).map_err(|error| error.to_string()))
}

/// The leaves of a store that match a pattern.
pub fn stored(store: &Store, pattern: &Pattern) -> Result<Vec<Shown>, String> {
    pages(pattern, |request| store.list(request).map_err(|error| error.to_string()))
}

fn pages(pattern: &Pattern, list: impl Fn(&ListRequest) -> Result<Page, String>) -> Result<Vec<Shown>, String> {
    let mut request = ListRequest::pattern(pattern.clone());
    let mut shown = Vec::new();
    loop {
        let mut found = list(&request)?;
        let next = found.next_cursor.take();
        shown.extend(page(found));
        match next {
            None => return Ok(shown),
            next => request.after = next,
        }
    }
}

/// The leaves of a page.
pub fn page(page: Page) -> Vec<Shown> {
    let entries = page.items.into_iter().filter_map(ListItem::into_entry);
    entries.map(|Entry { path, value, revision, .. }| (path.to_string(), value, revision)).collect()
}
