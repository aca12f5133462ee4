//! Single writes and batches.

use std::sync::atomic::Ordering;

use dust_protocol::http::{self as wire, Condition, WriteAnswer};
use dust_protocol::{Mutation, Op, Path, Precondition, RawJson, check_batch};

use super::HttpTransport;
use super::call::Deadline;
use super::request::Request;
use crate::error::DustErr;
use crate::error::http::{About, Call, Operation};

impl HttpTransport {
    /// Sends one op as its own request.
    pub(super) async fn single(&self, op: &Op) -> Result<WriteAnswer, DustErr> {
        let condition = match op.precondition {
            None => None,
            Some(Precondition::IfMatch(revision)) => Some(Condition::IfMatch(revision)),
            Some(Precondition::IfLeafAbsent) => Some(Condition::IfLeafAbsent),
            Some(Precondition::IfSubtreeAbsent) => {
                return Err(self.refuse("a condition on the absence of a whole subtree"));
            }
            Some(_) => return Err(self.refuse("this condition")),
        };
        let path = &op.path;
        match (&op.mutation, condition) {
            (Mutation::Set(value), Some(Condition::IfLeafAbsent)) if is_empty_object(value) => {
                Err(DustErr::invalid_params(format!(
                    "set of `{path}`: an empty object leaves nothing behind, so there is nothing to write if absent"
                )))
            }
            // A server treats an empty object that is the whole body as a missing body.
            (Mutation::Set(value), _) if is_empty_object(value) => self.batch(std::slice::from_ref(op)).await,
            (Mutation::Set(value), condition) => self.set(path, value, condition, self.deadline()).await,
            (Mutation::Delete, None) => self.delete(path, None, self.deadline()).await,
            (Mutation::Delete, Some(Condition::IfMatch(revision))) => {
                self.delete(path, Some(revision), self.deadline()).await
            }
            (Mutation::Delete, Some(Condition::IfLeafAbsent)) => {
                Err(DustErr::invalid_params(format!("delete of `{path}`: it cannot ask for absence")))
            }
            (mutation, _) => Err(self.refuse(mutation.kind().name())),
        }
    }

    async fn set(
        &self,
        path: &Path,
        value: &RawJson,
        condition: Option<Condition>,
        deadline: Deadline,
    ) -> Result<WriteAnswer, DustErr> {
        let call = self.about(Operation::Set, About::Path(path));
        self.call(call, deadline, Request::set(path, value, condition), wire::write_answer).await
    }

    async fn delete(&self, path: &Path, if_match: Option<u64>, deadline: Deadline) -> Result<WriteAnswer, DustErr> {
        let call = self.about(Operation::Delete, About::Path(path));
        self.call(call, deadline, Request::delete(path, if_match), wire::write_answer).await
    }

    pub(super) async fn batch(&self, ops: &[Op]) -> Result<WriteAnswer, DustErr> {
        let call = self.about(Operation::BatchWrite, About::Ops(ops.len()));
        check_batch(ops).map_err(|error| call.invalid(&error.to_string()))?;
        if ops.iter().any(|op| !matches!(op.precondition, None | Some(Precondition::IfMatch(_)))) {
            return Err(self.refuse("a condition on absence in a batch"));
        }
        let deadline = self.deadline();
        if !self.server.lacks_batch_write.load(Ordering::Relaxed) {
            match self.call(call, deadline, Request::batch_write(ops), wire::write_answer).await {
                Err(DustErr::NotImplemented { .. }) => {
                    tracing::warn!(
                        store = &*self.store,
                        "this Dust server lacks batch_write: plain writes of a record are sent field by field, which \
                         is not atomic, and other batches fail"
                    );
                    self.server.lacks_batch_write.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        if is_plain_record(ops) {
            self.one_by_one(&call, ops, deadline).await
        } else {
            Err(DustErr::NotImplemented { operation: call.operation.name().to_owned() })
        }
    }

    /// Sends each op of a batch as its own request.
    async fn one_by_one(&self, call: &Call<'_>, ops: &[Op], deadline: Deadline) -> Result<WriteAnswer, DustErr> {
        let mut all = WriteAnswer::default();
        for (done, op) in ops.iter().enumerate() {
            let written = match op.value() {
                // Setting an empty object is a deletion.
                Some(value) if !is_empty_object(value) => self.set(&op.path, value, None, deadline).await,
                _ => self.delete(&op.path, None, deadline).await,
            };
            match written {
                Ok(answer) => {
                    all.store_seq = answer.store_seq;
                    all.revisions.push(answer.store_seq);
                }
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    let applied = format!("{done} of {} ops were applied one by one, then: {error}", ops.len());
                    return Err(call.unknown_outcome(&applied));
                }
            }
        }
        Ok(all)
    }
}

/// True if a batch consists only of fields of one record, without conditions.
fn is_plain_record(ops: &[Op]) -> bool {
    let parent = ops.first().map(|op| op.path.parent());
    let mut paths: Vec<&Path> = ops.iter().map(|op| &op.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.len() == ops.len() && ops.iter().all(|op| op.precondition.is_none() && Some(op.path.parent()) == parent)
}

fn is_empty_object(value: &RawJson) -> bool {
    value.as_str().strip_prefix('{').is_some_and(|rest| rest.trim_start() == "}")
}
