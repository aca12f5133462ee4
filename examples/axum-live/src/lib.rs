//! A web site whose list is live in every open browser.
//!
//! `cargo run -p axum-live` starts it on <http://127.0.0.1:3000>, with a Dust emulator in the same process; with
//! `DUST_STORE` and `DUST_TOKEN` in the environment it uses that store. Open it in two windows: a link that is added,
//! edited or deleted in one changes in the other at once, and so do the writes of any other program.
//!
//! | file | content |
//! |---|---|
//! | `dust` | the realtime client: to the store the environment names, or to an emulator in this process |
//! | `site` | the state that all requests share, and their operations |
//! | `link` | the entity and its changesets |
//! | `events` | server-sent events: one subscription for all browsers, and reconnects with `Last-Event-ID` |
//! | `pages`, `html` | the pages: forms with the changeset's errors beside their fields, which work without a script |
//! | `api` | the same as JSON: a refused changeset is 422 with a map of the fields |
//! | `failure` | the status and the message of an error |
//! | `assets` | a style and a little script |

mod api;
mod dust;
mod events;
mod failure;
mod html;
mod link;
mod listen;
mod pages;
mod site;

pub use dust::Dust;
pub use listen::listen_address;
pub use site::Site;
