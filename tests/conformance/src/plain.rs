//! The embedded store with only the capabilities of a server over HTTP, for tests of the repo's fallbacks.

use std::sync::Arc;

use async_trait::async_trait;
use dust_orm::transport::{EmbeddedTransport, Receipt};
use dust_orm::{Capabilities, DustErr, Transport};
use dust_protocol::{Fence, Mutation, Op, Precondition};
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

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let is_known = |op: &Op| match op.precondition {
            None | Some(Precondition::IfMatch(_)) => true,
            Some(Precondition::IfLeafAbsent) => ops.len() == 1,
            Some(_) => false,
        };
        if fence.is_some() || !ops.iter().all(is_known) {
            return self.refuse("this condition");
        }
        if let [op] = ops.as_slice()
            && !matches!(op.mutation, Mutation::Set(_) | Mutation::Delete)
        {
            return self.refuse("this op");
        }
        self.0.write(ops, fence).await
    }
}
