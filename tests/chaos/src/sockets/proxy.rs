//! A TCP proxy on loopback that cuts, stalls and truncates.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A proxy between a client and a server whose address can change.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// Changes when all connections are cut.
    cuts: watch::Sender<u64>,
    state: Mutex<State>,
}

struct State {
    upstream: Option<SocketAddr>,
    stalled_until: Instant,
    /// Number of bytes that pass before all connections are cut.
    left: Option<usize>,
}

impl Proxy {
    /// Listens on a free port.
    pub(super) async fn start() -> std::io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = State { upstream: None, stalled_until: Instant::now(), left: None };
        let shared = Arc::new(Shared { cuts: watch::Sender::new(0), state: Mutex::new(state) });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Proxy { address, shared, task })
    }

    /// Changes the server, or removes it.
    pub(super) fn lead_to(&self, upstream: Option<SocketAddr>) {
        self.shared.lock().upstream = upstream;
    }

    /// Cuts every connection.
    pub(super) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops all bytes for a time.
    pub(super) fn stall(&self, time: Duration) {
        self.shared.lock().stalled_until = Instant::now() + time;
    }

    /// Cuts every connection after `bytes` more bytes, also inside of a frame.
    pub(super) fn truncate(&self, bytes: usize) {
        self.shared.lock().left = Some(bytes);
    }

    /// Removes all faults.
    pub(super) fn calm(&self) {
        let mut state = self.shared.lock();
        state.stalled_until = Instant::now();
        state.left = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // It holds three values that are set one by one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of bytes that may pass, and true if the cut follows.
    fn take(&self, bytes: usize) -> (usize, bool) {
        let mut state = self.lock();
        match state.left {
            Some(left) if left <= bytes => {
                state.left = None;
                (left, true)
            }
            Some(left) => {
                state.left = Some(left - bytes);
                (bytes, false)
            }
            None => (bytes, false),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut cuts = shared.cuts.subscribe();
            let upstream = shared.lock().upstream;
            let Some(upstream) = upstream else { return };
            // A missing server has the effect of a cut.
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::select! {
                _ = cuts.changed() => {}
                () = pass(client_in, server_out, &shared) => {}
                () = pass(server_in, client_out, &shared) => {}
            }
        });
    }
}

/// Passes bytes on until one end is closed or everything is cut.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, shared: &Shared) {
    let mut buffer = [0; 8192];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        loop {
            let until = shared.lock().stalled_until;
            if until <= Instant::now() {
                break;
            }
            tokio::time::sleep_until(until).await;
        }
        let (passing, is_last) = shared.take(read);
        if to.write_all(&buffer[..passing]).await.is_err() {
            return;
        }
        if is_last {
            let _ = to.flush().await;
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}
