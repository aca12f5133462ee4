//! The context of a test.

use std::sync::Arc;

use dust_orm::{Capabilities, DustErr, DustRepo, Transport};
use dust_protocol::{Entry, ListRequest, Op, Path, RawJson};
use serde_json::Value;

use crate::backend::{Backend, unique};
use crate::probe::Probe;
use crate::scoped::Scoped;

/// A repo over an empty store, or an empty part of one.
pub(crate) struct Context {
    pub(crate) repo: DustRepo,
    /// The same store, without entities.
    pub(crate) transport: Arc<dyn Transport>,
    scope: Path,
    outer: Arc<dyn Transport>,
    _keep: Box<dyn Send>,
}

impl Context {
    pub(crate) async fn new(backend: &dyn Backend, module: &str) -> Context {
        let (outer, keep) = backend.connect(module).await;
        let scope = format!("conformance-{:016x}", unique());
        let transport: Arc<dyn Transport> = Arc::new(Scoped::new(Arc::clone(&outer), scope.clone()));
        Context {
            repo: DustRepo::with_transport(Arc::clone(&transport)),
            transport,
            scope: Path::from_segments([scope]).unwrap(),
            outer,
            _keep: keep,
        }
    }

    /// Removes what the test has written.
    pub(crate) async fn clean_up(&self) {
        self.outer.write(vec![Op::delete(self.scope.clone())], None).await.unwrap();
    }

    /// A repo over the same store, and a probe for its requests.
    pub(crate) fn probe(&self) -> (DustRepo, Arc<Probe>) {
        self.limited(|_| {})
    }

    /// The same, with other capabilities.
    pub(crate) fn limited(&self, change: impl FnOnce(&mut Capabilities)) -> (DustRepo, Arc<Probe>) {
        let mut capabilities = self.transport.capabilities();
        change(&mut capabilities);
        let probe = Arc::new(Probe::new(Arc::clone(&self.transport), capabilities));
        (DustRepo::with_transport(Arc::clone(&probe) as Arc<dyn Transport>), probe)
    }

    /// Writes a value as another client, and returns its revision.
    pub(crate) async fn set(&self, at: &str, value: Value) -> u64 {
        self.write(set(at, value)).await.unwrap()
    }

    /// Writes several values at once, as another client would.
    pub(crate) async fn set_all<'a>(&self, values: impl IntoIterator<Item = (&'a str, Value)>) {
        let ops = values.into_iter().map(|(at, value)| Op::set(path(at), RawJson::from(value))).collect();
        self.transport.write(ops, None).await.unwrap();
    }

    /// Deletes as another client would.
    pub(crate) async fn delete(&self, at: &str) -> u64 {
        self.write(Op::delete(path(at))).await.unwrap()
    }

    /// Makes a write that commits an op, and returns its number.
    pub(crate) async fn write(&self, write: Op) -> Result<u64, DustErr> {
        Ok(self.transport.write(vec![write], None).await?.store_seq.unwrap())
    }

    /// The value at a path.
    pub(crate) async fn value(&self, at: &str) -> Option<Value> {
        self.transport.get(&path(at)).await.unwrap().map(|entry| entry.value.to().unwrap())
    }

    /// Every leaf below a path, in order, with its value.
    pub(crate) async fn leaves(&self, below: &str) -> Vec<(String, Value)> {
        self.entries(below).await.into_iter().map(|leaf| (leaf.path.to_string(), leaf.value.to().unwrap())).collect()
    }

    /// Every leaf there is, in order, with its value.
    pub(crate) async fn leaves_of_all(&self) -> Vec<(String, Value)> {
        let leaves = self.matching("**").await;
        leaves.into_iter().map(|leaf| (leaf.path.to_string(), leaf.value.to().unwrap())).collect()
    }

    /// Every leaf below a path, in order.
    pub(crate) async fn entries(&self, below: &str) -> Vec<Entry> {
        self.matching(&format!("{below}/**")).await
    }

    async fn matching(&self, pattern: &str) -> Vec<Entry> {
        let mut request = ListRequest::pattern(pattern.parse().unwrap());
        let mut leaves = Vec::new();
        loop {
            let page = self.transport.list(&request).await.unwrap();
            leaves.extend(page.items.into_iter().filter_map(|item| item.into_entry()));
            match page.next_cursor {
                Some(cursor) => request.after = Some(cursor),
                None => return leaves,
            }
        }
    }
}

/// A path, from its rendered form.
pub(crate) fn path(rendered: &str) -> Path {
    Path::parse(rendered).unwrap()
}

/// A `set` without conditions.
pub(crate) fn set(at: &str, value: Value) -> Op {
    Op::set(path(at), RawJson::from(value))
}
