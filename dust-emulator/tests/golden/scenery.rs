//! The conditions of a recording: stores, tokens, and writes that it does not show.

use std::sync::Arc;

use dust_emulator::{Emulator, Fault, RateLimit, Route, Token};
use dust_protocol::{Mutation, Op, Path, RawJson};
use dust_store::{ManualClock, Origin, Store};

use crate::support;

/// The start of a minute, in milliseconds since 1970.
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
        let tokens = [
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
        // A recording of sockets has one token for all of its stores, so the token moves from store to store.
        let with_sockets = file.starts_with('g') || file.starts_with("h-values-ws");
        if file.starts_with("g6") {
            emulator.add_token(Token::new("TOKEN").id("TOKEN"));
        } else {
            for token in own_tokens(if with_sockets { &stores[..stores.len().min(1)] } else { stores }) {
                emulator.add_token(token);
            }
        }
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

    /// Uses up a `store_seq` for an op that the server committed and the emulator refuses.
    pub(crate) fn skip_seq(&self, store: &str) {
        run(&self.handle(store), "nothing-is-here", Mutation::Delete);
    }

    /// Prepares the content of a store that the recorder does not show.
    pub(crate) fn enter(&self, store: &str) {
        if self.store == store || self.file.starts_with("g6") {
            return;
        }
        for token in own_tokens(&[store.to_owned()]) {
            self.emulator.add_token(token);
        }
        let handle = self.handle(store);
        if store == "acme/g3bigeee754" {
            let ops: Vec<Op> = (0..2500)
                .map(|key| {
                    let value = RawJson::parse(&key.to_string()).unwrap();
                    Op::set(Path::parse(&format!("n/{key:05}")).unwrap(), value)
                })
                .collect();
            for (index, chunk) in ops.chunks(1000).enumerate() {
                let id = format!("00000000-0000-0000-0000-00000000000{index}");
                handle.batch_write(chunk.to_vec(), None, &Origin::new("http:test", id)).unwrap();
            }
        }
        if store == "acme/g3snapeee754" {
            set(&handle, "a", "1");
            run(&handle, "ctr", Mutation::Increment(RawJson::parse("5").unwrap()));
            set(&handle, "d", r#"{"_type":"decimal","_typed":"1.20"}"#);
            set(&handle, "dt", r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05Z"}"#);
            set(&handle, "m", r#"{"x":{"y":2},"z":[1]}"#);
            set(&handle, "nul", "null");
            run(&handle, "tags", Mutation::Add(RawJson::parse("\"t1\"").unwrap()));
            set(&handle, "gone", "1");
            run(&handle, "gone", Mutation::Delete);
            run(&handle, "lk", Mutation::Lease { holder: Some("h".to_owned()), ttl_ms: 600_000 });
        }
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
            self.clock.set_wall(MINUTE + 60_000 - 31_500);
        }
        if self.file.starts_with("f-429") {
            self.clock.set_wall(MINUTE + 60_000 - 59_500);
        }
    }

    /// Repeats the requests before a section that the recording does not show.
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
            ("g6-ws-rejoin-and-faults.txt", section) if section.starts_with("20 writes, and at once a second join") => {
                // The channel had read one message before the join.
                self.emulator.faults().add(Fault::hang().route(Route::SocketWrite).skip(1));
            }
            ("g6-ws-rejoin-and-faults.txt", "a second put_file in a store crashes the channel") => {
                self.emulator.faults().add(Fault::one_file());
            }
            (_, "renew after expiry") if file.starts_with("g2") => self.clock.advance(60),
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
}

/// The tokens of the recorder, valid for the stores of the recording.
fn own_tokens(stores: &[String]) -> [Token; 3] {
    let own = |name: &str| stores.iter().fold(Token::new(name).id(name), |token, store| token.only(store));
    [
        own("TOKEN").scopes(MEMBER),
        own("DUST_TOKEN_RO").scopes(READER),
        own("DUST_TOKEN_NOFILES").scopes(["entries:read"]),
    ]
}

fn set(store: &Store, path: &str, value: &str) {
    run(store, path, Mutation::Set(RawJson::parse(value).unwrap()));
}

fn run(store: &Store, path: &str, op: Mutation) {
    store.write(Op::new(Path::parse(path).unwrap(), op), None, &Origin::new("http:test", "test")).unwrap();
}
