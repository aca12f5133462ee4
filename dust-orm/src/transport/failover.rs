//! The choice of the transport for a call, for a repo that was given the server and not the transport.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dust_protocol::{Entry, Fence, LeafPage, ListRequest, Mutation, Op, Page, Path};

use super::{
    Capabilities, HttpTransport, RealtimeTransport, Receipt, Transport, first_two_below, for_subscription, has_leaf,
};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::realtime::{ClientHandle, Mirror, StoreRegistration, SyncClient};

/// The transports to one store on a server: HTTP, and any realtime client that exists at the time of a call.
#[derive(Clone, Debug)]
pub(crate) struct Failover {
    /// The transport for the HTTP requests of realtime clients.
    http: Arc<HttpTransport>,
    /// The transport for calls that bypass the clients. It notifies them of its writes.
    plain: Arc<HttpTransport>,
    registration: Arc<StoreRegistration>,
    /// The client that was given, if any; no other client is used then.
    given: Option<(ClientHandle, Arc<RealtimeTransport>)>,
}

impl Failover {
    /// The transports to the store of a configuration, with any client that is running.
    pub(crate) fn new(config: DustConfig) -> Result<Failover, DustErr> {
        let registration = StoreRegistration::of(&config);
        Ok(Failover::over(Arc::new(HttpTransport::new(config)?), registration, None))
    }

    /// The transports to a store of a client.
    pub(crate) fn with_client(client: &SyncClient, store: &str) -> Result<Failover, DustErr> {
        let realtime = RealtimeTransport::new(client, store)?;
        let store = client.find(store)?;
        let handle = ClientHandle { client: client.clone(), store };
        let registration = StoreRegistration::apart(client.config(store), handle.clone());
        Ok(Failover::over(realtime.http(), registration, Some((handle, Arc::new(realtime)))))
    }

    /// The same transports; a write waits up to `wait` for a connection of the given client, if any.
    pub(crate) fn waiting(&self, wait: Duration) -> Failover {
        let given = self.given.clone();
        let given = given.map(|(handle, realtime)| (handle, Arc::new(realtime.waiting(wait))));
        Failover { given, ..self.clone() }
    }

    fn over(
        http: Arc<HttpTransport>,
        registration: Arc<StoreRegistration>,
        given: Option<(ClientHandle, Arc<RealtimeTransport>)>,
    ) -> Failover {
        let plain = Arc::new(http.notifying(Arc::clone(&registration)));
        Failover { http, plain, registration, given }
    }

    /// The transport for a call.
    pub(crate) fn now(&self) -> Arc<dyn Transport> {
        match &self.given {
            Some((handle, realtime)) if handle.client.is_enabled() && self.registration.is_known_to(handle) => {
                Arc::clone(realtime) as Arc<dyn Transport>
            }
            Some((handle, realtime)) => {
                Arc::new(self.transport(handle.clone(), RealtimeTransport::clone(realtime), false))
            }
            None => match self.registration.pick() {
                Some((handle, is_up)) => {
                    let http = Arc::clone(&self.http);
                    let realtime = RealtimeTransport::over(handle.client.clone(), handle.store, http);
                    Arc::new(self.transport(handle, realtime, is_up))
                }
                None => Arc::clone(&self.plain) as Arc<dyn Transport>,
            },
        }
    }

    /// The transport for a subscription. It reads from the mirror alone, connected or not, because the events of its
    /// subscribers continue from the mirror.
    pub(crate) fn source(&self) -> Arc<dyn Transport> {
        if let Some((_, realtime)) = &self.given {
            return for_subscription(Arc::clone(realtime) as Arc<dyn Transport>);
        }
        match self.registration.pick() {
            Some((ClientHandle { client, store }, _)) => {
                Arc::new(RealtimeTransport::over(client, store, Arc::clone(&self.http)))
            }
            None => Arc::clone(&self.plain) as Arc<dyn Transport>,
        }
    }

    fn transport(&self, handle: ClientHandle, realtime: RealtimeTransport, is_up: bool) -> FailoverTransport {
        FailoverTransport {
            handle,
            realtime,
            plain: Arc::clone(&self.plain),
            registration: Arc::clone(&self.registration),
            is_up,
        }
    }
}

/// A transport that uses the realtime client or HTTP, depending on the operation and on the state of the client.
///
/// A client that is up handles every operation. A write that it could not send, because its connection broke or it was
/// shut down during the call, goes over HTTP. When the client is down, HTTP does what it supports.
#[derive(Debug)]
struct FailoverTransport {
    handle: ClientHandle,
    realtime: RealtimeTransport,
    plain: Arc<HttpTransport>,
    registration: Arc<StoreRegistration>,
    is_up: bool,
}

impl FailoverTransport {
    /// The answer of the mirror of a client that is down, for a read that HTTP could not answer either, if the mirror
    /// has everything that this process has written.
    fn or_last_known<T>(
        &self,
        answer: Result<T, DustErr>,
        read: impl FnOnce(&Mirror) -> Result<T, DustErr>,
    ) -> Result<T, DustErr> {
        let Err(DustErr::Network { .. }) = &answer else { return answer };
        if !self.registration.is_known_to(&self.handle) {
            return answer;
        }
        self.handle.client.last_known(self.handle.store).map_or(answer, |mirror| read(&mirror))
    }
}

/// True if an op can be sent over a socket only.
fn needs_socket(op: &Op) -> bool {
    !matches!(op.mutation, Mutation::Set(_) | Mutation::Delete)
}

#[async_trait]
impl Transport for FailoverTransport {
    crate::delegate_transport!(self => self.realtime, only [put_file, op_hub, is_own]);
    crate::delegate_transport!(self => self.plain, only [fetch_file]);

    fn name(&self) -> &'static str {
        if self.is_up { self.realtime.name() } else { self.plain.name() }
    }

    fn for_call(&self) -> Option<Arc<dyn Transport>> {
        let (handle, registration) = (self.handle.clone(), Arc::clone(&self.registration));
        let (realtime, plain) = (self.realtime.begin(), Arc::new(self.plain.begin()));
        Some(Arc::new(FailoverTransport { handle, realtime, plain, registration, is_up: self.is_up }))
    }

    fn requests(&self) -> usize {
        self.realtime.requests() + self.plain.requests()
    }

    fn capabilities(&self) -> Capabilities {
        let realtime = self.realtime.capabilities();
        if self.is_up {
            return realtime;
        }
        // An operation that needs the socket is sent there, and its error names the problem of the socket.
        let Capabilities { fences, typed_ops, subscribe, .. } = realtime;
        Capabilities { fences, typed_ops, subscribe, ..self.plain.capabilities() }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        if self.is_up {
            return self.realtime.list(request).await;
        }
        let page = self.plain.list(request).await;
        self.or_last_known(page, |mirror| mirror.list(request))
    }

    async fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        if self.is_up {
            return self.realtime.list_leaves(request).await;
        }
        let page = self.plain.list_leaves(request).await;
        self.or_last_known(page, |mirror| mirror.list_leaves(request))
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        if self.is_up {
            return self.realtime.list_subtree(path, after).await;
        }
        let page = self.plain.list_subtree(path, after).await;
        self.or_last_known(page, |mirror| Ok(mirror.below(path, after)))
    }

    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        if self.is_up { self.realtime.try_list_subtree(path, after) } else { None }
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        if self.is_up {
            return self.realtime.get(path).await;
        }
        let entry = self.plain.get(path).await;
        self.or_last_known(entry, |mirror| Ok(mirror.get(path)))
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        if self.is_up {
            return self.realtime.get_many(paths).await;
        }
        let entries = self.plain.get_many(paths).await;
        self.or_last_known(entries, |mirror| mirror.get_many(paths))
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        if self.is_up {
            return self.realtime.exists(path).await;
        }
        let exists = self.plain.exists(path).await;
        self.or_last_known(exists, |mirror| Ok(mirror.exists(path) && has_leaf(&mirror.list(&first_two_below(path))?)))
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        if fence.is_some() || ops.iter().any(needs_socket) {
            return self.realtime.write(ops, fence).await;
        }
        if self.is_up {
            let answer = self.realtime.write(ops.clone(), None).await;
            if !matches!(answer, Err(DustErr::Network { .. })) {
                if let (Ok(Receipt { store_seq: Some(store_seq), .. }), 2..) = (&answer, ops.len()) {
                    // The batch may have been sent over HTTP while the connection broke.
                    self.registration.notify_write(*store_seq);
                }
                return answer;
            }
        }
        self.plain.write(ops, None).await
    }
}
