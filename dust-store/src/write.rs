//! Writes of one op or several, in one transaction.

use std::sync::Arc;

use dust_protocol::{CommittedOp, Fence, Mutation, Op, Precondition, check_batch, value};

use super::Store;
use super::error::{StoreError, StoreErrorKind};
use super::feed::Feed;
use super::transaction::{Answer, Job};

/// The writer of an op, which the log keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The device.
    pub device_id: Arc<str>,
    /// The writer's own id for the write. Two writes may have the same id.
    pub client_op_id: Arc<str>,
}

impl Origin {
    /// The origin of a write.
    pub fn new(device_id: impl Into<Arc<str>>, client_op_id: impl Into<Arc<str>>) -> Origin {
        Origin { device_id: device_id.into(), client_op_id: client_op_id.into() }
    }

    /// The origin of one op of several: `id:0`, `id:1`, …
    pub(super) fn numbered(&self, index: usize) -> Origin {
        Origin::new(Arc::clone(&self.device_id), format!("{}:{index}", self.client_op_id))
    }
}

impl Store {
    /// Applies one op and returns the committed op, which is durable, readable and in the log. If there is a fence, its
    /// lease must be held.
    ///
    /// `None` means that nothing was committed, which happens only if a lease is released with a token that no longer
    /// matches. Listeners are called with the op before or shortly after this returns.
    ///
    /// ```
    /// use dust_protocol::{Mutation, Path, RawJson, Op};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let op = Mutation::Set(RawJson::parse(r#"{"title":"Dust"}"#)?);
    /// let committed = store.write(Op::new(Path::parse("links/dust")?, op), None, &Origin::new("laptop", "1"))?;
    /// assert_eq!(committed.unwrap().store_seq, 1);
    /// assert_eq!(store.get(&Path::parse("links/dust/title")?)?.unwrap().value.as_str(), "\"Dust\"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A write that a server refuses, and [`Storage`](StoreErrorKind::Storage) if the disk failed: then the write was
    /// not applied, unless the disk failed while it made the write durable. The store continues once the disk works
    /// again, such as when it has space.
    pub fn write(&self, op: Op, fence: Option<Fence>, origin: &Origin) -> Result<Option<CommittedOp>, StoreError> {
        Ok(self.submit(Job::one(op, fence, origin.clone())?)?.pop())
    }

    /// As [`write`](Store::write), for async code: waits for the disk without blocking the thread.
    pub async fn write_async(
        &self,
        op: Op,
        fence: Option<Fence>,
        origin: Origin,
    ) -> Result<Option<CommittedOp>, StoreError> {
        Ok(self.submit_async(Job::one(op, fence, origin)?).await?.pop())
    }

    /// Applies 1 to 1000 `set` and `delete` ops, all or none, each with its own `store_seq`. An op sees the changes of
    /// earlier ones, so that a precondition may name a revision that the batch itself makes. One fence guards the whole
    /// batch.
    ///
    /// In the log each op has the client's id with its index in the batch: `id:0`, `id:1`, …
    ///
    /// The error has the index of the refused op and the reason. Unlike in a Dust server, `if_absent` has an effect.
    pub fn batch_write(
        &self,
        ops: Vec<Op>,
        fence: Option<Fence>,
        origin: &Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        self.submit(Job::batch(ops, fence, origin.clone())?)
    }

    /// As [`batch_write`](Store::batch_write), for async code.
    pub async fn batch_write_async(
        &self,
        ops: Vec<Op>,
        fence: Option<Fence>,
        origin: Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        self.submit_async(Job::batch(ops, fence, origin)?).await
    }

    /// Applies ops of any kind and number, all or none, in one transaction, for imports. Each has its own `store_seq`
    /// and sees the changes of earlier ones.
    ///
    /// In the log each op has the client's id with its index: `id:0`, `id:1`, …
    ///
    /// ```
    /// use dust_protocol::{Mutation, Path, RawJson, Op};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let add = |by: &str| Ok::<_, Box<dyn std::error::Error>>(Mutation::Increment(RawJson::parse(by)?));
    /// let path = Path::parse("visits")?;
    /// let writes = [Op::new(path.clone(), add("1")?), Op::new(path.clone(), add("\"one\"")?)];
    /// let refused = store.write_all(writes.to_vec(), &Origin::new("laptop", "1")).unwrap_err();
    /// assert_eq!((refused.op_index(), store.current_seq()), (Some(1), 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`write`](Store::write); [`op_index`](StoreError::op_index) is the index of the refused op.
    pub fn write_all(&self, ops: Vec<Op>, origin: &Origin) -> Result<Vec<CommittedOp>, StoreError> {
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        self.submit(Job::all(ops, None, origin.clone())?)
    }

    /// Applies ops of any kind and number in one transaction, each by itself: a refused op does not affect the others.
    /// The answers are those of [`write`](Store::write), in the order of the ops.
    pub fn write_each(&self, ops: Vec<(Op, Origin)>) -> Vec<Result<Option<CommittedOp>, StoreError>> {
        let (mut jobs, mut refused) = (Vec::with_capacity(ops.len()), Vec::with_capacity(ops.len()));
        for (op, origin) in ops {
            match Job::one(op, None, origin) {
                Ok(job) => {
                    jobs.push(job);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut answers = self.inner.commit(&jobs).into_iter();
        self.inner.feed.deliver();
        let mut answer = || answers.next().map_or(Ok(None), |answer| Ok(answer?.pop()));
        refused.into_iter().map(|refused| refused.map_or_else(&mut answer, Err)).collect()
    }
}

impl Store {
    /// Commits a request and waits for the answer.
    pub(super) fn submit(&self, job: Job) -> Answer {
        let delivery = Delivery(Arc::clone(&self.inner.feed));
        if !self.inner.storage.is_persistent() {
            return delivery.after(self.inner.commit_one(job));
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |answer| sender.send(answer).is_ok());
        self.inner.queue.push(self.clone(), job, reply);
        delivery.after(receiver.recv().unwrap_or_else(|_| Err(gone())))
    }

    /// As [`submit`](Store::submit), without blocking the thread. Dropping the future does not stop the write.
    pub(super) async fn submit_async(&self, job: Job) -> Answer {
        let delivery = Delivery(Arc::clone(&self.inner.feed));
        if !self.inner.storage.is_persistent() {
            return delivery.after(self.inner.commit_one(job));
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |answer| sender.send(answer).is_ok());
        self.inner.queue.push(self.clone(), job, reply);
        delivery.after(receiver.await.unwrap_or_else(|_| Err(gone())))
    }

    /// Waits until a commit that is in progress has ended, so that readers see it.
    pub async fn wait_for_commit(&self) {
        if self.is_persistent() {
            // An empty request ends after those before it, without writing to the disk. An error ends it, too.
            let _ = self.submit_async(Job::empty()).await;
        } else {
            drop(self.inner.writer());
        }
    }
}

fn gone() -> StoreError {
    StoreErrorKind::Storage("the writer thread has ended; the write may have been applied".into()).into()
}

/// Calls the listeners on the caller's thread when it is dropped: after the answer, or with the caller's future.
struct Delivery(Arc<Feed>);

impl Delivery {
    fn after(self, answer: Answer) -> Answer {
        drop(self);
        answer
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.0.deliver();
    }
}

impl Job {
    pub(super) fn one(op: Op, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        check(&op, fence.as_ref()).map_err(|error| error.at(&op.path))?;
        Ok(Job { ops: vec![op], fence, content: None, origin, is_batch: false })
    }

    fn batch(ops: Vec<Op>, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        check_batch(&ops).map_err(StoreErrorKind::from)?;
        Job::all(ops, fence, origin)
    }

    fn all(ops: Vec<Op>, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        for (index, op) in ops.iter().enumerate() {
            check(op, None).map_err(|error| error.in_batch(index, &op.path))?;
        }
        Ok(Job { ops, fence, content: None, origin, is_batch: true })
    }

    /// A request that changes nothing.
    pub(super) fn empty() -> Job {
        Job { ops: Vec::new(), fence: None, content: None, origin: Origin::new("", ""), is_batch: true }
    }
}

/// The reason of a refusal of a precondition that a later version of the protocol may know.
pub(super) const UNKNOWN_PRECONDITION: &str = "this store does not know the condition";

/// Refuses an op that is invalid for any leaves.
fn check(op: &Op, fence: Option<&Fence>) -> Result<(), StoreError> {
    let kind = match (op.precondition, &op.mutation) {
        (None, mutation) if mutation.kind().is_of_lease() && fence.is_some() => {
            StoreErrorKind::InvalidPrecondition("a lease op takes no fence; its token is its guard")
        }
        (None, _) => return Ok(()),
        (Some(Precondition::IfMatch(_)), Mutation::Set(value)) if value::is_subtree(value) => {
            StoreErrorKind::IfMatchMultiLeaf
        }
        (Some(Precondition::IfMatch(_)), Mutation::Set(_) | Mutation::Delete) => return Ok(()),
        (Some(Precondition::IfMatch(_)), _) => StoreErrorKind::IfMatchUnsupportedOp(op.kind()),
        (Some(Precondition::IfLeafAbsent), Mutation::Set(value)) if value::is_subtree(value) => {
            StoreErrorKind::IfAbsentMultiLeaf
        }
        (Some(Precondition::IfLeafAbsent | Precondition::IfSubtreeAbsent), Mutation::Set(_)) => return Ok(()),
        (Some(Precondition::IfLeafAbsent | Precondition::IfSubtreeAbsent), _) => {
            StoreErrorKind::IfAbsentUnsupportedOp(op.kind())
        }
        (Some(_), _) => StoreErrorKind::InvalidPrecondition(UNKNOWN_PRECONDITION),
    };
    Err(kind.into())
}
