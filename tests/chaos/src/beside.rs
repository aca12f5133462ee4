//! Wait times of socket writes while others write over HTTP: each HTTP write leaves a gap in the pushed ops, for which
//! the client has to join its store again.
//!
//! It runs in real time, with a latency of the network and of the server's channel, which drops unread messages at a
//! join.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dust_emulator::{Emulator, Fault, Route};
use dust_orm::realtime::SyncClient;
use dust_orm::transport::{HttpTransport, RealtimeTransport};
use dust_orm::{DustConfig, DustErr, ErrKind, Transport};
use dust_protocol::{Op, Path, RawJson};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

const STORE: &str = "acme/main";

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Duration of the run.
    pub time: Duration,
    /// Number of writers over the socket, each with one write after the other.
    pub writers: usize,
    /// HTTP writes per second.
    pub http_rate: u32,
    /// Latency of the network, one way.
    pub latency: Duration,
    /// Time that a channel takes for each write.
    pub message: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            time: Duration::from_secs(20),
            writers: 8,
            http_rate: 10,
            latency: Duration::from_millis(5),
            message: Duration::from_millis(2),
        }
    }
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Figures {
    /// Duration of each write over the socket.
    pub writes: Vec<Duration>,
    /// Number of these with an unknown outcome.
    pub timeouts: usize,
    /// Number of other failures, and the last error.
    pub failed: (usize, Option<String>),
    /// Time from the answer to each HTTP write until the mirror had it.
    pub holes: Vec<Duration>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { writes, timeouts, failed, holes } = self;
        writeln!(f, "{} writes: {}; {timeouts} unknown, {} failed", writes.len(), Spread(writes), failed.0)?;
        if let Some(error) = &failed.1 {
            writeln!(f, "  {error}")?;
        }
        write!(f, "{} holes closed: {}", holes.len(), Spread(holes))
    }
}

/// The quantiles of a list of times.
struct Spread<'a>(&'a [Duration]);

impl fmt::Display for Spread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.to_vec();
        sorted.sort();
        let at =
            |thousandths: usize| sorted.get((sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1)));
        for (name, thousandths) in [("p50", 500), ("p99", 990), ("p99.9", 999), ("max", 1000)] {
            if let Some(time) = at(thousandths) {
                write!(f, "{name} {:.1} ms  ", time.as_secs_f64() * 1000.0)?;
            }
        }
        Ok(())
    }
}

/// The state that the tasks of a run share.
#[derive(Default)]
struct Shared {
    figures: Mutex<Figures>,
    is_over: AtomicBool,
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Figures)) {
        note(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }
}

/// Runs the writers, and measures. An error is one of the run itself.
pub async fn run(options: Options) -> Result<Figures, String> {
    let text = |error: DustErr| error.to_string();
    let emulator = Emulator::builder().store(STORE).start().await.map_err(|error| error.to_string())?;
    emulator.faults().add(Fault::delay(options.message).route(Route::SocketWrite).forever());
    let far = relay(emulator.address(), options.latency).await.map_err(|error| error.to_string())?;
    let config = DustConfig::builder().store(STORE).token(emulator.token()).base_url(emulator.url());
    let http = HttpTransport::new(config.build().map_err(text)?).map_err(text)?;
    let client = SyncClient::builder().store(STORE).token(emulator.token()).base_url(format!("http://{far}"));
    let client = client.start().await.map_err(text)?;
    let realtime = Arc::new(RealtimeTransport::new(&client, STORE).map_err(text)?);

    let shared = Arc::new(Shared::default());
    let mut tasks: Vec<_> = (0..options.writers)
        .map(|writer| tokio::spawn(write(Arc::clone(&realtime), writer, Arc::clone(&shared))))
        .collect();
    tasks.push(tokio::spawn(write_beside(http, client.clone(), options.http_rate, Arc::clone(&shared))));
    tokio::time::sleep(options.time).await;
    shared.is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    client.shutdown().await;
    emulator.stop().await;
    Ok(std::mem::take(&mut *shared.figures.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn set(path: &str) -> Result<Op, String> {
    Ok(Op::set(Path::parse(path).map_err(|error| error.to_string())?, RawJson::null()))
}

async fn write(transport: Arc<RealtimeTransport>, writer: usize, shared: Arc<Shared>) -> Result<(), String> {
    let mut number = 0;
    while shared.goes_on() {
        number += 1;
        let write = set(&format!("w{writer}/{number}"))?;
        let began = Instant::now();
        let result = transport.write(vec![write], None).await;
        let took = began.elapsed();
        shared.note(|figures| {
            figures.writes.push(took);
            match result {
                Ok(_) => {}
                Err(error) if error.kind() == ErrKind::Timeout => figures.timeouts += 1,
                Err(error) => figures.failed = (figures.failed.0 + 1, Some(error.to_string())),
            }
        });
    }
    Ok(())
}

async fn write_beside(http: HttpTransport, client: SyncClient, rate: u32, shared: Arc<Shared>) -> Result<(), String> {
    let mut next = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    let mut number = 0;
    let mut watchers = Vec::new();
    while shared.goes_on() {
        next.tick().await;
        number += 1;
        let receipt =
            http.write(vec![set(&format!("beside/{number}"))?], None).await.map_err(|error| error.to_string())?;
        let (began, seq) = (Instant::now(), receipt.store_seq.unwrap_or_default());
        let (client, shared) = (client.clone(), Arc::clone(&shared));
        watchers.push(tokio::spawn(async move {
            while client.status().iter().any(|status| status.seq < seq) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            shared.note(|figures| figures.holes.push(began.elapsed()));
        }));
    }
    for watcher in watchers {
        watcher.await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A proxy to an address, with a latency in each direction.
async fn relay(to: SocketAddr, latency: Duration) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, latency));
            tokio::spawn(pass(far_in, near_out, latency));
        }
    });
    Ok(address)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, latency: Duration) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let sender = tokio::spawn(async move {
        while let Some((at, bytes)) = queued.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if queue.send((Instant::now() + latency, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(queue);
    let _ = sender.await;
}
