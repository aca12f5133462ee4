//! Writes of one op or several, in one transaction.

use std::sync::Arc;

use dust_protocol::list::MAX_BATCH_OPS;
use dust_protocol::{BatchOp, CommittedOp, Fence, Op, OpKind, Precondition, Write, value};

use super::Store;
use super::error::{StoreError, StoreErrorKind};
use super::transaction::{Job, Request};

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
    /// Applies one write and returns the committed op, which is durable, readable and in the log.
    ///
    /// `None` means that nothing was committed, which happens only if a lease is released with a token that no longer
    /// matches. Listeners are called with the op before or shortly after this returns.
    ///
    /// ```
    /// use dust_protocol::{Op, Path, RawJson, Write};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let op = Op::Set(RawJson::parse(r#"{"title":"Dust"}"#)?);
    /// let committed = store.write(Write::new(Path::parse("links/dust")?, op), &Origin::new("laptop", "1"))?;
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
    pub fn write(&self, write: Write, origin: &Origin) -> Result<Option<CommittedOp>, StoreError> {
        Ok(self.submit(Job::one(write, None, origin.clone())?)?.pop())
    }

    /// As [`write`](Store::write), for async code: waits for the disk without blocking the thread.
    pub async fn write_async(&self, write: Write, origin: Origin) -> Result<Option<CommittedOp>, StoreError> {
        Ok(self.submit_async(Job::one(write, None, origin)?).await?.pop())
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
        ops: Vec<BatchOp>,
        fence: Option<Fence>,
        origin: &Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        self.submit(Job::batch(ops, fence, origin.clone())?)
    }

    /// As [`batch_write`](Store::batch_write), for async code.
    pub async fn batch_write_async(
        &self,
        ops: Vec<BatchOp>,
        fence: Option<Fence>,
        origin: Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        self.submit_async(Job::batch(ops, fence, origin)?).await
    }

    /// Applies writes of any kind and number, all or none, in one transaction, for imports. Each has its own
    /// `store_seq` and sees the changes of earlier ones.
    ///
    /// In the log each op has the client's id with its index: `id:0`, `id:1`, …
    ///
    /// ```
    /// use dust_protocol::{Op, Path, RawJson, Write};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let add = |by: &str| Ok::<_, Box<dyn std::error::Error>>(Op::Increment(RawJson::parse(by)?));
    /// let path = Path::parse("visits")?;
    /// let writes = [Write::new(path.clone(), add("1")?), Write::new(path.clone(), add("\"one\"")?)];
    /// let refused = store.write_all(writes.to_vec(), &Origin::new("laptop", "1")).unwrap_err();
    /// assert_eq!((refused.op_index(), store.current_seq()), (Some(1), 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`write`](Store::write); [`op_index`](StoreError::op_index) is the index of the refused write.
    pub fn write_all(&self, writes: Vec<Write>, origin: &Origin) -> Result<Vec<CommittedOp>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.submit(Job::all(writes, None, origin.clone())?)
    }

    /// Applies writes of any kind and number in one transaction, each by itself: a refused write does not affect the
    /// others. The answers are those of [`write`](Store::write), in the order of the writes.
    pub fn write_each(&self, writes: Vec<(Write, Origin)>) -> Vec<Result<Option<CommittedOp>, StoreError>> {
        let (mut jobs, mut refused) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
        for (write, origin) in writes {
            match Job::one(write, None, origin) {
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

impl Job {
    pub(super) fn one(write: Write, content: Option<Vec<u8>>, origin: Origin) -> Result<Job, StoreError> {
        check(&write).map_err(|error| error.at(&write.path))?;
        Ok(Job { request: Request::One { write, content }, origin })
    }

    fn batch(ops: Vec<BatchOp>, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        match ops.len() {
            0 => return Err(StoreErrorKind::EmptyBatch.into()),
            1..=MAX_BATCH_OPS => {}
            count => return Err(StoreErrorKind::BatchTooLarge(count).into()),
        }
        let write = |BatchOp { path, value, precondition }| {
            let op = value.map_or(Op::Delete, Op::Set);
            Write { path, op, precondition, fence: None }
        };
        Job::all(ops.into_iter().map(write).collect(), fence, origin)
    }

    fn all(writes: Vec<Write>, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        for (index, write) in writes.iter().enumerate() {
            check(write).map_err(|error| error.in_batch(index, &write.path))?;
        }
        Ok(Job { request: Request::All { writes, fence }, origin })
    }
}

/// The reason of a refusal of a precondition that a later version of the protocol may know.
pub(super) const UNKNOWN_PRECONDITION: &str = "this store does not know the condition";

/// Refuses a write that is invalid for any leaves.
fn check(write: &Write) -> Result<(), StoreError> {
    let kind = match (write.precondition, &write.op) {
        (None, op) if is_lease(op) && write.fence.is_some() => {
            StoreErrorKind::InvalidPrecondition("a lease op takes no fence; its token is its guard")
        }
        (None, _) => return Ok(()),
        (Some(Precondition::IfMatch(_)), Op::Set(value)) if value::is_subtree(value) => {
            StoreErrorKind::IfMatchMultiLeaf
        }
        (Some(Precondition::IfMatch(_)), Op::Set(_) | Op::Delete) => return Ok(()),
        (Some(Precondition::IfMatch(_)), op) => StoreErrorKind::IfMatchUnsupportedOp(op.kind()),
        (Some(Precondition::IfLeafAbsent), Op::Set(value)) if value::is_subtree(value) => {
            StoreErrorKind::IfAbsentMultiLeaf
        }
        (Some(Precondition::IfLeafAbsent | Precondition::IfSubtreeAbsent), Op::Set(_)) => return Ok(()),
        (Some(Precondition::IfLeafAbsent | Precondition::IfSubtreeAbsent), op) => {
            StoreErrorKind::IfAbsentUnsupportedOp(op.kind())
        }
        (Some(_), _) => StoreErrorKind::InvalidPrecondition(UNKNOWN_PRECONDITION),
    };
    Err(kind.into())
}

pub(super) fn is_lease(op: &Op) -> bool {
    matches!(op.kind(), OpKind::Lease | OpKind::Renew | OpKind::Release)
}
