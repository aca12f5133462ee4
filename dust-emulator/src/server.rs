//! The server itself: connections, bodies, faults, compression.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::body::MAX_BODY;
use crate::error::EmulatorError;
use crate::faults::{Effect, Fault, Met};
use crate::http::{Answer, Payload, Request, reason};
use crate::journal::RequestRecord;
use crate::routes::{self, Matched, Route};
use crate::socket::{self, Stops};
use crate::state::State;

/// The time for running requests to complete after a stop.
const GRACE: Duration = Duration::from_secs(5);
/// The bytes of a too long body that are read and dropped, so that its sender can read the answer.
const DRAINED: usize = 64 * 1024 * 1024;
/// The length below which answers are not compressed: they fit into one packet, and compression takes longer than a
/// write.
const COMPRESSED_FROM: usize = 1400;

/// A listening server.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn on(address: SocketAddr, state: Arc<State>, idle: Duration) -> Result<Listening, EmulatorError> {
        if Handle::try_current().is_err() {
            return Err(EmulatorError::NoRuntime);
        }
        let failed = |source| EmulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let task = tokio::spawn(accept(listener, state, idle, Stops { stopped, _alive: alive }, ended));
        Ok(Listening { address, stop, task })
    }

    /// Closes the port, completes running requests, and closes every connection.
    pub(crate) async fn stop(self) {
        // Fails only if the task has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    idle: Duration,
    mut stops: Stops,
    mut sockets_ended: mpsc::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // An error means that the handle was dropped, which also stops it.
            _ = stops.stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&state), idle, stops.clone()));
                }
                // Such as too many open files: others may close theirs.
                Err(error) => {
                    tracing::warn!(target: "dust_emulator", %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    drop(stops);
    // `None` once all sockets have dropped their ends.
    let _ = tokio::time::timeout(GRACE, sockets_ended.recv()).await;
}

async fn serve(stream: TcpStream, state: Arc<State>, idle: Duration, stops: Stops) {
    let local = stream.local_addr().ok().map(|address| address.ip());
    // Small answers are sent at once.
    let _ = stream.set_nodelay(true);
    let mut stopped = stops.stopped.clone();
    let service = service_fn(move |request| respond(Arc::clone(&state), request, local, stops.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        // The client or a fault decides how a connection ends.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(GRACE, connection).await;
}

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

async fn respond(
    state: Arc<State>,
    mut request: hyper::Request<Incoming>,
    local: Option<IpAddr>,
    stops: Stops,
) -> Result<hyper::Response<Sent>, Closed> {
    if let Err(refused) = state.hosts.check(request.method(), request.headers(), local) {
        return Ok(response(refused, None));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let body_bytes = if let Payload::Whole(bytes) = &body { bytes.len() } else { MAX_BODY };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let method = parts.method.clone();
    let request = Request::new(parts.method, target, parts.headers, body);
    let matched = Matched::of(&request.method, request.segments.as_deref().unwrap_or_default());

    let met = Met { method: method.as_str(), route: matched.route, target: &request.target };
    let fault = if matched.route.can_fail() { state.faults.meet(&met) } else { None };
    let mut record = RequestRecord {
        number: 0,
        at_ms: state.clock.wall_ms(),
        method: method.to_string(),
        target: request.target.clone(),
        route: matched.route,
        request_id: request.id.clone(),
        body_bytes,
        status: None,
        fault: fault.as_ref().map(Fault::name),
    };
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.wait()).await;
    }
    let gzip = !request.head && accepts_gzip(&request);
    let id = request.id.clone();
    let mut admitted = None;
    let answer = match &fault {
        Some(fault) if !fault.lets_through() => None,
        _ if matched.route == Route::Socket => Some(match socket::accept(&state, &request) {
            Ok((client, answer)) => {
                admitted = Some(client);
                answer
            }
            Err(answer) => answer,
        }),
        _ => Some(answer(&state, matched, request).await),
    };
    let effect = fault.as_ref().map(Fault::effect);
    let answer = match effect {
        Some(Effect::Close) => None,
        Some(effect) => effect.answer().or(answer),
        None => answer,
    };
    record.status = answer.as_ref().map(|answer| answer.status);
    if record.route != Route::Control {
        state.journal.add(record);
    }
    let answer = answer.ok_or(Closed)?.with("x-request-id", id);
    if let Some(client) = admitted.filter(|_| answer.status == 101) {
        tokio::spawn(socket::serve(state, client, upgrade, stops));
    }
    let answer = if gzip { compressed(answer) } else { answer };
    let cut = if let Some(Effect::Truncate(cut)) = effect { Some(cut.bytes) } else { None };
    Ok(response(answer, cut))
}

/// Answers a request on a thread that may wait for the disk.
async fn answer(state: &Arc<State>, matched: Matched, request: Request) -> Answer {
    if !state.stores.persistent() {
        return routes::answer(state, &matched, &request);
    }
    let state = Arc::clone(state);
    let answer = tokio::task::spawn_blocking(move || routes::answer(&state, &matched, &request)).await;
    answer.unwrap_or_else(|_| Answer::broken(500))
}

async fn read(mut body: Incoming) -> Result<Payload, Closed> {
    let mut bytes = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Closed)?.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            bytes.extend_from_slice(&data);
        } else if length > DRAINED {
            break;
        }
    }
    Ok(if length <= MAX_BODY { Payload::Whole(bytes.freeze()) } else { Payload::TooLarge })
}

fn accepts_gzip(request: &Request) -> bool {
    request.header("accept-encoding").is_some_and(|header| {
        header.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
        })
    })
}

/// The answer in gzip if that is shorter. An answer with an `ETag` is not compressed: the tag is that of its bytes.
fn compressed(mut answer: Answer) -> Answer {
    if answer.body.len() < COMPRESSED_FROM || answer.header("etag").is_some() {
        return answer;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    match encoder.write_all(&answer.body).and_then(|()| encoder.finish()) {
        Ok(bytes) if bytes.len() < answer.body.len() => {
            answer.body = bytes.into();
            answer.with("content-encoding", "gzip").with("vary", "accept-encoding")
        }
        _ => answer,
    }
}

fn response(answer: Answer, cut: Option<usize>) -> hyper::Response<Sent> {
    let body = match cut {
        None => Sent::Whole(Some(answer.body)),
        Some(bytes) => {
            let length = answer.body.len();
            Sent::Cut { start: Some(answer.body.slice(..bytes.min(length.saturating_sub(1)))), length, flushed: false }
        }
    };
    let mut response = hyper::Response::new(body);
    let status = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    *response.status_mut() = status;
    if status.canonical_reason() != Some(reason(answer.status)) {
        response.extensions_mut().insert(hyper::ext::ReasonPhrase::from_static(reason(answer.status).as_bytes()));
    }
    let headers = response.headers_mut();
    // A browser must use the type in the header.
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cache-control", HeaderValue::from_static("max-age=0, private, must-revalidate"));
    for (name, value) in answer.headers {
        // A value that a header cannot have, such as a line break in the name of a file, is left out.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The body of an answer, whole or cut.
enum Sent {
    Whole(Option<Bytes>),
    Cut { start: Option<Bytes>, length: usize, flushed: bool },
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        match &mut *self {
            Sent::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Sent::Cut { start, flushed, .. } => match start.take().filter(|start| !start.is_empty()) {
                Some(start) => Poll::Ready(Some(Ok(Frame::data(start)))),
                // Returning pending once makes the connection send its buffer.
                None if !*flushed => {
                    *flushed = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(Closed))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Sent::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Sent::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Sent::Cut { length, .. } => *length as u64,
        })
    }
}
