//! A transport that records the requests through it, and can make them fail.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use dust_orm::transport::Receipt;
use dust_orm::{Capabilities, DustErr, Transport};
use dust_protocol::{Entry, Fence, FileUpload, LeafPage, ListRequest, Op, Page, Path};

/// Records requests, and fails the selected ones before they are sent.
#[derive(Debug)]
pub(crate) struct Probe {
    inner: Arc<dyn Transport>,
    capabilities: Capabilities,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    failures: Vec<Failure>,
    /// The number of writes before it.
    intruder: Option<(usize, Op)>,
}

/// Fails the n-th request of a kind.
#[derive(Debug)]
struct Failure {
    is_write: bool,
    to_pass: usize,
    error: DustErr,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Get,
    GetMany,
    Exists,
    Write,
    /// A batch with this number of ops.
    Batch(usize),
    PutFile,
    FetchFile,
}

impl Call {
    fn is_write(self) -> bool {
        matches!(self, Call::Write | Call::Batch(_) | Call::PutFile)
    }
}

impl Probe {
    pub(crate) fn new(inner: Arc<dyn Transport>, capabilities: Capabilities) -> Probe {
        Probe { inner, capabilities, state: Mutex::default() }
    }

    /// Returns the requests since the last call, failed ones included.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    /// Lets the `nth` write from now on fail, counted from 0.
    pub(crate) fn fail_write(&self, nth: usize, error: DustErr) {
        self.state().failures.push(Failure { is_write: true, to_pass: nth, error });
    }

    /// Lets the `nth` read from now on fail, counted from 0.
    pub(crate) fn fail_read(&self, nth: usize, error: DustErr) {
        self.state().failures.push(Failure { is_write: false, to_pass: nth, error });
    }

    /// Makes this write just before the next one, as another client.
    pub(crate) fn intrude(&self, write: Op) {
        self.intrude_at(0, write);
    }

    /// Makes this write just before the `nth` one from now on, counted from 0.
    pub(crate) fn intrude_at(&self, nth: usize, write: Op) {
        self.state().intruder = Some((nth, write));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn pass(&self, call: Call) -> Result<(), DustErr> {
        let intruder = {
            let mut state = self.state();
            state.calls.push(call);
            let mut due = None;
            for (index, failure) in state.failures.iter_mut().enumerate() {
                if failure.is_write == call.is_write() {
                    match failure.to_pass {
                        0 => due = Some(index),
                        _ => failure.to_pass -= 1,
                    }
                }
            }
            if let Some(index) = due {
                return Err(state.failures.remove(index).error);
            }
            match &mut state.intruder {
                Some((to_pass, _)) if call.is_write() && *to_pass > 0 => {
                    *to_pass -= 1;
                    None
                }
                Some(_) if call.is_write() => state.intruder.take(),
                _ => None,
            }
        };
        if let Some((_, write)) = intruder {
            self.inner.write(vec![write], None).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Transport for Probe {
    dust_orm::delegate_transport!(self => self.inner, only [name, op_hub, is_own]);

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        self.pass(Call::List).await?;
        self.inner.list(request).await
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        self.pass(Call::List).await?;
        self.inner.list_subtree(path, after).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        self.pass(Call::Get).await?;
        self.inner.get(path).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        self.pass(Call::GetMany).await?;
        self.inner.get_many(paths).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        self.pass(Call::Exists).await?;
        self.inner.exists(path).await
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        self.pass(if ops.len() == 1 { Call::Write } else { Call::Batch(ops.len()) }).await?;
        self.inner.write(ops, fence).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        self.pass(Call::PutFile).await?;
        self.inner.put_file(file, fence).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        self.pass(Call::FetchFile).await?;
        self.inner.fetch_file(hash).await
    }
}
