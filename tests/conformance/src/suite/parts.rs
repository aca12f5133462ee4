//! Subscriptions to one record and to a part of the keys, on transports that support them.

use dust_orm::repo::{RawEvent, Subscription};
use dust_orm::{ErrKind, Event};
use serde_json::json;

use crate::context::Context;
use crate::entities::composite::entry as entries;
use crate::entities::composite::entry::entry;
use crate::entities::*;

super::tests![
    transport_without_subscriptions_refuses_parts,
    impossible_part_is_refused,
    key_delivers_its_record_only,
    keys_with_odd_characters_are_delivered,
    within_delivers_the_records_of_one_owner,
    starts_with_delivers_the_records_of_a_text,
    misfit_of_a_key_is_deleted_until_it_fits,
    raw_delivers_the_ops_of_a_part,
    broadcast_and_live_have_a_part,
];

type Entry = entries::Entity;

fn can_subscribe(cx: &Context) -> bool {
    cx.transport.capabilities().subscribe
}

/// The events up to the last one, each once: some transports write each leaf as an op of its own.
async fn until<E>(changes: &mut Subscription<E>, last: &Event<E::Model>) -> Vec<Event<E::Model>>
where
    E: DustEntity,
    Event<E::Model>: PartialEq,
{
    let mut events = Vec::new();
    while events.last() != Some(last) {
        let event = changes.next().await.unwrap();
        if events.last() != Some(&event) {
            events.push(event);
        }
    }
    events
}

fn upserted(slug: &str) -> Event<link::Model> {
    Event::Upserted(link(slug))
}

fn deleted(slug: &str) -> Event<link::Model> {
    Event::Deleted(slug.to_owned())
}

fn new_entry(owner: &str, name: &str) -> entries::ActiveModel {
    entry(owner, name).into_active_model().reset_all()
}

fn gone(owner: &str, name: &str) -> Event<entries::Model> {
    Event::Deleted((owner.to_owned(), name.to_owned()))
}

async fn transport_without_subscriptions_refuses_parts(cx: &Context) {
    let repo = &cx.repo;
    let answers = [
        repo.subscribe::<link::Entity>().key("a").await.err(),
        repo.subscribe::<link::Entity>().key("a").raw().await.err(),
        repo.subscribe::<link::Entity>().starts_with("a").await.err(),
        repo.broadcast::<Entry>().within("ada").await.err(),
        repo.live::<Entry>().within("ada").await.err(),
    ];
    for answer in answers {
        let expected = (!can_subscribe(cx)).then_some(ErrKind::NotSupported);
        assert_eq!(answer.map(|error| error.kind()), expected);
    }
}

async fn impossible_part_is_refused(cx: &Context) {
    let repo = &cx.repo;
    for key in ["", "\\*", "\\**", "\0"] {
        let answers = [
            repo.subscribe::<link::Entity>().key(key).await.err(),
            repo.broadcast::<Entry>().within(key).await.err(),
            repo.live::<Entry>().key((key, "x")).await.err(),
        ];
        for answer in answers {
            assert_eq!(answer.map(|error| error.kind()), Some(ErrKind::InvalidParams));
        }
    }
}

async fn key_delivers_its_record_only(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many(["a", "a-1", "b"].map(new_link)).await.unwrap();
    let mut plain = cx.repo.subscribe::<link::Entity>().key("a").await.unwrap();
    let mut current = cx.repo.subscribe::<link::Entity>().key("a").with_current().await.unwrap();
    let mut absent = cx.repo.subscribe::<link::Entity>().key("c").with_current().await.unwrap();
    assert!(absent.is_current() && absent.begins_with_current() && !current.is_current());
    let mut edit = link("a").into_active_model();
    edit.title = Set("New".into());
    let edited = Event::Upserted(cx.repo.update(edit).await.unwrap());
    cx.repo.put(link("c")).await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("b").await.unwrap();
    cx.repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(until(&mut plain, &deleted("a")).await, [edited.clone(), deleted("a")]);
    assert_eq!(until(&mut current, &deleted("a")).await, [upserted("a"), edited, deleted("a")]);
    assert!(current.store_seq() > 0 && current.store_seq() == plain.store_seq());
    assert_eq!(until(&mut absent, &deleted("c")).await, [upserted("c"), deleted("c")]);
}

async fn keys_with_odd_characters_are_delivered(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    for key in ["a/b", "~", "a~1b", "*", "é ", "."] {
        let mut links = cx.repo.subscribe::<link::Entity>().key(key).await.unwrap();
        cx.repo.insert(new_link(key)).await.unwrap();
        cx.repo.delete_by_id::<link::Entity>(key).await.unwrap();
        assert_eq!(until(&mut links, &deleted(key)).await, [upserted(key), deleted(key)]);
    }
}

async fn within_delivers_the_records_of_one_owner(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many([new_entry("ada", "x"), new_entry("bob", "x")]).await.unwrap();
    let mut of_ada = cx.repo.subscribe::<Entry>().within("ada").with_current().await.unwrap();
    let mut one = cx.repo.subscribe::<Entry>().key(("ada", "y")).await.unwrap();
    cx.repo.insert(new_entry("adam", "x")).await.unwrap();
    cx.repo.insert(new_entry("ada", "y")).await.unwrap();
    cx.repo.delete_all::<Entry>().within("bob").await.unwrap();
    cx.repo.delete_all::<Entry>().within("ada").await.unwrap();
    let written = |name: &str| Event::Upserted(entry("ada", name));
    let events = until(&mut of_ada, &gone("ada", "y")).await;
    assert_eq!(events, [written("x"), written("y"), gone("ada", "x"), gone("ada", "y")]);
    assert_eq!(until(&mut one, &gone("ada", "y")).await, [written("y"), gone("ada", "y")]);
}

async fn starts_with_delivers_the_records_of_a_text(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many(["a", "a-1", "b"].map(new_link)).await.unwrap();
    let mut of_a = cx.repo.subscribe::<link::Entity>().starts_with("a").with_current().await.unwrap();
    let mut dashed = cx.repo.subscribe::<link::Entity>().starts_with("a-").with_current().await.unwrap();
    cx.repo.insert(new_link("ab")).await.unwrap();
    cx.repo.insert(new_link("c")).await.unwrap();
    cx.delete("LINKS").await;
    let all = ["a-1", "a", "ab"].map(upserted).into_iter().chain(["a", "a-1", "ab"].map(deleted));
    assert_eq!(until(&mut of_a, &deleted("ab")).await, all.collect::<Vec<_>>());
    assert_eq!(until(&mut dashed, &deleted("a-1")).await, [upserted("a-1"), deleted("a-1")]);
}

async fn misfit_of_a_key_is_deleted_until_it_fits(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut links = cx.repo.subscribe::<link::Entity>().key("a").await.unwrap();
    cx.set("links/a/title", json!("Title of a")).await;
    cx.set("links/a/url", json!("https://example.com/a")).await;
    cx.delete("links/a/url").await;
    cx.set("links/a/note", json!("a note")).await;
    cx.set("links/a/url", json!("https://example.com/a")).await;
    let bare = Event::Upserted(link::Model { note: None, ..link("a") });
    assert_eq!(until(&mut links, &upserted("a")).await, [bare, deleted("a"), upserted("a")]);
}

async fn raw_delivers_the_ops_of_a_part(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut of_key = cx.repo.subscribe::<link::Entity>().key("a").raw().await.unwrap();
    let mut of_text = cx.repo.subscribe::<link::Entity>().starts_with("a").raw().await.unwrap();
    for path in ["links/b/title", "links/a-1/title", "links/a/title"] {
        cx.set(path, json!("x")).await;
    }
    for (ops, paths) in [(&mut of_key, &["links/a/title"][..]), (&mut of_text, &["links/a-1/title", "links/a/title"])] {
        for path in paths {
            let Some(RawEvent::Op(op)) = ops.next().await else { panic!("an op") };
            assert!(op.path.as_str().ends_with(path), "{op:?}");
        }
    }
}

async fn broadcast_and_live_have_a_part(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many([new_entry("ada", "x"), new_entry("bob", "x")]).await.unwrap();
    let of_ada = cx.repo.broadcast::<Entry>().within("ada").await.unwrap();
    let live = cx.repo.live::<Entry>().within("ada").await.unwrap();
    let one = cx.repo.live::<Entry>().key(("bob", "x")).await.unwrap();
    assert_eq!((live.len(), one.len()), (1, 1));
    assert!(live.contains_key(("ada", "x")) && !live.contains_key(("bob", "x")) && one.contains_key(("bob", "x")));
    let mut receiver = of_ada.receiver_with_current().await.unwrap();
    cx.repo.delete_all::<Entry>().await.unwrap();
    let events = until(&mut receiver, &gone("ada", "x")).await;
    assert_eq!(events, [Event::Upserted(entry("ada", "x")), gone("ada", "x")]);
    assert!(live.is_empty() && one.is_empty());
    let back = of_ada.receiver_after(receiver.store_seq()).await.unwrap();
    assert!(!back.begins_with_current());
}
