//! A real server that the environment names, over HTTP and in realtime.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dust_orm::realtime::SyncClient;
use dust_orm::transport::{HttpTransport, RealtimeTransport, Receipt};
use dust_orm::{DustConfig, DustErr, Transport};
use dust_protocol::{Entry, Fence, FileUpload, LeafPage, ListRequest, Op, Page, Path};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;

use crate::backend::{Backend, unique};

/// The address of a real server, a token and a store (`org/name`).
#[derive(Clone)]
pub struct Server {
    pub url: String,
    pub token: String,
    pub store: String,
}

impl Server {
    /// The server of `DUST_CONFORMANCE_URL`, `DUST_CONFORMANCE_TOKEN` and `DUST_CONFORMANCE_STORE`; `None` when the
    /// first is not set.
    pub fn from_env() -> Option<Server> {
        let url = std::env::var("DUST_CONFORMANCE_URL").ok()?;
        let needed = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        Some(Server { url, token: needed("DUST_CONFORMANCE_TOKEN"), store: needed("DUST_CONFORMANCE_STORE") })
    }

    /// Starts a client of a store.
    async fn join(&self, store: &str) -> Result<SyncClient, DustErr> {
        patiently(|| SyncClient::builder().base_url(&self.url).token(&self.token).store(store).start()).await
    }

    /// Creates a store by `POST /api/stores` and answers its name; `None` where the server does not create it, whatever
    /// the reason.
    async fn create_store(&self) -> Option<String> {
        // The process has no default yet unless it has a client already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let body = json!({"name": format!("conformance-{:016x}", unique()), "ttl": TTL}).to_string();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        loop {
            let request = client
                .post(format!("{}/api/stores", self.url.trim_end_matches('/')))
                .bearer_auth(&self.token)
                .header("content-type", "application/json")
                .header("accept", "application/json")
                .body(body.clone());
            let answer = request.send().await.ok()?;
            match answer.status().as_u16() {
                201 => {
                    let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
                    // Servers answer it in one of two places.
                    let created = body.pointer("/store/full_name").or_else(|| body.get("full_name"));
                    return created.and_then(Value::as_str).map(str::to_owned);
                }
                429 => {
                    let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
                    tokio::time::sleep(Duration::from_secs(after.unwrap_or(1).clamp(1, 60))).await;
                }
                _ => return None,
            }
        }
    }
}

/// The life of a store that the suite creates, in seconds: a server has no request that removes one.
const TTL: u64 = 86_400;

/// A real server over HTTP. Each refusal by its rate limit is waited out.
pub struct RealServer(pub Server);

#[async_trait]
impl Backend for RealServer {
    fn name(&self) -> &'static str {
        "real"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let Server { url, token, store } = self.0.clone();
        let config = DustConfig::builder().base_url(url).token(token).store(store).build();
        let config = config.unwrap_or_else(|error| panic!("DUST_CONFORMANCE_*: {error}"));
        (Arc::new(Patient(Arc::new(HttpTransport::new(config).unwrap()))), Box::new(()))
    }
}

/// A real server over its WebSocket. Each module has a store of its own where the server gives one, otherwise the
/// configured one.
///
/// The trials of a store share one client: a client reads the whole log of its store when it joins.
pub struct RealServerRealtime {
    server: Server,
    /// The clients of the stores that were created, by module; `None` where the server refused.
    created: Mutex<HashMap<String, Arc<OnceCell<Option<Joined>>>>>,
    /// The client of the configured store.
    configured: OnceCell<Joined>,
}

/// A store and its client.
#[derive(Clone)]
struct Joined {
    store: String,
    client: SyncClient,
}

/// The runtime of the shared clients, each of which outlives the trial that starts it.
static CLIENTS: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

impl RealServerRealtime {
    pub fn new(server: Server) -> RealServerRealtime {
        RealServerRealtime { server, created: Mutex::default(), configured: OnceCell::new() }
    }

    /// The name of the store for a module.
    pub async fn store(&self, module: &str) -> String {
        self.joined(module).await.store
    }

    async fn joined(&self, module: &str) -> Joined {
        let cell = Arc::clone(self.created.lock().unwrap().entry(module.to_owned()).or_default());
        let created = cell.get_or_init(|| async {
            let store = self.server.create_store().await?;
            // A token of selected stores may create one that it cannot join.
            self.join(store).await.ok()
        });
        if let Some(joined) = created.await {
            return joined.clone();
        }
        let configured = self.configured.get_or_init(|| async {
            let store = &self.server.store;
            self.join(store.clone()).await.unwrap_or_else(|error| panic!("the store `{store}`: {error}"))
        });
        configured.await.clone()
    }

    /// Starts a client on the shared runtime.
    async fn join(&self, store: String) -> Result<Joined, DustErr> {
        let server = self.server.clone();
        let joining = CLIENTS.spawn(async move {
            let client = server.join(&store).await?;
            Ok(Joined { store, client })
        });
        joining.await.unwrap()
    }
}

#[async_trait]
impl Backend for RealServerRealtime {
    fn name(&self) -> &'static str {
        "realws"
    }

    async fn connect(&self, module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let Joined { store, client } = self.joined(module).await;
        // Its own, since the connections of its HTTP client end with the runtime of the trial.
        let transport = RealtimeTransport::new(&client, &store).unwrap();
        (Arc::new(Patient(Arc::new(transport))), Box::new(()))
    }
}

/// Waits out the rate limit.
#[derive(Debug)]
struct Patient(Arc<dyn Transport>);

async fn patiently<T, F: Future<Output = Result<T, DustErr>>>(call: impl Fn() -> F) -> Result<T, DustErr> {
    loop {
        match call().await {
            Err(DustErr::RateLimited { retry_after, .. }) => {
                tokio::time::sleep(retry_after + Duration::from_millis(100)).await;
            }
            outcome => return outcome,
        }
    }
}

#[async_trait]
impl Transport for Patient {
    dust_orm::delegate_transport!(self => self.0, only [name, capabilities, try_list_subtree, op_hub, is_own]);

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        patiently(|| self.0.list(request)).await
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        patiently(|| self.0.list_subtree(path, after)).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        patiently(|| self.0.get(path)).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        patiently(|| self.0.get_many(paths)).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        patiently(|| self.0.exists(path)).await
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        patiently(|| self.0.write(ops.clone(), fence.clone())).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        patiently(|| self.0.put_file(file.clone(), fence.clone())).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        patiently(|| self.0.fetch_file(hash)).await
    }
}
