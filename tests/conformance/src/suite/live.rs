//! Decoded records in memory, on transports that support subscriptions.

use dust_orm::{BatchEntry, ErrKind};
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    a_transport_without_subscriptions_says_so,
    it_shows_what_is_there_and_every_own_write_at_once,
    it_shows_batches_and_mass_deletes,
    a_record_is_there_while_it_fits_its_entity,
    records_come_in_the_order_of_their_paths,
    other_entities_are_not_in_it,
];

fn can_subscribe(cx: &Context) -> bool {
    cx.transport.capabilities().subscribe
}

async fn a_transport_without_subscriptions_says_so(cx: &Context) {
    let error = cx.repo.live::<link::Entity>().await.err();
    assert_eq!(error.map(|error| error.kind()), (!can_subscribe(cx)).then_some(ErrKind::NotSupported));
}

async fn it_shows_what_is_there_and_every_own_write_at_once(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert(new_link("old")).await.unwrap();
    let links = cx.repo.live::<link::Entity>().await.unwrap();
    assert_eq!(links.get("old").as_deref(), Some(&link("old")));
    assert!(links.get("a").is_none());
    let before = links.store_seq();
    let inserted = cx.repo.insert(new_link("a")).await.unwrap();
    assert_eq!(links.get("a").as_deref(), Some(&inserted));
    assert!(links.store_seq() > before);
    let updated = cx.repo.update(retitled("a", "New")).await.unwrap();
    assert_eq!(links.get("a").as_deref(), Some(&updated));
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    let guarded = cx.repo.update(retitled("a", "Newer")).if_match(&seen.revision).await.unwrap();
    assert_eq!(links.get("a").as_deref(), Some(&guarded));
    let replaced = link::Model { note: None, ..link("a") };
    cx.repo.put(replaced.clone()).await.unwrap();
    assert_eq!(links.get("a").as_deref(), Some(&replaced));
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    assert!(!links.contains_key("a") && links.contains_key("old"));
    assert_eq!(links.len(), 1);
}

async fn it_shows_batches_and_mass_deletes(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let links = cx.repo.live::<link::Entity>().await.unwrap();
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    assert_eq!(links.len(), 3);
    let batch = [BatchEntry::delete_by_id::<link::Entity>("a"), BatchEntry::update(retitled("b", "B"))];
    cx.repo.batch_write(batch).await.unwrap();
    assert!(links.get("a").is_none());
    assert_eq!(links.get("b").unwrap().title, "B");
    cx.repo.delete_all::<link::Entity>().await.unwrap();
    assert!(links.is_empty());
}

async fn a_record_is_there_while_it_fits_its_entity(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.set("links/half", json!({"title": "no url"})).await;
    cx.repo.insert(new_link("a")).await.unwrap();
    let links = cx.repo.live::<link::Entity>().await.unwrap();
    assert_eq!((links.len(), links.contains_key("half")), (1, false));
    cx.set("links/half/url", json!("https://example.com")).await;
    assert_eq!(links.get("half").unwrap().title, "no url");
    cx.delete("links/a/title").await;
    assert!(links.get("a").is_none());
    assert_eq!(links.all().len(), 1);
}

async fn records_come_in_the_order_of_their_paths(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let links = cx.repo.live::<link::Entity>().await.unwrap();
    cx.repo.insert_many(["b", "a", "a-1", "a/b", "é", "b10", "b2"].map(new_link)).await.unwrap();
    let shown: Vec<link::Model> = links.all().iter().map(|link| link::Model::clone(link)).collect();
    assert_eq!(shown, cx.repo.all::<link::Entity>().await.unwrap());
    assert_eq!(shown.len(), 7);
}

async fn other_entities_are_not_in_it(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let links = cx.repo.live::<link::Entity>().await.unwrap();
    let pages = cx.repo.live::<page::flat::Entity>().await.unwrap();
    cx.repo.insert(new_link("a")).await.unwrap();
    assert_eq!((links.len(), pages.len()), (1, 0));
}
