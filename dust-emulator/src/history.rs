//! Earlier states of a store, computed from its log.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dust_protocol::apply::{Leaf, Leaves, OpError, apply};
use dust_protocol::{Path, RawJson, envelope};
use dust_store::{Store, StoreError};
use serde::Serialize;

/// The number of ops to read at a time.
const CHUNK: usize = 1000;

/// The leaves of a store as they were after an op.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) leaves: BTreeMap<Path, Leaf>,
}

/// The reason why an earlier state cannot be computed.
pub(crate) enum Replay {
    Store(StoreError),
    Op(OpError),
}

impl From<OpError> for Replay {
    fn from(error: OpError) -> Replay {
        Replay::Op(error)
    }
}

impl Leaves for History {
    type Error = Replay;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, Replay> {
        Ok(self.leaves.get(path).cloned())
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), Replay> {
        self.leaves.insert(path.clone(), leaf);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), Replay> {
        self.leaves.remove(path);
        Ok(())
    }

    fn below_ignoring_case(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, Replay> {
        Ok(self.leaves.below_ignoring_case(path)?)
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), Replay> {
        Ok(self.leaves.remove_below(path)?)
    }
}

impl History {
    pub(crate) fn at(store: &Store, seq: u64) -> Result<History, StoreError> {
        History::replayed(store, seq).map_err(|error| match error {
            Replay::Store(error) => error,
            Replay::Op(error) => error.into(),
        })
    }

    fn replayed(store: &Store, seq: u64) -> Result<History, Replay> {
        let mut history = History::default();
        let mut done = 0;
        if let Some(snapshot) = store.snapshot().map_err(Replay::Store)? {
            done = snapshot.seq;
            for entry in snapshot.leaves {
                let leaf = Leaf { value: entry.value, kind: entry.kind, revision: entry.revision };
                history.leaves.insert(entry.path, leaf);
            }
        }
        while done < seq {
            let ops = store.ops_since(done, CHUNK).map_err(Replay::Store)?;
            let Some(last) = ops.last() else { break };
            done = last.store_seq;
            for op in ops.iter().take_while(|op| op.store_seq <= seq) {
                apply(&mut history, op, None)?;
            }
        }
        Ok(history)
    }

    /// The value of a leaf; `null` if there is none, as in a change from or to an absent leaf.
    pub(crate) fn value(&self, path: &Path) -> RawJson {
        self.leaves.get(path).map_or_else(RawJson::null, |leaf| envelope::to_plain(&leaf.value))
    }

    /// The leaf at a path, or the object of the leaves below it, values as they were written.
    pub(crate) fn assembled(&self, path: &Path) -> Option<RawJson> {
        if let Some(leaf) = self.leaves.get(path) {
            return Some(leaf.value.clone());
        }
        let mut root = Tree::default();
        for (below, leaf) in self.leaves.iter().filter(|(other, _)| path.is_ancestor_of(other)) {
            root.put(below.segments().skip(path.depth()).map(Cow::into_owned), &leaf.value);
        }
        // Cannot fail: its parts are JSON.
        (!root.0.is_empty()).then(|| RawJson::from_serialize(&root).unwrap_or_else(|_| RawJson::null()))
    }
}

/// An object that is assembled from leaves.
#[derive(Default, Serialize)]
#[serde(transparent)]
struct Tree(BTreeMap<String, Branch>);

#[derive(Serialize)]
#[serde(untagged)]
enum Branch {
    Leaf(RawJson),
    Below(Tree),
}

impl Tree {
    fn put(&mut self, mut segments: impl Iterator<Item = String>, value: &RawJson) {
        let Some(mut segment) = segments.next() else { return };
        let mut tree = self;
        for next in segments {
            match tree.0.entry(segment).or_insert_with(|| Branch::Below(Tree::default())) {
                Branch::Below(below) => tree = below,
                // A leaf wins over the leaves below it.
                Branch::Leaf(_) => return,
            }
            segment = next;
        }
        tree.0.insert(segment, Branch::Leaf(value.clone()));
    }
}
