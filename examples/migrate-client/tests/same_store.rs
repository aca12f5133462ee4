//! Both programs print the same and leave the same store.

use std::collections::BTreeMap;

use dust_emulator::{Emulator, Fault};
use dust_orm::ErrKind;
use migrate_client::before::{client::Client, repo::Links, schema};
use migrate_client::{Server, after, before};
use serde_json::{Value, json};

type Leaves = BTreeMap<String, Value>;

fn leaves(emulator: &Emulator) -> Leaves {
    serde_json::from_str(&emulator.export(&emulator.store()).unwrap()).unwrap()
}

/// Removes the intended difference: a record with the mark of a soft delete counts as deleted.
fn without_soft_deletes(mut leaves: Leaves) -> Leaves {
    let marked = leaves.keys().filter_map(|path| path.strip_suffix("deleted_at")).map(str::to_owned);
    for record in marked.collect::<Vec<_>>() {
        leaves.retain(|path, _| !path.starts_with(&record));
    }
    leaves
}

#[tokio::test]
async fn both_programs_leave_same_store() {
    let (old, new) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    let output = before::run(&Server::from(&old)).await.unwrap();
    assert_eq!(after::run(&Server::from(&new)).await.unwrap(), output);
    assert_eq!(
        output,
        [
            "imported 3",
            "refused: title can't be blank",
            "edited rust",
            "dust: another editor was first",
            "sea-orm is gone",
            "dust: Dust, a store <https://dustlayer.io>",
            "rust: The Rust language <https://www.rust-lang.org>",
        ]
    );

    let expected = json!({
        "links/dust/note": null,
        "links/dust/title": "Dust, a store",
        "links/dust/url": "https://dustlayer.io",
        "links/rust/note": null,
        "links/rust/title": "The Rust language",
        "links/rust/url": "https://www.rust-lang.org",
    });
    assert_eq!(json!(leaves(&new)), expected);
    assert!(leaves(&old).contains_key("links/sea-orm/deleted_at"));
    assert_eq!(without_soft_deletes(leaves(&old)), leaves(&new));

    // A server counts requests, and allows fewer writes than reads.
    assert_eq!((old.requests().len(), writes(&old)), (17, 14));
    assert!(new.requests().len() <= 10 && writes(&new) <= 5, "{:?}", new.requests());
}

fn writes(emulator: &Emulator) -> usize {
    emulator.requests().iter().filter(|request| request.method != "GET").count()
}

/// The new program on the store of the old one.
#[tokio::test]
async fn purge_of_old_store_leaves_store_of_new_program() {
    let (old, new) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    before::run(&Server::from(&old)).await.unwrap();
    after::run(&Server::from(&new)).await.unwrap();

    let dust = after::connect(&Server::from(&old)).unwrap();
    assert!(dust.exists::<after::link::Entity>("sea-orm").await.unwrap(), "the new entity has no field for the mark");
    assert_eq!(after::purge(&dust).await.unwrap(), 1);
    assert_eq!(leaves(&old), leaves(&new));
    assert_eq!(after::purge(&dust).await.unwrap(), 0);
}

/// The drawback of N requests for one record, which a batch does not have.
#[tokio::test]
async fn failed_insert_leaves_partial_record_before_and_none_after() {
    let (old, new) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    let params = json!({"slug": "dust", "title": "Dust", "url": "https://dustlayer.io"});

    old.faults().add(Fault::status(503).writes().skip(1));
    let links = Links::new(Client::new(&Server::from(&old)));
    assert_eq!(links.insert(schema::check(&params).unwrap()).await.unwrap_err().0, "http");
    assert_eq!(json!(leaves(&old)), json!({"links/dust/title": "Dust"}));

    new.faults().add(Fault::status(503).writes());
    let dust = after::connect(&Server::from(&new)).unwrap();
    let draft = after::link::create(params);
    assert_eq!(dust.insert(draft).await.unwrap_err().kind(), ErrKind::Timeout);
    assert_eq!(json!(leaves(&new)), json!({}));
}
