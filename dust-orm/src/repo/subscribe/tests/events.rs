use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata};

use super::*;
use crate::BatchEntry;

async fn tells_of_every_commit(repo: DustRepo) {
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    repo.insert(draft("a", "one")).await.unwrap();
    for title in ["two", "three"] {
        repo.update(link::ActiveModel { title: Set(title.into()), ..link("a", "").into_active_model() }).await.unwrap();
    }
    repo.delete_by_id::<link::Entity>("a").await.unwrap();
    repo.delete_by_id::<link::Entity>("a").await.unwrap();
    let events = [upserted("a", "one"), upserted("a", "two"), upserted("a", "three"), deleted("a")];
    for event in events {
        assert_eq!(links.next().await, Some(event));
    }
    assert_eq!(waiting(&mut links), []);
}

#[tokio::test]
async fn each_commit_is_told_of_once_as_it_was() {
    tells_of_every_commit(DustRepo::embedded()).await;
    let directory = tempfile::tempdir().unwrap();
    tells_of_every_commit(DustRepo::open(directory.path().join("links.redb")).unwrap()).await;
}

#[tokio::test]
async fn a_batch_is_told_of_as_a_whole() {
    let (repo, _) = memory();
    repo.insert(draft("old", "x")).await.unwrap();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    repo.batch_write([
        BatchEntry::insert(draft("b", "one")),
        BatchEntry::delete_by_id::<link::Entity>("old"),
        BatchEntry::insert(draft("a", "one")),
    ])
    .await
    .unwrap();
    assert_eq!(waiting(&mut links), [upserted("b", "one"), deleted("old"), upserted("a", "one")]);
    repo.insert_many([draft("c", "1"), draft("d", "2")]).await.unwrap();
    assert_eq!(waiting(&mut links), [upserted("c", "1"), upserted("d", "2")]);
}

#[tokio::test]
async fn an_op_above_the_records_is_told_of_for_each() {
    let (repo, store) = memory();
    for slug in ["a", "b", "c"] {
        put(&store, slug, "one");
    }
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    set(&store, "links", json!({"b": {"title": "two", "url": "u"}, "d": {"title": "two", "url": "u"}}));
    assert_eq!(waiting(&mut links), [deleted("a"), deleted("c"), upserted("b", "two"), upserted("d", "two")]);
    emit(&store, "links", Mutation::Merge(json!({"e": {"title": "three", "url": "u"}, "f": 1}).into()));
    assert_eq!(waiting(&mut links), [upserted("e", "three")]);
    repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(waiting(&mut links), [deleted("b"), deleted("d"), deleted("e")]);
    emit(&store, "links", Mutation::Delete);
    assert_eq!(waiting(&mut links), []);
}

#[tokio::test]
async fn a_removal_is_heard_of_whatever_its_case() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    for slug in ["a", "b", "B", "c"] {
        put(&store, slug, "one");
    }
    // The second of these ops has removed the first record.
    let events = [upserted("a", "one"), upserted("b", "one"), deleted("b"), upserted("B", "one"), upserted("c", "one")];
    assert_eq!(waiting(&mut links), events);
    emit(&store, "links/A", Mutation::Delete);
    assert_eq!(waiting(&mut links), [deleted("a")]);
    set(&store, "LINKS/c", json!(1));
    assert_eq!(waiting(&mut links), [deleted("c")]);
    emit(&store, "Links", Mutation::Delete);
    assert_eq!(waiting(&mut links), [deleted("B")]);
}

#[tokio::test]
async fn what_is_no_record_of_the_entity_is_not_told_of() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    put(&store, "a", "one");
    assert_eq!(waiting(&mut links), [upserted("a", "one")]);
    set(&store, "links-2/a", json!({"title": "x", "url": "u"}));
    set(&store, "LINKS/b", json!({"title": "x", "url": "u"}));
    emit(&store, "links/a", Mutation::Increment(json!(1).into()));
    emit(&store, "links/nobody", Mutation::Delete);
    emit(&store, "linksx", Mutation::Delete);
    assert_eq!(waiting(&mut links), []);
}

#[tokio::test]
async fn a_record_is_there_for_subscribers_while_it_fits_its_entity() {
    let (repo, store) = memory();
    set(&store, "links/b/title", json!("before"));
    let mut links = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    // Half a record, which no subscriber knows.
    set(&store, "links/a/title", json!("one"));
    set(&store, "links/b/note", json!("still no url"));
    emit(&store, "links/b", Mutation::Delete);
    assert_eq!(waiting(&mut links), []);
    set(&store, "links/a/url", json!("u"));
    assert_eq!(waiting(&mut links), [upserted("a", "one")]);
    // An optional field, and a leaf that is not a field.
    set(&store, "links/a/note", json!("n"));
    emit(&store, "links/a/note", Mutation::Delete);
    set(&store, "links/a/colour", json!("red"));
    let with_note = Event::Upserted(link::Model { note: Some("n".into()), ..link("a", "one") });
    assert_eq!(waiting(&mut links), [with_note, upserted("a", "one"), upserted("a", "one")]);
    // A required field.
    emit(&store, "links/a/url", Mutation::Delete);
    assert_eq!(waiting(&mut links), [deleted("a")]);
    set(&store, "links/a/url", json!({"no": "text"}));
    emit(&store, "links/a", Mutation::Delete);
    assert_eq!(waiting(&mut links), []);
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_warned_of_once() {
    let (repo, store) = memory();
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(repo.subscribe::<link::Entity>().await.unwrap());
    }
    put(&store, "a", "one");
    emit(&store, "links/a/url", Mutation::Delete);
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        for links in &mut all {
            assert_eq!(waiting(links), [upserted("a", "one"), deleted("a")]);
        }
    });
    assert_eq!(*warnings.0.lock().unwrap(), ["key=a path=links/a missing=url"]);
}

#[tokio::test]
async fn a_claim_is_neither_an_event_nor_warned_of() {
    let (repo, store) = memory();
    set(&store, "links/old/title", json!(["$claim"]));
    let mut links = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    let live = repo.live::<link::Entity>().await.unwrap();
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        set(&store, "links/a/title", json!(["$claim"]));
        assert_eq!(waiting(&mut links), []);
        assert!(live.is_empty() && live.get("a").is_none() && live.get("old").is_none());
        put(&store, "a", "one");
        assert_eq!(waiting(&mut links), [upserted("a", "one")]);
        // A claim on a record that exists.
        set(&store, "links/a/note", json!(["$claim"]));
        assert_eq!(waiting(&mut links), []);
        emit(&store, "links/a/note", Mutation::Delete);
        emit(&store, "links/old", Mutation::Delete);
        assert!(!waiting(&mut links).iter().any(|event| matches!(event, Event::Deleted(_))));
    });
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
    assert_eq!(repo.find_by_id::<link::Entity>("old").await.unwrap(), None);
}

/// Collects the fields of each warning that name a record or a missing field.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Named(Vec<String>);
        impl Visit for Named {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0.push(format!("{field}={}", format!("{value:?}").trim_matches('"')));
            }
        }
        let mut named = Named(Vec::new());
        event.record(&mut named);
        named.0.retain(|field| ["key=", "path=", "missing="].iter().any(|name| field.starts_with(name)));
        self.0.lock().unwrap().push(named.0.join(" "));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn subscribers_share_one_listener_and_leave_no_trace() {
    let (repo, store) = memory();
    let again = repo.clone();
    let mut first = repo.subscribe::<link::Entity>().await.unwrap();
    let mut second = again.subscribe::<link::Entity>().with_current().await.unwrap();
    assert_eq!(listeners(&repo).await, 1);
    put(&store, "a", "one");
    assert_eq!(waiting(&mut first), [upserted("a", "one")]);
    drop(first);
    assert_eq!(subscribers(&second), 1);
    put(&store, "a", "two");
    assert_eq!(waiting(&mut second), [upserted("a", "one"), upserted("a", "two")]);
    drop(second);
    assert_eq!(listeners(&repo).await, 0);
    // The next subscription reads the records again.
    let mut third = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    assert_eq!(waiting(&mut third), [upserted("a", "two")]);
}

#[tokio::test]
async fn a_subscription_outlives_its_repo() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    drop(repo);
    put(&store, "a", "one");
    assert_eq!(links.next().await, Some(upserted("a", "one")));
}

#[tokio::test]
async fn a_closed_transport_ends_the_stream() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    put(&store, "a", "one");
    repo.transport().op_hub().await.unwrap().close();
    assert_eq!(links.next().await, Some(upserted("a", "one")));
    assert_eq!(links.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn concurrent_writers_are_heard_of_in_the_order_of_the_store() {
    const WRITERS: usize = 4;
    const WRITES: usize = 50;
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            std::thread::spawn(move || {
                for number in 0..WRITES {
                    put(&store, if number % 2 == 0 { "shared" } else { "own" }, &format!("{writer}-{number}"));
                }
            })
        })
        .collect();
    let mut heard = Vec::new();
    while heard.len() < WRITERS * WRITES {
        match links.next().await {
            Some(Event::Upserted(link)) => heard.push((link.slug, link.title)),
            other => panic!("{other:?}"),
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let committed: Vec<(String, String)> = store
        .ops_since(0, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|op| {
            let slug = op.path.segments().next_back().unwrap().into_owned();
            (slug, op.value.to::<serde_json::Value>().unwrap()["title"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(heard, committed);
    assert_eq!(waiting(&mut links), []);
}
