//! Tests of the recorded behaviour of a Dust server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dust_protocol::{
    CommittedOp, Entry, Fence, ListItem, ListRequest, Mutation, Op, OpKind, Order, Path, Pattern, Precondition,
    RawJson, Select, Selector,
};

use super::*;

mod compaction;
mod disk;
mod files;
mod group;
mod leases;
mod lists;
mod log;
mod model;
mod reads;
mod uploads;
mod writes;

pub(super) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(super) fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

pub(super) fn origin() -> Origin {
    Origin::new("device", "op")
}

pub(super) fn op(at: &str, op: Mutation) -> Op {
    Op::new(path(at), op)
}

/// Short forms for a store under test, which panic if the store refuses.
pub(super) trait Short {
    fn try_do(&self, write: Op) -> Result<Option<CommittedOp>, StoreError>;
    fn try_batch(&self, ops: Vec<Op>) -> Result<Vec<CommittedOp>, StoreError>;
    fn fetch(&self, at: &str) -> Option<Entry>;
    fn on_each_op(&self, listener: impl Fn(&CommittedOp) + Send + Sync + 'static) -> Subscription;

    fn run(&self, at: &str, what: Mutation) -> CommittedOp {
        self.try_do(op(at, what)).unwrap().unwrap()
    }

    fn refuse(&self, at: &str, what: Mutation) -> StoreError {
        self.try_do(op(at, what)).unwrap_err()
    }

    fn set(&self, at: &str, value: &str) -> u64 {
        self.run(at, Mutation::Set(raw(value))).store_seq
    }

    fn set_on(&self, at: &str, value: &str, on: Precondition) -> Result<u64, StoreError> {
        let write = op(at, Mutation::Set(raw(value))).on(on);
        self.try_do(write).map(|op| op.unwrap().store_seq)
    }

    fn delete(&self, at: &str) -> u64 {
        self.run(at, Mutation::Delete).store_seq
    }

    /// Value, type and revision, as a server writes them.
    fn seen(&self, at: &str) -> Option<(String, &'static str, u64)> {
        self.fetch(at).map(|entry| (entry.value.to_string(), entry.kind.name(), entry.revision))
    }

    fn value(&self, at: &str) -> String {
        self.fetch(at).map_or_else(|| "absent".to_owned(), |entry| entry.value.to_string())
    }
}

impl Short for Store {
    fn on_each_op(&self, listener: impl Fn(&CommittedOp) + Send + Sync + 'static) -> Subscription {
        self.on_changes(|_| false, move |ops, _| ops.iter().for_each(&listener))
    }

    fn try_do(&self, write: Op) -> Result<Option<CommittedOp>, StoreError> {
        self.write(write, None, &origin())
    }

    fn try_batch(&self, ops: Vec<Op>) -> Result<Vec<CommittedOp>, StoreError> {
        self.batch_write(ops, None, &origin())
    }

    fn fetch(&self, at: &str) -> Option<Entry> {
        self.get(&path(at)).unwrap()
    }
}

/// All leaves as (path, value, type, revision).
pub(super) fn leaves(store: &Store) -> Vec<(String, String, &'static str, u64)> {
    let mut request = ListRequest::pattern(Pattern::parse("**").unwrap());
    let mut all = Vec::new();
    loop {
        let page = store.list(&request).unwrap();
        for entry in page.items.into_iter().filter_map(ListItem::into_entry) {
            all.push((entry.path.to_string(), entry.value.to_string(), entry.kind.name(), entry.revision));
        }
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => return all,
        }
    }
}

pub(super) fn paths(store: &Store) -> Vec<String> {
    leaves(store).into_iter().map(|(path, ..)| path).collect()
}
