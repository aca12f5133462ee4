//! Leaves at paths without a field: at the prefix, at a record's path, below another leaf.

use dust_orm::ErrKind;
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    a_leaf_at_the_prefix_is_no_record,
    a_leaf_at_the_path_of_a_record_is_not_part_of_it,
    a_leaf_in_place_of_a_record_is_no_record,
    a_leaf_with_older_children_counts,
    a_leaf_with_newer_children_does_not_count,
    a_record_whose_field_has_children_can_be_updated_by_revision,
    a_record_whose_field_has_children_can_be_replaced_by_revision,
    a_record_whose_field_has_children_can_be_deleted_by_revision,
    children_that_differ_in_case_are_updated_by_revision,
];

async fn a_leaf_at_the_prefix_is_no_record(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    cx.set("lin", json!(0)).await;
    cx.set("linksx/a/title", json!(0)).await;
    cx.set("app", json!(0)).await;
    cx.repo.insert(new_setting("s")).await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a")]);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), [setting("s")]);
}

async fn a_leaf_at_the_path_of_a_record_is_not_part_of_it(cx: &Context) {
    cx.set("links/a", json!("stray")).await;
    cx.repo.insert(new_link("a")).await.unwrap();
    assert_eq!(cx.value("links/a").await, Some(json!("stray")));
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a")]);
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    cx.repo.update(retitled("a", "mine")).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap().title, "mine");
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    assert_eq!(cx.value("links/a").await, None);
}

async fn a_leaf_in_place_of_a_record_is_no_record(cx: &Context) {
    cx.set("links/a", json!("stray")).await;
    assert_eq!(cx.repo.find_by_id::<link::Entity>("a").await.unwrap(), None);
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap_err().kind(), ErrKind::NotFound);
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), []);
    assert_eq!(cx.repo.update(retitled("a", "x")).await.unwrap_err().kind(), ErrKind::NotFound);
}

async fn a_leaf_with_older_children_counts(cx: &Context) {
    cx.repo.put(docs::flat::doc("a", &json!({"x": 1}))).await.unwrap();
    // A merge is the only op that writes a leaf and keeps the leaves below it; other ops remove them.
    let merge = dust_protocol::Mutation::Merge(json!({"value": "newer"}).into());
    let write = dust_protocol::Op::new(crate::context::path("flat-docs/a"), merge);
    if cx.transport.capabilities().typed_ops {
        cx.write(write).await.unwrap();
        assert_eq!(cx.leaves("flat-docs/a/value").await.len(), 1);
    } else {
        cx.set("flat-docs/a/value", json!("newer")).await;
    }
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap().value, json!("newer"));
}

async fn a_leaf_with_newer_children_does_not_count(cx: &Context) {
    cx.repo.put(docs::flat::doc("a", &json!("older"))).await.unwrap();
    cx.set("flat-docs/a/value/x", json!(1)).await;
    cx.set("flat-docs/a/value/y/z", json!(2)).await;
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap().value, json!({"x": 1, "y": {"z": 2}}));
}

/// A record of which one field has children, although it holds a text.
async fn with_children(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    cx.repo.insert(new_setting("a")).await.unwrap();
    for below in ["links/a/note", "app/settings/a/owner", "app/settings/a/options/colour"] {
        cx.set(&format!("{below}/below"), json!(1)).await;
        cx.set(&format!("{below}/below/deep"), json!(2)).await;
        cx.set(&format!("{below}/beside"), json!(3)).await;
        // The text is the newer one, if the transport has merges.
        if cx.transport.capabilities().typed_ops {
            let (parent, name) = below.rsplit_once('/').unwrap();
            let merge = dust_protocol::Mutation::Merge(json!({name: "text"}).into());
            cx.write(dust_protocol::Op::new(crate::context::path(parent), merge)).await.unwrap();
        }
    }
}

async fn a_record_whose_field_has_children_can_be_updated_by_revision(cx: &Context) {
    with_children(cx).await;
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    let mut edit = seen.model.into_active_model();
    edit.note = Set(Some("mine".to_owned()));
    cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.leaves("links/a/note").await, []);
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap().note.as_deref(), Some("mine"));

    let seen = cx.repo.find_versioned::<setting::Entity>("a").await.unwrap().unwrap();
    let mut edit = seen.model.into_active_model();
    edit.owner = Set(None);
    let updated = cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<setting::Entity>("a").await.unwrap(), updated);
    assert_eq!(cx.leaves("app/settings/a/owner").await, []);
}

async fn a_record_whose_field_has_children_can_be_replaced_by_revision(cx: &Context) {
    with_children(cx).await;
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    cx.repo.put(link("a")).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.leaves("links/a").await.len(), 3);
    let seen = cx.repo.find_versioned::<setting::Entity>("a").await.unwrap().unwrap();
    cx.repo.put(setting("a")).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.leaves("app/settings/a").await.len(), 4);
}

async fn a_record_whose_field_has_children_can_be_deleted_by_revision(cx: &Context) {
    with_children(cx).await;
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    cx.repo.delete_by_id::<link::Entity>("a").if_match(&seen.revision).await.unwrap();
    let seen = cx.repo.find_versioned::<setting::Entity>("a").await.unwrap().unwrap();
    cx.repo.delete_by_id::<setting::Entity>("a").if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.leaves_of_all().await, []);
}

/// Removing the subtree of one of them removes that of the other: both are checked before.
async fn children_that_differ_in_case_are_updated_by_revision(cx: &Context) {
    cx.repo.put(docs::flat::doc("a", &json!({"k": 1}))).await.unwrap();
    cx.set_all([("flat-docs/a/value/K/x", json!(2)), ("flat-docs/a/value/k", json!(3))]).await;
    cx.set("flat-docs/a/value/K/x", json!(4)).await;
    let seen = cx.repo.find_versioned::<docs::flat::Entity>("a").await.unwrap().unwrap();
    assert_eq!(seen.model.value, json!({"K": {"x": 4}, "k": 3}));
    let mut edit = seen.model.into_active_model();
    edit.value = Set(json!({"k": 5}));
    cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap().value, json!({"k": 5}));
}
