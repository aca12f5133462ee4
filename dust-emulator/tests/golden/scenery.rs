//! What a recording takes for granted: stores, tokens, and writes that it does not show.

use std::sync::Arc;

use dust_emulator::{Emulator, RateLimit, Token};
use dust_orm::protocol::{Fence, Glob, ListRequest, Op, Path, Precondition, RawJson, Write};
use dust_orm::store::{ManualClock, Origin, Store};
use serde_json::Value;

use crate::support;

/// A wall time at which a minute begins.
pub(crate) const MINUTE: i64 = 29_922_207 * 60_000;

const MEMBER: [&str; 9] = [
    "audit:read",
    "entries:read",
    "entries:write",
    "files:read",
    "files:write",
    "stores:clone",
    "stores:read",
    "webhooks:read",
    "webhooks:write",
];
const READER: [&str; 4] = ["audit:read", "entries:read", "files:read", "stores:read"];

pub(crate) struct Scenery {
    pub(crate) emulator: Emulator,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) file: String,
    /// The first store of the recording.
    pub(crate) store: String,
}

impl Scenery {
    pub(crate) async fn of(file: &str, stores: &[String]) -> Scenery {
        let clock = Arc::new(ManualClock::new(MINUTE));
        let mut builder = Emulator::builder().clock(Arc::clone(&clock) as _);
        for store in stores.iter().map(String::as_str).chain(["acme/main", "other/main", "freebie/main"]) {
            builder = builder.store(store);
        }
        if file.starts_with("f-429") || file.starts_with("g4") {
            builder = builder.rate_limit(RateLimit::PRODUCTION);
        }
        // The recorder's token was for the stores of the recording.
        let own = |name: &str| {
            let token = Token::new(name).id(name);
            stores.iter().fold(token, |token, store| token.only(store))
        };
        let tokens = [
            own("TOKEN").scopes(MEMBER),
            own("DUST_TOKEN_RO").scopes(READER),
            own("DUST_TOKEN_NOFILES").scopes(["entries:read"]),
            Token::new("DUST_TOKEN_WO").only("acme/main").scopes(["entries:write"]),
            Token::new("DUST_TOKEN_EXPIRED").only("acme/main").expires_at_ms(MINUTE),
            Token::new("DUST_ADMIN_TOKEN").org("acme"),
            Token::new("DUST_FREE_ADMIN_TOKEN").org("freebie"),
            Token::new("DUST_FREE_TOKEN").only("freebie/main").scopes(MEMBER),
        ];
        for token in tokens {
            builder = builder.token(token);
        }
        let emulator = builder.start().await.unwrap();
        let store = stores.first().cloned().unwrap_or_else(|| "freebie/main".to_owned());
        let scenery = Scenery { emulator, clock, file: file.to_owned(), store };
        scenery.before_all();
        scenery
    }

    pub(crate) fn handle(&self, name: &str) -> Store {
        self.emulator.store_handle(name).unwrap()
    }

    fn set(&self, path: &str, value: &str) {
        set(&self.handle(&self.store), path, value);
    }

    /// Takes a `store_seq` where the server had committed an op and the emulator refused it.
    pub(crate) fn skip_seq(&self) {
        run(&self.handle(&self.store), "nothing-is-here", Op::Delete);
    }

    fn before_all(&self) {
        let store = self.handle(&self.store);
        if self.file.starts_with("f-auth") {
            self.set("a", "1");
        }
        if self.file.starts_with("g5") {
            for key in 0..1000 {
                set(&store, &format!("k/{key:04}"), "1");
            }
        }
        if self.file.starts_with("g4") {
            // The recorded writes came on a WebSocket, which shares the limit.
            self.clock.set_wall(MINUTE + 60_000 - 31_500);
            self.repeat(100, "PUT");
        }
        if self.file.starts_with("f-429") {
            self.clock.set_wall(MINUTE + 60_000 - 59_500);
        }
        if self.file.starts_with("g3") {
            let snapshot = self.handle("acme/g3snapeee754");
            for key in 0..10 {
                set(&snapshot, &format!("k{key}"), "1");
            }
            snapshot.compact().unwrap();
        }
    }

    /// What happened before a section and is not shown.
    pub(crate) fn before(&self, section: &str) {
        let file = self.file.as_str();
        match (file, section) {
            ("0-basic-crud.txt", "(5 entries items/01..05 put)") => {
                for item in 1..=5 {
                    self.set(&format!("items/0{item}"), &item.to_string());
                }
            }
            ("a-map-put-if-match.txt", "zz/a = 1 (leaf), zz/a/b = 2 (child of the leaf)") => {
                self.set("zz/a", "1");
                self.set("zz/a/b", "2");
            }
            ("c-delete-if-match.txt", "leaf with children below it") => {
                self.set("p", "1");
                self.set("p/q", "2");
            }
            (
                "c-delete-if-match.txt",
                "SQL LIKE is case-insensitive for ASCII: does a subtree operation on Foo touch foo?",
            ) => {
                self.set("foo/a", "1");
                self.set("foo/b", "2");
            }
            ("c-delete-if-match.txt", "DELETE BAR (only bar/a exists)") => self.set("bar/a", "1"),
            ("f-429.txt", "write number 99 (2.7s after the first)") => {
                self.clock.set_wall(MINUTE + 60_000 - 56_500);
                self.repeat(96, "PUT");
            }
            ("f-429.txt", "right after retry-after seconds") => self.clock.set_wall(MINUTE + 60_000 - 500),
            ("f-429.txt", "1.1 s later") => self.clock.set_wall(MINUTE + 60_600),
            ("f-429.txt", "after 1005 further reads") => {
                self.clock.set_wall(MINUTE + 120_000 - 52_500);
                self.repeat(1005, "GET");
            }
            _ => {}
        }
    }

    fn repeat(&self, times: usize, method: &str) {
        let target = format!("/api/stores/{}/entries/a", self.store);
        let headers = [("authorization", "Bearer TOKEN"), ("content-type", "application/json")];
        for time in 0..times {
            let value = (time + 3).to_string();
            support::send(self.emulator.address(), method, &target, &headers, Some(value.as_bytes())).unwrap();
        }
    }

    /// Does what came on a WebSocket, past the protocol.
    pub(crate) fn acknowledged(&self, topic: &str, event: &str, payload: &Value) {
        let Some(name) = topic.strip_prefix("store:").filter(|name| name.contains('/')) else { return };
        let store = self.handle(name);
        match event {
            "write" => {
                if let Some(write) = write(payload) {
                    store.write(write, &Origin::new("d-a", text(payload, "client_op_id").unwrap_or_default())).unwrap();
                }
            }
            "put_file" => {
                // The only file that was taken.
                assert_eq!(text(payload, "content").as_deref(), Some("aGVsbG8="));
                let path = Path::parse(&text(payload, "path").unwrap()).unwrap();
                let (filename, kind) = (text(payload, "filename").unwrap(), text(payload, "content_type").unwrap());
                self.emulator.put_file(name, &path, "hello", &filename, &kind).unwrap();
            }
            // The last state that a rollback of the recording leads to: `leaf` as it was at first.
            "rollback" if payload.get("path").is_some() && payload.get("to_seq").unwrap() == 1 => {
                set(&store, "leaf", "\"v\"")
            }
            "rollback" if payload.get("path").is_none() => {
                let page = store.list(&ListRequest::pattern(Glob::parse("**").unwrap())).unwrap();
                for item in page.items.iter().filter(|item| item.path().as_str() != "leaf") {
                    run(&store, item.path().as_str(), Op::Delete);
                }
            }
            _ => {}
        }
    }
}

fn set(store: &Store, path: &str, value: &str) {
    run(store, path, Op::Set(RawJson::parse(value).unwrap()));
}

fn run(store: &Store, path: &str, op: Op) {
    store.write(Write::new(Path::parse(path).unwrap(), op), &Origin::new("http:test", "test")).unwrap();
}

fn text(payload: &Value, name: &str) -> Option<String> {
    payload.get(name)?.as_str().map(str::to_owned)
}

/// A write as a WebSocket carries it.
fn write(payload: &Value) -> Option<Write> {
    let path = match payload.get("path_segments").and_then(Value::as_array) {
        Some(segments) => Path::from_segments(segments.iter().filter_map(Value::as_str)).ok()?,
        None => Path::parse(&text(payload, "path")?).ok()?,
    };
    let value = || RawJson::from(payload.get("value").unwrap_or(&Value::Null));
    let number = |name: &str| payload.get(name).and_then(Value::as_i64);
    let token = || number("token").and_then(|token| u64::try_from(token).ok());
    // A server takes a negative time to live for one that is over.
    let ttl_ms = number("ttl_ms").unwrap_or(30_000).max(0);
    let op = match payload.get("op")?.as_str()? {
        "set" => Op::Set(value()),
        "delete" => Op::Delete,
        "merge" => Op::Merge(value()),
        "increment" => Op::Increment(value()),
        "add" => Op::Add(value()),
        "remove" => Op::Remove(value()),
        "lease" => Op::Lease { holder: text(payload, "holder"), ttl_ms },
        "renew" => Op::Renew { token: token()?, ttl_ms },
        "release" => Op::Release { token: token()? },
        "put_file" => Op::PutFile(value()),
        _ => return None,
    };
    let mut write = Write::new(path, op);
    if let Some(revision) = payload.get("if_match").and_then(Value::as_u64) {
        write.precondition = Some(Precondition::IfMatch(revision));
    } else if payload.get("if_absent") == Some(&Value::Bool(true)) {
        write.precondition = Some(Precondition::IfAbsent);
    }
    let fence = payload.get("fence");
    if let (Some(key), Some(token)) =
        (fence.and_then(|fence| text(fence, "key")), fence.and_then(|fence| fence.get("token")?.as_u64()))
    {
        write.fence = Some(Fence { key: Path::parse(&key).ok()?, token });
    }
    Some(write)
}
