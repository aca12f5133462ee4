use serde_json::json;

use super::*;

#[test]
fn put_change_is_deleted_by_delete_change() {
    let base = || Changeset::change(stored());
    assert_eq!(changes(&base()), json!({}));
    assert_eq!(changes(&base().put_change(Post::Title, "bar")), json!({"title": "bar"}));
    assert_eq!(changes(&base().put_change(Post::Title, "bar").delete_change(Post::Title)), json!({}));
    assert_eq!(changes(&base().put_change(Post::Upvotes, 5)), json!({}));
    assert_eq!(changes(&base().put_change(Post::Upvotes, 9).put_change(Post::Upvotes, 5)), json!({}));
    assert_eq!(changes(&base().put_change(Post::Body, None::<String>)), json!({"text": null}));
    assert_eq!(changes(&base().put_change(Post::Title, " ")), json!({"title": " "}), "texts are taken as they are");
    assert_eq!(changes(&base().put_change(Post::Mood, post::Mood::Happy)), json!({"mood": "happy"}));
    let topics = post::Topics(vec![String::new(), "a".into()]);
    assert_eq!(changes(&base().put_change(Post::Topics, &topics)), json!({"topics": ["", "a"]}));
    assert_eq!(base().put_change(Post::Topics, &topics).get_change(Post::Topics), Some(topics));
}

#[test]
fn put_change_refuses_other_types() {
    for changeset in [
        Changeset::change(stored()).put_change(Post::Upvotes, "42"),
        Changeset::change(stored()).force_change(Post::Upvotes, "42"),
        Changeset::change(stored()).put_change(Post::Upvotes, 42.5),
        Changeset::change(stored()).put_change(Post::Upvotes, u64::MAX),
        Changeset::change(stored()).put_change(Post::Upvotes, u128::MAX),
    ] {
        assert_eq!(errors(&changeset), json!({"upvotes": ["is invalid"]}));
        assert_eq!(changes(&changeset), json!({}));
    }
    let changeset = Changeset::change(stored()).put_change(Post::Rating, f64::NAN);
    assert_eq!(errors(&changeset), json!({"rating": ["is invalid"]}), "not turned into null");
    let changeset = Changeset::change(stored()).put_change(Post::Secret, "mine");
    assert_eq!(errors(&changeset), json!({"secret": ["is invalid"]}));
}

#[test]
fn put_null_empties_field_that_is_not_nullable() {
    let changeset = Changeset::change(stored()).put_change(Post::Title, None::<String>);
    assert!(changeset.field_missing(Post::Title) && changeset.apply().is_err());
    let changeset = Changeset::change(stored()).force_change(Post::Title, ());
    assert!(changeset.field_missing(Post::Title) && changeset.apply().is_err());
}

#[test]
fn force_change_keeps_an_equal_value() {
    let changeset = Changeset::change(stored()).force_change(Post::Upvotes, 5);
    assert_eq!(changes(&changeset), json!({"upvotes": 5}));
    assert_eq!(changes(&changeset.put_change(Post::Upvotes, 5)), json!({}), "until it is put again");
}

#[test]
fn update_change_replaces_the_change() {
    let changeset = posted(json!({"title": "foo"})).update_change(Post::Title, |title: String| title + "bar");
    assert_eq!(changes(&changeset), json!({"title": "foobar"}));
    let changeset = posted(json!({})).update_change(Post::Title, |title: String| title + "bar");
    assert_eq!(changes(&changeset), json!({}));
    let changeset = edited(json!({"title": "DUST"})).update_change(Post::Title, |_: String| "Dust");
    assert_eq!(changes(&changeset), json!({}));
    let cleared =
        edited(json!({"text": null})).update_change(Post::Body, |body: Option<String>| body.or(Some("x".into())));
    assert_eq!(changes(&cleared), json!({"text": "x"}));
}

#[test]
fn get_change_and_get_field_return_typed_values() {
    let changeset = edited(json!({"title": "Rust", "text": null}));
    assert_eq!(changeset.get_change::<String>(Post::Title).as_deref(), Some("Rust"));
    assert_eq!(changeset.get_change::<i32>(Post::Title), None);
    assert_eq!(changeset.get_change::<i32>(Post::Upvotes), None);
    assert_eq!(changeset.get_change::<String>(Post::Body), None);
    assert_eq!(changeset.get_change::<Option<String>>(Post::Body), Some(None));
    assert_eq!(changeset.get_field::<i32>(Post::Upvotes), Some(5));
    assert_eq!(changeset.get_field::<i64>(Post::Upvotes), Some(5));
    assert_eq!(changeset.get_field::<i64>(Post::Views), None);
    assert_eq!(changeset.get_field::<String>(Post::Title).as_deref(), Some("Rust"));
    assert!(changeset.changed(Post::Body) && !changeset.changed(Post::Upvotes));
}

#[test]
fn field_missing_is_true_without_a_value() {
    let changeset = edited(json!({"colour": "", "public": false}));
    for (column, missing) in [
        (Post::Title, false),
        (Post::Upvotes, false),
        (Post::Public, false),
        (Post::Topics, false),
        (Post::Colour, true),
        (Post::Views, true),
        (Post::Mood, true),
    ] {
        assert_eq!(changeset.field_missing(column), missing, "{column:?}");
    }
    let empty = Changeset::change(stored()).put_change(Post::Topics, ["x"; 0]);
    assert!(!empty.field_missing(Post::Topics));
}
