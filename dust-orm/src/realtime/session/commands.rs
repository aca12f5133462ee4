//! The commands under way, found by whatever may happen to them at a cost that does not grow with their number.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use super::CommandId;
use super::command::{CommandState, Pending};

/// How many bytes of frames of one store may be sent and not answered. A frame is sent as long as those before it have fewer.
pub(super) const MAX_SENT_BYTES: usize = 4 << 20;
/// How many commands of all stores may wait to be sent before a session wants no more of them.
const MAX_QUEUED: usize = 1_024;
/// How many outdated deadlines are kept at the least before the heap is cleaned.
const MIN_OUTDATED: usize = 64;

/// Every command that is not answered.
#[derive(Debug)]
pub(super) struct Commands {
    by_id: HashMap<CommandId, Pending>,
    by_reference: HashMap<u64, CommandId>,
    by_op: HashMap<u64, CommandId>,
    /// When commands are given up, the next one first. An entry is outdated when the command is gone or has another time.
    due: BinaryHeap<Reverse<(Duration, CommandId)>>,
    stores: Vec<Store>,
    queued: usize,
}

/// The commands of one store, by how far they are.
#[derive(Debug, Default)]
struct Store {
    /// In the order they were given. An entry is outdated when the command is not [`CommandState::Queued`] any more.
    queued: VecDeque<CommandId>,
    sent: usize,
    sent_bytes: usize,
    /// By the op that the mirror has to have.
    committed: BTreeSet<(u64, CommandId)>,
    lost: BTreeSet<CommandId>,
}

impl Commands {
    pub(super) fn new(stores: usize) -> Commands {
        Commands {
            by_id: HashMap::new(),
            by_reference: HashMap::new(),
            by_op: HashMap::new(),
            due: BinaryHeap::new(),
            stores: (0..stores).map(|_| Store::default()).collect(),
            queued: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether few enough wait to be sent.
    pub(super) fn has_room(&self) -> bool {
        self.queued < MAX_QUEUED
    }

    /// How many commands of a store are sent and not answered.
    pub(super) fn sent_count(&self, store: usize) -> usize {
        self.stores.get(store).map_or(0, |store| store.sent)
    }

    pub(super) fn get(&self, id: CommandId) -> Option<&Pending> {
        self.by_id.get(&id)
    }

    pub(super) fn by_op(&self, op: u64) -> Option<(CommandId, &Pending)> {
        let id = *self.by_op.get(&op)?;
        Some((id, self.by_id.get(&id)?))
    }

    /// The command that a frame with this reference was sent for.
    pub(super) fn by_reference(&self, reference: u64) -> Option<CommandId> {
        self.by_reference.get(&reference).copied()
    }

    /// Adds a command at the end of its store's queue.
    pub(super) fn insert(&mut self, id: CommandId, pending: Pending) {
        if pending.target().is_some() {
            self.by_op.insert(pending.op, id);
        }
        self.due.push(Reverse((pending.due(), id)));
        self.link(id, pending.store, &pending.stage);
        self.by_id.insert(id, pending);
    }

    /// Changes a command, its stage above all.
    pub(super) fn change(&mut self, id: CommandId, change: impl FnOnce(&mut Pending)) {
        let Some(mut pending) = self.by_id.remove(&id) else { return };
        let before = pending.due();
        self.unlink(id, &pending);
        change(&mut pending);
        self.link(id, pending.store, &pending.stage);
        if pending.due() != before {
            self.due.push(Reverse((pending.due(), id)));
        }
        self.by_id.insert(id, pending);
        self.forget_outdated();
    }

    pub(super) fn remove(&mut self, id: CommandId) -> Option<Pending> {
        let pending = self.by_id.remove(&id)?;
        self.by_op.remove(&pending.op);
        self.unlink(id, &pending);
        self.forget_outdated();
        Some(pending)
    }

    fn link(&mut self, id: CommandId, store: usize, stage: &CommandState) {
        let Some(store) = self.stores.get_mut(store) else { return };
        match stage {
            CommandState::Queued => {
                self.queued += 1;
                // One that comes back was given before those that wait.
                match store.queued.back() {
                    Some(last) if *last > id => {
                        let at = store.queued.partition_point(|other| *other < id);
                        if store.queued.get(at) != Some(&id) {
                            store.queued.insert(at, id);
                        }
                    }
                    Some(last) if *last == id => {}
                    _ => store.queued.push_back(id),
                }
            }
            CommandState::Sent { reference, bytes } => {
                store.sent += 1;
                store.sent_bytes += bytes;
                self.by_reference.insert(*reference, id);
            }
            CommandState::Committed(written) => {
                store.committed.insert((written.store_seq.unwrap_or_default(), id));
            }
            CommandState::Lost { .. } => {
                store.lost.insert(id);
            }
        }
    }

    fn unlink(&mut self, id: CommandId, pending: &Pending) {
        let Some(store) = self.stores.get_mut(pending.store) else { return };
        match &pending.stage {
            CommandState::Queued => {
                self.queued -= 1;
                if store.queued.front() == Some(&id) {
                    store.queued.pop_front();
                }
            }
            CommandState::Sent { reference, bytes } => {
                store.sent -= 1;
                store.sent_bytes -= bytes;
                self.by_reference.remove(reference);
            }
            CommandState::Committed(written) => {
                store.committed.remove(&(written.store_seq.unwrap_or_default(), id));
            }
            CommandState::Lost { .. } => {
                store.lost.remove(&id);
            }
        }
    }

    /// Drops deadlines at the top of the heap that are none any more, and all of them once they are the most.
    fn forget_outdated(&mut self) {
        let by_id = &self.by_id;
        let is_valid = |due: Duration, id: CommandId| by_id.get(&id).is_some_and(|pending| pending.due() == due);
        if self.due.len() > 2 * by_id.len() + MIN_OUTDATED {
            self.due.retain(|Reverse((due, id))| is_valid(*due, *id));
        }
        while self.due.peek().is_some_and(|Reverse((due, id))| !is_valid(*due, *id)) {
            self.due.pop();
        }
    }

    /// When the next command is given up.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// A command that is to be given up now.
    pub(super) fn first_due(&self, now: Duration) -> Option<CommandId> {
        self.due.peek().filter(|Reverse((due, _))| *due <= now).map(|Reverse((_, id))| *id)
    }

    /// The command of a store to send next, unless so much is not answered yet that it has to wait.
    pub(super) fn next_to_send(&mut self, store: usize) -> Option<CommandId> {
        if self.stores.get(store)?.sent_bytes >= MAX_SENT_BYTES {
            return None;
        }
        self.next_queued(store)
    }

    /// The first command in the queue of a store.
    pub(super) fn next_queued(&mut self, store: usize) -> Option<CommandId> {
        let queue = &mut self.stores.get_mut(store)?.queued;
        while let Some(id) = queue.front().copied() {
            if self.by_id.get(&id).is_some_and(|pending| matches!(pending.stage, CommandState::Queued)) {
                return Some(id);
            }
            queue.pop_front();
        }
        None
    }

    /// A command whose op the mirror of a store has, now that it has those up to `visible`.
    pub(super) fn next_reached(&self, store: usize, visible: u64) -> Option<CommandId> {
        let (seq, id) = self.stores.get(store)?.committed.first()?;
        (*seq <= visible).then_some(*id)
    }

    /// The commands of a store that were sent and are not answered, in the order they were given.
    pub(super) fn sent(&self, store: usize) -> Vec<CommandId> {
        let is_there = |id: &&CommandId| self.by_id.get(*id).is_some_and(|pending| pending.store == store);
        let mut sent: Vec<CommandId> = self.by_reference.values().filter(is_there).copied().collect();
        sent.sort_unstable();
        sent
    }

    /// The commands of a store whose answer was lost, in the order they were given.
    pub(super) fn lost(&self, store: usize) -> Vec<CommandId> {
        self.stores.get(store).into_iter().flat_map(|store| &store.lost).copied().collect()
    }

    /// The commands of a store that wait to be sent, in the order they were given.
    pub(super) fn queued(&self, store: usize) -> Vec<CommandId> {
        let is_queued =
            |id: &CommandId| self.by_id.get(id).is_some_and(|one| matches!(one.stage, CommandState::Queued));
        self.stores.get(store).into_iter().flat_map(|store| &store.queued).copied().filter(is_queued).collect()
    }

    /// Every command, in the order they were given.
    pub(super) fn all(&self) -> Vec<CommandId> {
        let mut all: Vec<CommandId> = self.by_id.keys().copied().collect();
        all.sort_unstable();
        all
    }
}
