use sea_orm::{NotSet, Set, Unchanged};
use serde_json::json;

use super::*;

#[test]
fn apply_sets_only_changed_fields() {
    let model = edited(json!({"title": "Rust", "text": ""})).apply().unwrap();
    assert_eq!(model.title, Set("Rust".into()));
    assert_eq!(model.body, Set(None));
    assert_eq!(model.upvotes, Unchanged(5));
    assert_eq!(model.views, NotSet);
    assert_eq!(Changeset::change(stored()).apply().unwrap(), stored());
}

#[test]
fn apply_of_invalid_changeset_returns_errors() {
    let refused = edited(json!({"title": 1, "upvotes": ""})).apply().unwrap_err();
    assert_eq!(json!(refused), json!({"title": ["is invalid"], "upvotes": ["can't be blank"]}));
    let error = crate::DustErr::from(refused);
    assert_eq!(error.to_string(), "title is invalid; upvotes can't be blank");
}

#[test]
fn prepare_functions_run_in_order_if_valid_and_not_in_apply() {
    let prepared = |params| {
        posted(params)
            .prepare_changes(|changeset| changeset.put_change(Post::Title, "one"))
            .prepare_changes(|changeset| changeset.update_change(Post::Title, |title: String| title + "two"))
    };
    assert_eq!(prepared(json!({})).apply().unwrap().title, NotSet);
    let model = prepared(json!({})).prepare().apply().unwrap();
    assert_eq!(model.title, Set("onetwo".into()));
    let invalid = prepared(json!({"upvotes": "x"})).prepare();
    assert_eq!(changes(&invalid), json!({}));
    let refused =
        posted(json!({})).prepare_changes(|changeset| changeset.add_error(Post::Title, "no")).prepare().apply();
    assert_eq!(json!(refused.unwrap_err()), json!({"title": ["no"]}));
}

#[test]
fn merge_joins_changes_params_errors_and_functions() {
    let one = Changeset::cast(stored(), json!({"title": "one", "text": "b", "size": "x"}), all());
    let two = Changeset::cast(
        stored(),
        json!({"title": "two", "text": "", "upvotes": "", "size": "x", "rating": "x"}),
        all(),
    );
    let merged = one.clone().prepare_changes(|changeset| changeset.put_change(Post::Title, "first")).merge(
        two.prepare_changes(|changeset| changeset.update_change(Post::Title, |title: String| title + " second")),
    );
    assert_eq!(changes(&merged), json!({"title": "two", "text": null}));
    assert_eq!(errors(&merged), json!({"size": ["is invalid"], "rating": ["is invalid"]}));
    assert_eq!(merged.params().unwrap()["text"], "");
    assert!(merged.field_missing(Post::Upvotes));

    let valid = Changeset::change(stored()).prepare_changes(|changeset| changeset.put_change(Post::Title, "first"));
    let more = Changeset::change(stored())
        .prepare_changes(|changeset| changeset.update_change(Post::Title, |title: String| title + " second"));
    assert_eq!(valid.merge(more).prepare().apply().unwrap().title, Set("first second".into()));

    let refilled = edited(json!({"title": ""})).merge(edited(json!({"title": "Rust"})));
    assert_eq!(refilled.apply().unwrap().title, Set("Rust".into()));
}

#[test]
fn merge_of_different_data_is_refused() {
    let merged = edited(json!({"title": "Rust"})).merge(posted(json!({"text": "x"})));
    assert_eq!(errors(&merged), json!({"base": ["different data when merging changesets"]}));
    assert_eq!(changes(&merged), json!({"title": "Rust"}));
}

#[test]
fn changeset_is_send_sync_clone_and_debug() {
    fn check<T: Send + Sync + Clone + std::fmt::Debug>(value: T) -> String {
        format!("{value:?}")
    }
    let shown = check(edited(json!({"title": "Rust"})));
    assert!(shown.starts_with("Changeset { valid: true, changes: {\"title\": String(\"Rust\")}"), "{shown}");
}
