//! What a test is given.

use std::sync::Arc;

use dust_orm::protocol::{Entry, ListRequest, Op, Path, RawJson, Write};
use dust_orm::{DustRepo, Transport};
use serde_json::Value;

use crate::backend::Backend;
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
    pub(crate) async fn new(backend: &dyn Backend) -> Context {
        let (outer, keep) = backend.connect().await;
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
        self.outer.write(Write::new(self.scope.clone(), Op::Delete)).await.unwrap();
    }

    /// Writes a value as another client would, and gives its revision.
    pub(crate) async fn set(&self, at: &str, value: Value) -> u64 {
        let write = Write::new(path(at), Op::Set(RawJson::from(value)));
        self.transport.write(write).await.unwrap().store_seq.unwrap()
    }

    /// Every leaf below a path, in order, with its value.
    pub(crate) async fn leaves(&self, below: &str) -> Vec<(String, Value)> {
        self.entries(below).await.into_iter().map(|leaf| (leaf.path.to_string(), leaf.value.to().unwrap())).collect()
    }

    /// Every leaf below a path, in order.
    pub(crate) async fn entries(&self, below: &str) -> Vec<Entry> {
        let mut request = ListRequest::pattern(format!("{below}/**").parse().unwrap());
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

/// A number no other test run has: std's hasher is seeded at random in each process.
fn unique() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
