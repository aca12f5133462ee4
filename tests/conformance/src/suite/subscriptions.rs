//! Subscriptions, on transports that support them.

use std::collections::BTreeMap;

use dust_orm::repo::{RawEvent, Subscription};
use dust_orm::{BatchEntry, DustErr, ErrKind, Event};
use dust_protocol::Mutation;
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    a_transport_without_subscriptions_says_so,
    own_writes_are_heard_of_once_and_in_order,
    a_record_in_map_mode_is_heard_of,
    what_is_there_comes_first,
    a_batch_is_heard_of_as_a_whole,
    every_record_of_a_mass_delete_is_heard_of,
    a_removal_is_heard_of_whatever_its_case,
    a_record_is_there_while_it_fits_its_entity,
    other_entities_are_not_heard_of,
    a_slow_subscriber_can_always_catch_up,
    raw_ops_come_as_they_were_committed,
    receivers_of_a_broadcast_hear_the_same,
    a_callback_is_called_for_each_event,
    a_claim_is_not_heard_of,
];

fn can_subscribe(cx: &Context) -> bool {
    cx.transport.capabilities().subscribe
}

type Links = Subscription<link::Entity>;

/// Returns all earlier events: writes a record, and collects the events before its own.
async fn heard(cx: &Context, links: &mut Links) -> Vec<Event<link::Model>> {
    let end = cx.repo.insert(new_link("end")).await.unwrap();
    let mut events = Vec::new();
    loop {
        match links.next().await.unwrap() {
            Event::Upserted(link) if link == end => return events,
            event => events.push(event),
        }
    }
}

fn upserted(slug: &str) -> Event<link::Model> {
    Event::Upserted(link(slug))
}

fn deleted(slug: &str) -> Event<link::Model> {
    Event::Deleted(slug.to_owned())
}

async fn a_transport_without_subscriptions_says_so(cx: &Context) {
    let repo = &cx.repo;
    let answers = [
        repo.subscribe::<link::Entity>().await.err(),
        repo.subscribe::<link::Entity>().raw().await.err(),
        repo.broadcast::<link::Entity>().await.err(),
        repo.subscribe::<link::Entity>().on_change(|_| std::future::ready(())).await.err(),
    ];
    for answer in answers {
        let expected = (!can_subscribe(cx)).then_some(ErrKind::NotSupported);
        assert_eq!(answer.map(|error| error.kind()), expected);
    }
}

async fn own_writes_are_heard_of_once_and_in_order(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert(new_link("old")).await.unwrap();
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.repo.insert(new_link("a")).await.unwrap();
    let mut edit = link("a").into_active_model();
    edit.title = Set("New".into());
    let edited = cx.repo.update(edit).await.unwrap();
    cx.repo.put(link("b")).await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("nobody").await.unwrap();
    let expected = [upserted("a"), Event::Upserted(edited), upserted("b"), deleted("a")];
    assert_eq!(heard(cx, &mut links).await, expected);
}

async fn a_record_in_map_mode_is_heard_of(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut settings = cx.repo.subscribe::<setting::Entity>().await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    assert_eq!(settings.next().await, Some(Event::Upserted(setting("theme"))));
    assert_eq!(settings.next().await, Some(Event::Deleted("theme".into())));
}

async fn what_is_there_comes_first(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many(["b", "a-1", "a"].map(new_link)).await.unwrap();
    let mut links = cx.repo.subscribe::<link::Entity>().with_current().await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("b").await.unwrap();
    let expected = [upserted("a-1"), upserted("a"), upserted("b"), deleted("b")];
    assert_eq!(heard(cx, &mut links).await, expected);
}

async fn a_batch_is_heard_of_as_a_whole(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert(new_link("old")).await.unwrap();
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    let entries = [
        BatchEntry::insert(new_link("b")),
        BatchEntry::delete_by_id::<link::Entity>("old"),
        BatchEntry::insert(new_link("a")),
    ];
    cx.repo.batch_write(entries).await.unwrap();
    assert_eq!(heard(cx, &mut links).await, [upserted("b"), deleted("old"), upserted("a")]);
}

async fn every_record_of_a_mass_delete_is_heard_of(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.set("links", json!({"b": {"title": "Title of b", "url": "https://example.com/b", "note": "a note"}})).await;
    assert_eq!(heard(cx, &mut links).await, [deleted("a"), deleted("c"), upserted("b")]);
    cx.repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(heard(cx, &mut links).await, [deleted("b"), deleted("end")]);
}

async fn a_removal_is_heard_of_whatever_its_case(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    cx.repo.insert_many(["a", "b"].map(new_link)).await.unwrap();
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.delete("links/A").await;
    assert_eq!(heard(cx, &mut links).await, [deleted("a")]);
    cx.delete("LINKS").await;
    assert_eq!(heard(cx, &mut links).await, [deleted("b"), deleted("end")]);
}

async fn a_record_is_there_while_it_fits_its_entity(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.set("links/a/title", json!("Title of a")).await;
    assert_eq!(heard(cx, &mut links).await, []);
    cx.set("links/a/url", json!("https://example.com/a")).await;
    cx.set("links/a/note", json!("a note")).await;
    cx.delete("links/a/note").await;
    cx.delete("links/a/url").await;
    cx.delete("links/a").await;
    let bare = Event::Upserted(link::Model { note: None, ..link("a") });
    assert_eq!(heard(cx, &mut links).await, [bare.clone(), upserted("a"), bare, deleted("a")]);
}

async fn other_entities_are_not_heard_of(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.set("links-2/a", json!({"title": "x", "url": "u"})).await;
    cx.set("LINKS/a", json!({"title": "x", "url": "u"})).await;
    assert_eq!(heard(cx, &mut links).await, []);
}

async fn a_slow_subscriber_can_always_catch_up(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut links = cx.repo.subscribe::<link::Entity>().queue(2).await.unwrap();
    for round in 0..3 {
        for slug in ["a", "b", "c"] {
            let draft = link::ActiveModel { title: Set(format!("{round}")), ..new_link(slug) };
            cx.repo.insert(draft).await.unwrap();
        }
    }
    cx.repo.delete_by_id::<link::Entity>("b").await.unwrap();
    let all = |links: Vec<link::Model>| -> BTreeMap<String, link::Model> {
        links.into_iter().map(|link| (link.slug.clone(), link)).collect()
    };
    let end = cx.repo.insert(new_link("end")).await.unwrap();
    let mut known = BTreeMap::new();
    while known.get("end") != Some(&end) {
        match links.next().await.unwrap() {
            Event::Upserted(link) => drop(known.insert(link.slug.clone(), link)),
            Event::Deleted(slug) => drop(known.remove(&slug)),
            Event::Resync => known = all(cx.repo.all::<link::Entity>().await.unwrap()),
        }
    }
    assert_eq!(known, all(cx.repo.all::<link::Entity>().await.unwrap()));
}

async fn raw_ops_come_as_they_were_committed(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut ops = cx.repo.subscribe::<link::Entity>().raw().await.unwrap();
    let first = cx.set("links/a/title", json!("A")).await;
    cx.set("other/a", json!(1)).await;
    let second = cx.delete("LINKS/a").await;
    for (op, path, value, store_seq) in [
        (Mutation::Set(json!("A").into()).kind(), "links/a/title", "\"A\"", first),
        (Mutation::Delete.kind(), "LINKS/a", "null", second),
    ] {
        let Some(RawEvent::Op(heard)) = ops.next().await else { panic!("an op") };
        assert_eq!((heard.op, heard.path.as_str(), heard.value.as_str()), (op, path, value));
        assert_eq!((heard.store_seq, heard.own), (store_seq, true));
        assert!(!heard.device_id.is_empty() && !heard.client_op_id.is_empty());
    }
}

async fn receivers_of_a_broadcast_hear_the_same(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let links = cx.repo.broadcast::<link::Entity>().await.unwrap();
    let mut receivers: Vec<Links> = (0..10).map(|_| links.receiver()).collect();
    cx.repo.insert(new_link("a")).await.unwrap();
    for receiver in &mut receivers {
        assert_eq!(receiver.next().await, Some(upserted("a")));
    }
    let mut late = links.receiver_with_current().await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    assert_eq!([late.next().await, late.next().await], [Some(upserted("a")), Some(deleted("a"))]);
}

async fn a_callback_is_called_for_each_event(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let pass_on = move |event| {
        sender.send(event).unwrap();
        std::future::ready(())
    };
    let callback = cx.repo.subscribe::<link::Entity>().on_change(pass_on).await.unwrap();
    cx.repo.insert(new_link("a")).await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    assert_eq!([receiver.recv().await, receiver.recv().await], [Some(upserted("a")), Some(deleted("a"))]);
    drop(callback);
    assert_eq!(receiver.recv().await, None);
}

async fn a_claim_is_not_heard_of(cx: &Context) {
    if !can_subscribe(cx) {
        return;
    }
    let mut links = cx.repo.subscribe::<link::Entity>().await.unwrap();
    cx.repo.insert(new_link("dust")).if_absent().await.unwrap();
    assert_eq!(heard(cx, &mut links).await, [upserted("dust")]);
    // A field that was absent when it was read is claimed, too.
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("bare") }).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("bare").await.unwrap().unwrap();
    let edit = link::ActiveModel { note: Set(Some("mine".to_owned())), ..seen.model.into_active_model() };
    let edited = cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    let bare = link::Model { note: None, ..link("bare") };
    assert_eq!(heard(cx, &mut links).await, [Event::Upserted(bare), Event::Upserted(edited)]);
    // A writer that stops after its claim.
    if !cx.transport.capabilities().if_subtree_absent {
        let (repo, probe) = cx.probe();
        probe.fail_write(1, DustErr::timeout("stopped"));
        repo.insert(new_link("stopped")).if_absent().await.unwrap_err();
        assert_eq!(heard(cx, &mut links).await, []);
        cx.repo.delete_by_id::<link::Entity>("stopped").await.unwrap();
        assert_eq!(heard(cx, &mut links).await, []);
    }
}
