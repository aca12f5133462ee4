//! The commands that are not answered, indexed by id, reference, op, store and deadline.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use super::CommandId;
use super::pending::{CommandState, PendingCommand};

/// Bytes of one store's frames that are sent and not answered at which no further frame is sent.
pub(super) const MAX_SENT_BYTES: usize = 4 << 20;
/// Number of queued commands of all stores at which a session has no room for more.
const MAX_QUEUED: usize = 1_024;
/// Number of outdated deadlines below which the heap is not cleaned.
const MIN_OUTDATED: usize = 64;

/// Every command that is not answered.
#[derive(Debug)]
pub(super) struct Commands {
    by_id: HashMap<CommandId, PendingCommand>,
    by_reference: HashMap<u64, CommandId>,
    by_op: HashMap<u64, CommandId>,
    /// Deadlines, the next one first. An entry is outdated if the command is answered or has another deadline.
    due: BinaryHeap<Reverse<(Duration, CommandId)>>,
    stores: Vec<Store>,
    queued: usize,
}

/// The commands of one store, by their state.
#[derive(Debug, Default)]
struct Store {
    /// In the order of their ids. An entry is outdated if the command is not [`CommandState::Queued`].
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

    /// True if a session has room for more commands.
    pub(super) fn has_room(&self) -> bool {
        self.queued < MAX_QUEUED
    }

    /// The number of commands of a store that are sent and not answered.
    pub(super) fn sent_count(&self, store: usize) -> usize {
        self.stores.get(store).map_or(0, |store| store.sent)
    }

    pub(super) fn get(&self, id: CommandId) -> Option<&PendingCommand> {
        self.by_id.get(&id)
    }

    pub(super) fn by_op(&self, op: u64) -> Option<(CommandId, &PendingCommand)> {
        let id = *self.by_op.get(&op)?;
        Some((id, self.by_id.get(&id)?))
    }

    /// The command whose frame has this reference.
    pub(super) fn by_reference(&self, reference: u64) -> Option<CommandId> {
        self.by_reference.get(&reference).copied()
    }

    /// Adds a command at the end of its store's queue.
    pub(super) fn insert(&mut self, id: CommandId, pending: PendingCommand) {
        if pending.target().is_some() {
            self.by_op.insert(pending.op, id);
        }
        self.due.push(Reverse((pending.due(), id)));
        self.link(id, pending.store, &pending.state);
        self.by_id.insert(id, pending);
    }

    /// Changes a command, and moves it to the index of its new state.
    pub(super) fn change(&mut self, id: CommandId, change: impl FnOnce(&mut PendingCommand)) {
        let Some(mut pending) = self.by_id.remove(&id) else { return };
        let before = pending.due();
        self.unlink(id, &pending);
        change(&mut pending);
        self.link(id, pending.store, &pending.state);
        if pending.due() != before {
            self.due.push(Reverse((pending.due(), id)));
        }
        self.by_id.insert(id, pending);
        self.forget_outdated();
    }

    pub(super) fn remove(&mut self, id: CommandId) -> Option<PendingCommand> {
        let pending = self.by_id.remove(&id)?;
        self.by_op.remove(&pending.op);
        self.unlink(id, &pending);
        self.forget_outdated();
        Some(pending)
    }

    fn link(&mut self, id: CommandId, store: usize, state: &CommandState) {
        let Some(store) = self.stores.get_mut(store) else { return };
        match state {
            CommandState::Queued => {
                self.queued += 1;
                // A command that is queued again was accepted before those that wait.
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

    fn unlink(&mut self, id: CommandId, pending: &PendingCommand) {
        let Some(store) = self.stores.get_mut(pending.store) else { return };
        match &pending.state {
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

    /// Removes outdated deadlines from the top of the heap, and all of them once they are the majority.
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

    /// The next deadline.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// A command whose deadline has passed.
    pub(super) fn first_due(&self, now: Duration) -> Option<CommandId> {
        self.due.peek().filter(|Reverse((due, _))| *due <= now).map(|Reverse((_, id))| *id)
    }

    /// The command of a store to send next; `None` while [`MAX_SENT_BYTES`] are not answered.
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
            if self.by_id.get(&id).is_some_and(PendingCommand::is_queued) {
                return Some(id);
            }
            queue.pop_front();
        }
        None
    }

    /// A command of a store whose op is one of those through `visible`, which the mirror has.
    pub(super) fn next_reached(&self, store: usize, visible: u64) -> Option<CommandId> {
        let (seq, id) = self.stores.get(store)?.committed.first()?;
        (*seq <= visible).then_some(*id)
    }

    /// The commands of a store that are sent and not answered, in the order of their ids.
    pub(super) fn sent(&self, store: usize) -> Vec<CommandId> {
        let is_of_store = |id: &&CommandId| self.by_id.get(*id).is_some_and(|pending| pending.store == store);
        let mut sent: Vec<CommandId> = self.by_reference.values().filter(is_of_store).copied().collect();
        sent.sort_unstable();
        sent
    }

    /// The commands of a store whose answer is lost, in the order of their ids.
    pub(super) fn lost(&self, store: usize) -> Vec<CommandId> {
        self.stores.get(store).into_iter().flat_map(|store| &store.lost).copied().collect()
    }

    /// The queued commands of a store, in the order of their ids.
    pub(super) fn queued(&self, store: usize) -> Vec<CommandId> {
        let is_queued = |id: &CommandId| self.by_id.get(id).is_some_and(PendingCommand::is_queued);
        self.stores.get(store).into_iter().flat_map(|store| &store.queued).copied().filter(is_queued).collect()
    }

    /// Every command, in the order of their ids.
    pub(super) fn all(&self) -> Vec<CommandId> {
        let mut all: Vec<CommandId> = self.by_id.keys().copied().collect();
        all.sort_unstable();
        all
    }
}
