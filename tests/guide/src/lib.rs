//! The guide and the README as tests: `cargo test -p guide` compiles and runs their Rust, and checks their links.
//!
//! Each page is the documentation of a module here, so that its blocks are doctests. Code that several pages need
//! (entities, a repo) is here too, and imported by hidden lines, which begin with `# `.

// A panic in this crate fails a test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod link;
pub mod page;
pub mod setting;

use std::error::Error;

pub use dust_emulator::{Emulator, Fault};
pub use dust_orm::entity::prelude::*;
pub use dust_orm::{BatchEntry, DustConfig, DustErr, DustRepo, ErrKind};
pub use serde_json::json;

/// Declares the pages, each as the documentation of a module.
macro_rules! pages {
    ($($module:ident = $file:literal;)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../docs/guide/src/", $file))]
            pub mod $module {}
        )*

        /// The files of the guide whose Rust is compiled.
        pub const PAGES: &[&str] = &[$($file),*];
    };
}

pages! {
    introduction = "introduction.md";
    quick_start = "quick-start.md";
    entities = "entities.md";
    changesets = "changesets.md";
    storage_modes = "storage-modes.md";
    reads_writes_batches = "reads-writes-batches.md";
    compare_and_swap = "compare-and-swap.md";
    coordination = "coordination.md";
    mixing_with_sql = "mixing-with-sql.md";
    http_or_realtime = "http-or-realtime.md";
    subscriptions = "subscriptions.md";
    testing = "testing.md";
    own_transport = "own-transport.md";
    migrating = "migrating.md";
    production = "production.md";
    errors = "errors.md";
    limitations = "limitations.md";
    compatibility = "compatibility.md";
}

/// The README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub mod readme {}

/// Runs an example on an embedded store that holds two links, `dust` and `rust`.
pub fn run(example: impl AsyncFnOnce(DustRepo) -> Result<(), Box<dyn Error>>) {
    block_on(async {
        let repo = DustRepo::embedded();
        repo.insert_many(links()).await?;
        example(repo).await
    });
}

/// Runs an example with an emulator whose store holds two links, `dust` and `rust`.
pub fn run_with_emulator(example: impl AsyncFnOnce(Emulator) -> Result<(), Box<dyn Error>>) {
    block_on(async {
        let emulator = Emulator::start().await?;
        let seeded = DustRepo::with_store(emulator.store_handle(&emulator.store())?);
        seeded.insert_many(links()).await?;
        example(emulator).await
    });
}

/// Runs a future, and panics if it fails.
pub fn block_on(example: impl Future<Output = Result<(), Box<dyn Error>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(error) = runtime.block_on(example) {
        panic!("the example failed: {error}");
    }
}

/// The configuration for the first store of an emulator.
pub fn config(emulator: &Emulator) -> DustConfig {
    let config = DustConfig::builder().base_url(emulator.url()).store(emulator.store()).token(emulator.token());
    config.build().unwrap()
}

fn links() -> [Changeset<link::ActiveModel>; 2] {
    [("dust", "Dust", "https://dustlayer.io"), ("rust", "Rust", "https://www.rust-lang.org")]
        .map(|(slug, title, url)| link::create(json!({"slug": slug, "title": title, "url": url, "note": null})))
}
