//! The HTTP transport, with a server that answers with mutated recordings, and then with a working one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaos::dice::Dice;
use dust_orm::entity::prelude::{NotSet, Set};
use dust_orm::tests_cfg::link;
use dust_orm::transport::HttpTransport;
use dust_orm::{DustConfig, DustErr, DustRepo, RetryPolicy, Transport};
use dust_protocol::{ListRequest, Op, Pattern, RawJson, Select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::mutate::{mutate, noise};
use crate::recordings::Recordings;

const TOKEN: &str = "dust_tok_of_the_fuzzer";
/// Time limit for a call with a deadline of a second; beyond it the call hangs.
const HANG: Duration = Duration::from_secs(30);

struct Server {
    recordings: Recordings,
    dice: Mutex<Dice>,
    is_well: AtomicBool,
    requests: AtomicUsize,
    /// A request to a wrong address.
    stray: Mutex<Option<String>>,
}

pub(super) fn run(recordings: &Recordings, seed: u64) -> Result<(), String> {
    let server = Arc::new(Server {
        recordings: recordings.clone(),
        dice: Mutex::new(Dice::new(seed)),
        is_well: AtomicBool::new(false),
        requests: AtomicUsize::new(0),
        stray: Mutex::default(),
    });
    super::block_on(calls(server, Dice::new(!seed)))
}

async fn calls(server: Arc<Server>, mut dice: Dice) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = Arc::clone(&serving);
            tokio::spawn(async move { server.serve(stream).await });
        }
    });
    let config = DustConfig::builder()
        .store("acme/main")
        .token(TOKEN)
        .base_url(format!("http://{address}"))
        .request_timeout(Duration::from_millis(100))
        .deadline(Duration::from_secs(1))
        .max_answer(1 << 20)
        .retry(RetryPolicy::default().with_base_delay(Duration::from_millis(1)).with_max_tries(2));
    let config = config.build().map_err(|error| error.to_string())?;
    let transport = Arc::new(HttpTransport::new(config).map_err(|error| error.to_string())?);
    for _ in 0..12 {
        let before = server.requests.load(Ordering::SeqCst);
        let call = tokio::time::timeout(HANG, one(&transport, &mut dice)).await;
        if let Err(error) = call.map_err(|_| "a call hangs".to_owned())? {
            let text = format!("{error} {error:?}");
            if text.contains(TOKEN) || text.len() > 20_000 {
                return Err(format!("an error shows too much: {text}"));
            }
        }
        let requests = server.requests.load(Ordering::SeqCst) - before;
        if requests > 500 {
            return Err(format!("{requests} requests for one call"));
        }
    }
    if let Some(stray) = server.stray.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(format!("a request to a wrong address: {stray}"));
    }
    server.is_well.store(true, Ordering::SeqCst);
    // The time-out closes connections that still receive bad answers.
    let read = tokio::time::timeout(HANG, understood(&transport)).await;
    read.map_err(|_| "no read works after the server has recovered".to_owned())??;
    let written = transport.write(vec![Op::delete(super::path("links/dust/title")?)], None).await;
    written.map(|_| ()).map_err(|error| format!("no write works after the server has recovered: {error}"))
}

/// Repeats a read until it succeeds; the caller limits the time.
async fn understood(transport: &HttpTransport) -> Result<(), String> {
    let at = super::path("links/dust/title")?;
    while !matches!(transport.get(&at).await, Ok(Some(entry)) if entry.value.as_str() == "\"Dust\"") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn one(transport: &Arc<HttpTransport>, dice: &mut Dice) -> Result<(), DustErr> {
    let path = |text| dust_protocol::Path::parse(text).map_err(|error| DustErr::invalid_params(error.to_string()));
    let at = path(["links/dust/title", "links/dust", "links/a~1b/é", "links/../x"][dice.index(4)])?;
    let value = RawJson::from(serde_json::json!({"title": "Dust"}));
    let repo = DustRepo::with_transport(Arc::clone(transport) as Arc<dyn Transport>);
    match dice.below(12) {
        0 => transport.get(&at).await.map(|_| ()),
        1 => transport.get_many(&[at, path("links/x")?]).await.map(|_| ()),
        2 => transport.exists(&at).await.map(|_| ()),
        3 => transport.write(vec![Op::set(at, value)], None).await.map(|_| ()),
        4 => transport.write(vec![Op::delete(at)], None).await.map(|_| ()),
        5 => transport.write(vec![Op::set(at, value)], None).await.map(|_| ()),
        6 => transport.fetch_file(&format!("sha256:{}", "a".repeat(64))).await.map(|_| ()),
        7 => {
            let pattern = Pattern::parse(["**", "links/*", "items/**"][dice.index(3)])
                .map_err(|error| DustErr::invalid_params(error.to_string()))?;
            let select = [Select::Entries, Select::Keys, Select::Prefixes][dice.index(3)];
            transport.list(&ListRequest::pattern(pattern).select(select)).await.map(|_| ())
        }
        8 => repo.all::<link::Entity>().await.map(|_| ()),
        9 => repo.find_versioned::<link::Entity>("dust").await.map(|_| ()),
        10 => repo.delete_by_id::<link::Entity>("dust").await.map(|_| ()),
        _ => {
            let text = |text: &str| Set(text.to_owned());
            let link = link::ActiveModel {
                slug: text("dust"),
                title: text("Dust"),
                url: text("https://dustlayer.io"),
                note: NotSet,
            };
            repo.insert(link).if_absent().await.map(|_| ())
        }
    }
}

impl Server {
    async fn serve(&self, mut stream: TcpStream) {
        while let Some(head) = read_request(&mut stream).await {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let target = head.split(' ').nth(1).unwrap_or_default();
            let is_meant =
                target.starts_with("/api/stores/acme/main/entries") || target.starts_with("/api/files/sha256:");
            let path = target.split('?').next().unwrap_or_default();
            if !is_meant || path.contains("/../") {
                self.stray.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(head.clone());
            }
            let is_well = self.is_well.load(Ordering::SeqCst);
            let (answer, closes) = if is_well { (well(&head), false) } else { self.answer() };
            if stream.write_all(&answer).await.is_err() || closes {
                return;
            }
        }
    }

    fn answer(&self) -> (Vec<u8>, bool) {
        let dice = &mut *self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = &self.recordings.answers;
        let (one, other) = (dice.index(answers.len()), dice.index(answers.len()));
        let (one, other) = (&answers[one], &answers[other]);
        let body = mutate(dice, one.body.as_bytes(), other.body.as_bytes());
        let status = if dice.percent(50) { 200 } else { one.status };
        let mut head = format!("HTTP/1.1 {status} Some Reason\r\n");
        for (name, value) in &one.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let extra = [
            "location: http://127.0.0.1:1/stolen",
            "retry-after: 18446744073709551615",
            "x-ratelimit-remaining: 0",
            "content-encoding: gzip",
            "transfer-encoding: chunked",
            "connection: close",
        ];
        if dice.percent(20) {
            head.push_str(extra[dice.index(extra.len())]);
            head.push_str("\r\n");
        }
        let len = if dice.percent(95) { body.len() as u64 } else { dice.roll() >> dice.below(64) };
        head.push_str(&format!("content-length: {len}\r\n\r\n"));
        let whole = [head.as_bytes(), &body].concat();
        let whole = match dice.below(20) {
            0 => mutate(dice, &whole, other.body.as_bytes()),
            1 => noise(dice, 300),
            _ => whole,
        };
        (whole, dice.percent(50))
    }
}

fn well(head: &str) -> Vec<u8> {
    let body = if head.starts_with("GET") {
        r#"{"path":"links/dust/title","value":"Dust","type":"string","revision":1}"#
    } else {
        r#"{"revision":2,"store_seq":2}"#
    };
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads a whole request, and returns its first line.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = head.lines().next()?;
    Some(line.replacen("get ", "GET ", 1))
}
