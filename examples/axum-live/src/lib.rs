//! A web site whose list is live in every open browser.
//!
//! `cargo run -p axum-live` starts it on <http://127.0.0.1:3000>, with a Dust emulator in the same process; with `DUST_STORE` and
//! `DUST_TOKEN` in the environment it is that store. Open it in two windows: what is added, edited or deleted in one
//! is seen in the other at once, and so is what any other program writes to the store.
//!
//! | file | what |
//! |---|---|
//! | `dust` | the realtime client: to the store the environment names, or to an emulator in this process |
//! | `site` | what all requests share, and what they may do |
//! | `link` | the entity and its changesets |
//! | `events` | server-sent events: one subscription for all browsers, and coming back with `Last-Event-ID` |
//! | `pages`, `html` | the pages: forms with the changeset's errors beside their fields, which work without a script |
//! | `api` | the same as JSON: what a changeset refuses is 422 with a map of the fields |
//! | `failure` | which status an error is, and what to tell people |
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
