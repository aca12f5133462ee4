//! `#[serde(alias)]`: renamed fields of stored records.

use dust_orm::{Changeset, DustErr, ErrKind, Event};
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::aliased::{flat, map, plain};
use crate::entities::*;

super::tests![
    records_with_old_names_are_read,
    the_first_name_that_is_there_wins,
    old_names_are_recognised,
    an_update_moves_the_fields_that_it_writes,
    an_insert_moves_every_field,
    an_insert_without_a_field_merges_with_its_old_name,
    a_put_leaves_no_old_name,
    a_guarded_update_compares_the_old_leaf,
    a_guarded_update_moves_the_old_leaf,
    map_mode_reads_and_replaces_old_names,
    a_merge_prevails_over_the_old_name,
    an_increment_goes_on_from_the_old_name,
    a_set_goes_on_from_the_old_name,
    fenced_updates_prevail_over_the_old_name,
    records_far_apart_are_read_by_their_old_names,
    subscribers_see_records_with_old_names,
    changesets_are_cast_by_old_names,
];

fn old() -> [(&'static str, Value); 4] {
    [
        ("aliased/a/headline", json!("Old")),
        ("aliased/a/details", json!({"x": {"y": 1}, "z": 2})),
        ("aliased/a/remark", json!("n")),
        ("aliased/a/views", json!(7)),
    ]
}

fn model() -> flat::Model {
    flat::Model {
        slug: "a".to_owned(),
        title: "Old".to_owned(),
        meta: json!({"x": {"y": 1}, "z": 2}),
        note: Some("n".to_owned()),
        hits: Counter::from(7),
        tags: DustSet::default(),
    }
}

async fn names(cx: &Context) -> Vec<String> {
    cx.leaves("aliased/a").await.into_iter().map(|(path, _)| path["aliased/a/".len()..].to_owned()).collect()
}

async fn records_with_old_names_are_read(cx: &Context) {
    cx.set_all(old()).await;
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), model());
    assert_eq!(cx.repo.all::<flat::Entity>().await.unwrap(), [model()]);
    assert_eq!(cx.repo.find_versioned::<flat::Entity>("a").await.unwrap().unwrap().model, model());
}

async fn the_first_name_that_is_there_wins(cx: &Context) {
    cx.set_all(old()).await;
    // Neither the later revision nor the order of the paths matters.
    cx.set_all([
        ("aliased/a/head~1line", json!("Older")),
        ("aliased/a/meta", json!({"new": true})),
        ("aliased/a/note", json!(null)),
        ("aliased/a/hits", json!(1)),
        ("aliased/a/headline", json!("Old")),
        ("aliased/a/views", json!(9)),
        ("aliased/a/details/later", json!(1)),
    ])
    .await;
    let expected = flat::Model { meta: json!({"new": true}), hits: Counter::from(1), ..model() };
    let DustErr::Decode { record: invalid, .. } = cx.repo.get::<flat::Entity>("a").await.unwrap_err() else { panic!() };
    assert_eq!(invalid.missing, ["note"], "`null` under the new name is a value");
    cx.set("aliased/a/note", json!("n")).await;
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), expected);
    cx.delete("aliased/a/headline").await;
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap().title, "Older");
    cx.set("aliased/a/title", json!("New")).await;
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap().title, "New");
}

async fn old_names_are_recognised(cx: &Context) {
    cx.set_all([("aliased/a/headline", json!("Old")), ("aliased/a/id", json!("a")), ("aliased/a/stray", json!(1))])
        .await;
    let DustErr::Decode { record: invalid, .. } = cx.repo.get::<flat::Entity>("a").await.unwrap_err() else { panic!() };
    assert_eq!(invalid.unrecognised, ["stray"]);
    assert_eq!(invalid.missing, ["meta", "note"]);
}

async fn an_update_moves_the_fields_that_it_writes(cx: &Context) {
    cx.set_all(old()).await;
    let seen = cx.repo.get::<flat::Entity>("a").await.unwrap();
    let change = flat::ActiveModel { title: Set("New".to_owned()), meta: Set(json!(5)), ..seen.into_active_model() };
    let expected = flat::Model { title: "New".to_owned(), meta: json!(5), ..model() };
    assert_eq!(cx.repo.update(change).await.unwrap(), expected);
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), expected);
    assert_eq!(names(cx).await, ["meta", "remark", "title", "views"]);
}

async fn an_insert_moves_every_field(cx: &Context) {
    cx.set_all(old()).await;
    let new = flat::Model { title: "New".to_owned(), meta: json!({"x": 1}), ..model() };
    assert_eq!(cx.repo.insert(new.clone().into_active_model()).await.unwrap(), new);
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), new);
    assert_eq!(names(cx).await, ["hits", "meta/x", "note", "tags", "title"]);
    let many = [model().into_active_model(), flat::Model { slug: "b".to_owned(), ..model() }.into_active_model()];
    cx.set("aliased/b/headline", json!("Old")).await;
    cx.repo.insert_many(many).await.unwrap();
    assert_eq!(cx.value("aliased/b/headline").await, None);
}

async fn an_insert_without_a_field_merges_with_its_old_name(cx: &Context) {
    cx.set_all(old()).await;
    let part = flat::ActiveModel {
        slug: Set("a".to_owned()),
        title: Set("New".to_owned()),
        meta: Set(json!(1)),
        note: Set(Some("m".to_owned())),
        ..Default::default()
    };
    let saved = cx.repo.insert(part).await.unwrap();
    assert_eq!(saved.hits, Counter::from(7));
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), saved);
    assert_eq!(names(cx).await, ["meta", "note", "title", "views"]);
}

async fn a_put_leaves_no_old_name(cx: &Context) {
    cx.set_all(old()).await;
    let seen = cx.repo.get::<flat::Entity>("a").await.unwrap();
    assert_eq!(cx.repo.put(seen).await.unwrap(), model());
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), model());
    assert_eq!(names(cx).await, ["hits", "meta/x/y", "meta/z", "note", "tags", "title"]);
}

async fn a_guarded_update_compares_the_old_leaf(cx: &Context) {
    cx.set_all(old()).await;
    let seen = cx.repo.get_versioned::<flat::Entity>("a").await.unwrap();
    cx.set("aliased/a/headline", json!("Theirs")).await;
    let change = flat::ActiveModel { title: Set("Ours".to_owned()), ..seen.model.into_active_model() };
    let error = cx.repo.update(change).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap().title, "Theirs");
    assert_eq!(cx.value("aliased/a/title").await, None);
}

async fn a_guarded_update_moves_the_old_leaf(cx: &Context) {
    cx.set_all(old()).await;
    let seen = cx.repo.get_versioned::<flat::Entity>("a").await.unwrap();
    let change = flat::ActiveModel {
        title: Set("New".to_owned()),
        meta: Set(json!({"x": 3})),
        ..seen.model.clone().into_active_model()
    };
    let saved = cx.repo.update(change.clone()).if_match(&seen.revision).await.unwrap();
    assert_eq!((saved.title.as_str(), saved.meta), ("New", json!({"x": 3})));
    assert_eq!(names(cx).await, ["meta/x", "remark", "title", "views"]);
    let error = cx.repo.update(change).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    // A field that has moved is compared under its new name.
    let seen = cx.repo.get_versioned::<flat::Entity>("a").await.unwrap();
    let all = flat::Model { title: "Newer".to_owned(), ..seen.model }.into_active_model().reset_all();
    cx.repo.insert(all).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap().title, "Newer");
    assert_eq!(names(cx).await, ["hits", "meta/x", "note", "tags", "title"]);
}

async fn map_mode_reads_and_replaces_old_names(cx: &Context) {
    cx.set("aliased/a", json!({"headline": "Old", "remark": "n"})).await;
    let seen = cx.repo.get_versioned::<map::Entity>("a").await.unwrap();
    assert_eq!((seen.model.title.as_str(), seen.model.note.as_deref()), ("Old", Some("n")));
    let change = map::ActiveModel { title: Set("New".to_owned()), ..seen.model.into_active_model() };
    let saved = cx.repo.update(change).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<map::Entity>("a").await.unwrap(), saved);
    assert_eq!(names(cx).await, ["note", "title"]);
}

async fn a_merge_prevails_over_the_old_name(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    cx.set_all(old()).await;
    let part = flat::ActiveModel {
        slug: Set("a".to_owned()),
        title: Set("New".to_owned()),
        meta: Set(json!({"x": 1})),
        ..Default::default()
    };
    let expected = flat::Model { title: "New".to_owned(), meta: json!({"x": 1}), ..model() };
    assert_eq!(cx.repo.merge(part).await.unwrap(), Some(expected.clone()));
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap(), expected);
}

async fn an_increment_goes_on_from_the_old_name(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    cx.set_all(old()).await;
    assert_eq!(cx.repo.increment("a", flat::Column::Hits, 2).await.unwrap(), 9);
    assert_eq!(cx.repo.get::<flat::Entity>("a").await.unwrap().hits, Counter::from(9));
    let error = cx.repo.increment("a", flat::Column::Hits, i64::MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    cx.set("aliased/a/hits", json!(1)).await;
    assert_eq!(cx.repo.increment("a", flat::Column::Hits, 2).await.unwrap(), 3);
    assert_eq!(cx.repo.increment("b", flat::Column::Hits, 2).await.unwrap(), 2);
    assert_eq!(cx.value("aliased/b/hits").await, Some(json!(2)), "a new field has its new name");
}

async fn a_set_goes_on_from_the_old_name(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    cx.set_all(old()).await;
    cx.set("aliased/a/labels", json!(["x", "y"])).await;
    assert_eq!(*cx.repo.add_to_set("a", flat::Column::Tags, "z").await.unwrap(), ["z", "x", "y"]);
    assert_eq!(*cx.repo.remove_from_set("a", flat::Column::Tags, "x").await.unwrap(), ["z", "y"]);
    assert_eq!(*cx.repo.get::<flat::Entity>("a").await.unwrap().tags, ["z", "y"]);
}

async fn fenced_updates_prevail_over_the_old_name(cx: &Context) {
    if !cx.transport.capabilities().fences {
        return;
    }
    cx.set_all(old()).await;
    let lease = cx.repo.lease("locks/a", std::time::Duration::from_secs(60)).await.unwrap();
    let seen = cx.repo.get::<flat::Entity>("a").await.unwrap();
    let change =
        flat::ActiveModel { title: Set("New".to_owned()), note: Set(Some("m".to_owned())), ..seen.into_active_model() };
    cx.repo.update(change).fence(lease.fence()).await.unwrap();
    let seen = cx.repo.get::<flat::Entity>("a").await.unwrap();
    assert_eq!((seen.title.as_str(), seen.note.as_deref()), ("New", Some("m")));
}

async fn records_far_apart_are_read_by_their_old_names(cx: &Context) {
    let keys: Vec<String> = (0..60).map(|n| format!("k{n:03}")).collect();
    for key in &keys {
        let filler = (0..3).map(|n| (format!("plain/{key}-{n}/title"), json!("x")));
        let filler: Vec<_> = filler.chain([(format!("plain/{key}/headline"), json!(key))]).collect();
        cx.set_all(filler.iter().map(|(path, value)| (path.as_str(), value.clone()))).await;
    }
    let found = cx.repo.find_many::<plain::Entity>(keys.clone()).await.unwrap();
    let titles: Vec<String> = found.into_iter().map(|model| model.unwrap().title).collect();
    assert_eq!(titles, keys);
}

async fn subscribers_see_records_with_old_names(cx: &Context) {
    if !cx.transport.capabilities().subscribe {
        return;
    }
    let mut events = cx.repo.subscribe::<plain::Entity>().await.unwrap();
    cx.set("plain/a/headline", json!("Old")).await;
    let Some(Event::Upserted(model)) = events.next().await else { panic!() };
    assert_eq!(model.title, "Old");
    cx.set("plain/a/title", json!("New")).await;
    let Some(Event::Upserted(model)) = events.next().await else { panic!() };
    assert_eq!(model.title, "New");
    cx.set("plain/b/title", json!("B")).await;
    // A stale leaf that changes does not change the model.
    cx.set("plain/a/headline", json!("Older")).await;
    cx.set("plain/c/title", json!("C")).await;
    let mut last = None;
    while let Some(Event::Upserted(model)) = events.next().await {
        assert_ne!(model.title, "Older");
        if model.slug == "c" {
            last = Some(model.title);
            break;
        }
    }
    assert_eq!(last.as_deref(), Some("C"));
}

async fn changesets_are_cast_by_old_names(cx: &Context) {
    let columns = [map::Column::Slug, map::Column::Title, map::Column::Note];
    let cast = |params: Value| Changeset::cast(<map::ActiveModel as Default>::default(), params, columns);
    let saved = cx.repo.insert(cast(json!({"slug": "a", "headline": "H", "remark": "r"}))).await.unwrap();
    assert_eq!((saved.title.as_str(), saved.note.as_deref()), ("H", Some("r")));
    let saved = cx.repo.insert(cast(json!({"slug": "a", "headline": "H", "title": "T"}))).await.unwrap();
    assert_eq!(saved.title, "T", "the first name wins");
}
