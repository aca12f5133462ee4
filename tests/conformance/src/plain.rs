//! The embedded store with only the capabilities of a server over HTTP, for tests of the repo's fallbacks.

use std::sync::Arc;

use async_trait::async_trait;
use dust_orm::transport::{EmbeddedTransport, Receipt};
use dust_orm::{Capabilities, DustErr, Transport};
use dust_protocol::{BatchOp, Fence, Op, Precondition, Write};
use dust_store::Store;

use crate::backend::Backend;

/// A store that can do what every Dust server can do over HTTP.
pub struct PlainServer;

#[async_trait]
impl Backend for PlainServer {
    fn name(&self) -> &'static str {
        "plain"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        (Arc::new(Plain(EmbeddedTransport::new(Store::in_memory().unwrap()))), Box::new(()))
    }
}

#[derive(Debug)]
struct Plain(EmbeddedTransport);

impl Plain {
    fn refuse<T>(&self, operation: &str) -> Result<T, DustErr> {
        Err(self.capabilities().refuse(self.name(), operation))
    }
}

#[async_trait]
impl Transport for Plain {
    dust_orm::delegate_transport!(self => self.0, only [list, get, get_many, exists]);

    fn name(&self) -> &'static str {
        "plain"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.if_subtree_absent = false;
        capabilities.fences = false;
        capabilities.fenced_batches = false;
        capabilities.typed_ops = false;
        capabilities.subscribe = false;
        capabilities.remote = true;
        capabilities
    }

    async fn write(&self, write: Write) -> Result<Receipt, DustErr> {
        if write.fence.is_some() || write.precondition == Some(Precondition::IfSubtreeAbsent) {
            return self.refuse("this condition");
        }
        if !matches!(write.op, Op::Set(_) | Op::Delete) {
            return self.refuse("this op");
        }
        self.0.write(write).await
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        let is_known = |op: &BatchOp| matches!(op.precondition, None | Some(Precondition::IfMatch(_)));
        if fence.is_some() || !ops.iter().all(is_known) {
            return self.refuse("this condition in a batch");
        }
        self.0.batch_write(ops, fence).await
    }
}
