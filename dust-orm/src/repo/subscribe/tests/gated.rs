//! A transport whose lists take several polls, come in small pages, and fail while `fails` is set.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use dust_protocol::{ListRequest, Page};

use super::*;
use crate::DustErr;

#[derive(Debug)]
pub(super) struct Gated {
    pub(super) inner: EmbeddedTransport,
    pub(super) fails: AtomicBool,
    pub(super) lists: AtomicUsize,
    /// The paths of the leaves that were read.
    pub(super) read: Mutex<Vec<String>>,
}

impl Gated {
    pub(super) fn new(store: &Store) -> Arc<Gated> {
        let inner = EmbeddedTransport::new(store.clone());
        Arc::new(Gated { inner, fails: AtomicBool::new(false), lists: AtomicUsize::new(0), read: Mutex::default() })
    }
}

/// Completes at the second poll.
async fn a_moment() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Transport for Gated {
    crate::delegate_transport!(self => self.inner, except [name, list, list_leaves, list_subtree, try_list_subtree]);

    fn name(&self) -> &'static str {
        "gated"
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        a_moment().await;
        self.lists.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(DustErr::network("the gate is closed"));
        }
        let page = self.inner.list(&request.clone().limit(3)).await?;
        self.read.lock().unwrap().extend(page.items.iter().map(|item| item.path().to_string()));
        Ok(page)
    }
}
