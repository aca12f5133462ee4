//! A Dust server for laptops and tests: the HTTP and WebSocket protocols of [Dust](https://dustlayer.io) in front of
//! the embedded store.
//!
//! In a test it listens on a free port, with one empty store in memory and one token without restrictions:
//!
//! ```
//! use dust_emulator::{Emulator, Fault};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # async fn get(emulator: &Emulator, path: &str) -> std::io::Result<String> {
//! #     let mut stream = tokio::net::TcpStream::connect(emulator.address()).await?;
//! #     let token = emulator.token();
//! #     let headers = format!("host: localhost\r\nauthorization: Bearer {token}\r\nconnection: close");
//! #     let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n\r\n");
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::start().await?;
//! emulator.import(&emulator.store(), r#"{"links/dust": {"title": "Dust"}}"#)?;
//!
//! // Give `emulator.url()`, `emulator.store()` and `emulator.token()` to the client; here is one made by hand.
//! let path = format!("/api/stores/{}/entries/links/dust/title", emulator.store());
//! assert!(get(&emulator, &path).await?.ends_with(r#"{"path":"links/dust/title","revision":1,"type":"string","value":"Dust"}"#));
//!
//! // Test the client with a failing server.
//! emulator.faults().add(Fault::status(503).times(1));
//! assert!(get(&emulator, &path).await?.starts_with("HTTP/1.1 503"));
//! assert_eq!(emulator.requests().len(), 2);
//! emulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! For development there is a binary: `cargo run -p dust-emulator` listens on <http://127.0.0.1:7755>, prints the
//! variables to export, and shows its stores on a page. A simulation that controls when each frame arrives uses
//! [`InProcessServer`].
//!
//! # What it answers
//!
//! The answers of a Dust server, byte for byte if they have been recorded: every status, body and header of entries,
//! lists, batches, the log, exports, files, stores and tokens; and on the WebSocket (`/ws/sync/websocket`, Phoenix
//! channels in JSON or MessagePack) joins, snapshots, catch-ups, live events, writes, leases, files, `status` and
//! `rollback`. As on a server, writes over HTTP are not pushed to sockets, nor are those through
//! [`Emulator::store_handle`].
//!
//! A message that crashes a server's channel crashes it here: the client receives `phx_error`, and the reason is in the
//! emulator's log (`tracing`, target `dust_emulator`). The intended differences:
//!
//! | what | a Dust server | here |
//! |---|---|---|
//! | a path that is not UTF-8 once decoded | 500 | 400 `invalid_params` |
//! | an object in which a leaf has leaves below it | 500 | the leaf counts |
//! | a write at a path with a NUL in it | also removes the leaf at the part before the NUL | does not |
//! | values that would poison later reads | stored | 400 `invalid_params`, see [`dust_store`] |
//! | a write without a `client_op_id` on the WebSocket | refused when it is stored | refused before its conditions are looked at |
//! | a lease whose `ttl_ms` is negative | has ended before it begins | ends as it begins |
//! | a lease whose `holder` is no string | keeps the value | keeps its JSON as a string |
//! | a timestamp in a MessagePack frame | is one in live events too | an envelope in live events |
//! | a live event with an integer beyond 64 bits for a MessagePack client | its writer's channel crashes | it is left out |
//! | `rollback` to what is no integer | an exception | a reason |
//! | the size of the database and the time of the last snapshot in `status` | there | 0 and `null` |
//! | a file | `inline`, with the content type it was stored with | `attachment`; `application/octet-stream` for what a browser shows as a page |
//! | a request of a page of another origin, or to another host | answered | 403 `forbidden` |
//! | events for a client that does not read | kept, as many as come | the connection is dropped once 32 MiB wait |
//! | webhooks, plan limits, exports to SQLite, the rest of the web site | there | not there |
//!
//! # Its own endpoints
//!
//! They need no token. Do not let an emulator listen on an address that others can reach. It refuses pages of another
//! origin, and answers only requests to `localhost`, a loopback address, the address that it listens on and those of
//! [`EmulatorBuilder::host`], so that no web site in a browser on this machine can use it.
//!
//! | call | |
//! |---|---|
//! | `GET /` | a page: stores, their keys as a tree, values, types, revisions |
//! | `GET`, `POST`, `DELETE /_emulator/faults` | faults that are waiting; add one; take all away |
//! | `GET`, `DELETE /_emulator/requests` | the last requests; forget them |
//! | `GET`, `DELETE /_emulator/sockets` | how many sockets and channels are open; drop all connections |
//! | `DELETE /_emulator/channels` | crash all channels |
//! | `POST`, `DELETE /_emulator/catch-ups` | `{"hold_after": 3}` stops catch-ups after 3 events; let them go on |
//!
//! A fault in JSON has an `effect` and its conditions; the fields are those of [`Fault`]'s methods:
//!
//! ```json
//! {"effect": {"status": {"status": 503}}, "only": "writes", "times": 2}
//! {"effect": {"status": {"status": 429, "retry_after": 3}}, "method": "PUT", "path_contains": "links/"}
//! {"effect": "close", "applied": true, "route": "batch_write"}
//! {"effect": {"truncate": {"bytes": 20}}, "skip": 1}
//! {"effect": "delay", "delay_ms": 200, "times": null}
//! {"effect": {"status": {"status": 503}}, "route": "socket", "times": 3}
//! {"effect": "close", "applied": true, "route": "socket_write"}
//! {"effect": "swallow_reply", "route": "socket_write", "path_contains": "links/"}
//! {"effect": {"refuse": {"response": "{\"reason\": \"store_archived\"}"}}, "only": "writes"}
//! ```

mod auth;
mod body;
mod emulator;
mod error;
mod export;
mod faults;
mod guard;
mod history;
mod http;
mod ids;
mod import;
mod in_process_server;
mod journal;
mod json;
mod limits;
mod page;
mod routes;
mod seed;
mod server;
mod socket;
mod state;
mod stores;
mod uri;

pub use auth::{SCOPES, Token};
pub use emulator::{Emulator, EmulatorBuilder};
pub use error::EmulatorError;
pub use faults::{Fault, Faults};
pub use in_process_server::InProcessServer;
pub use journal::RequestRecord;
pub use limits::RateLimit;
pub use routes::Route;
pub use socket::{LoopbackSocket, ReplyFault};
