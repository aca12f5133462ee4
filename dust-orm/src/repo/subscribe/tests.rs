mod broadcast;
mod callback;
mod current;
mod events;
mod gated;
mod live;
mod part;
mod part_events;
mod raw;
mod seq;
mod slow;

use std::sync::Arc;

use dust_protocol::{Mutation, Op, Path, RawJson};
use dust_store::{Origin, Store};
use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::entity::prelude::*;
use crate::tests_cfg::link;
use crate::transport::{EmbeddedTransport, Transport};

type Links = Subscription<link::Entity>;

fn link(slug: &str, title: &str) -> link::Model {
    link::Model { slug: slug.to_owned(), title: title.to_owned(), url: "u".to_owned(), note: None }
}

fn draft(slug: &str, title: &str) -> link::ActiveModel {
    link(slug, title).into_active_model().reset_all()
}

fn upserted(slug: &str, title: &str) -> Event<link::Model> {
    Event::Upserted(link(slug, title))
}

fn deleted(slug: &str) -> Event<link::Model> {
    Event::Deleted(slug.to_owned())
}

/// Returns the events in the queue, without waiting for more.
fn waiting(links: &mut Links) -> Vec<Event<link::Model>> {
    let mut events = Vec::new();
    while let Some(Some(event)) = links.next().now_or_never() {
        events.push(event);
    }
    events
}

/// Writes as another client.
fn emit(store: &Store, path: &str, op: Mutation) -> u64 {
    let write = Op::new(Path::parse(path).unwrap(), op);
    store.write(write, None, &Origin::new("phone", "1")).unwrap().unwrap().store_seq
}

fn set(store: &Store, path: &str, value: serde_json::Value) -> u64 {
    emit(store, path, Mutation::Set(RawJson::from(value)))
}

/// Writes a whole record in one op.
fn put(store: &Store, slug: &str, title: &str) -> u64 {
    set(store, &format!("links/{slug}"), json!({"title": title, "url": "u"}))
}

/// A repo and its store; the hub of the transport knows the number of listeners of the store.
fn memory() -> (DustRepo, Store) {
    let store = Store::in_memory().unwrap();
    (DustRepo::with_store(store.clone()), store)
}

/// The number of subscribers that share the records of a subscription.
fn subscribers(links: &Links) -> usize {
    match &links.source {
        Source::View { view, .. } => view.subscribers(),
        Source::Record(_) => panic!("a subscription to one record shares none"),
    }
}

async fn listeners(repo: &DustRepo) -> usize {
    repo.transport().op_hub().await.unwrap().listeners()
}
