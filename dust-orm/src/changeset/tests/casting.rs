use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::*;
use crate::changeset::Action;
use crate::error::Param;

#[test]
fn cast_ignores_unpermitted_columns() {
    let changeset = Changeset::cast(
        post::ActiveModel::default(),
        json!({"title": "hello", "text": "world", "upvotes": 3, "nonsense": true}),
        [Post::Title, Post::Body],
    );
    assert!(changeset.is_valid());
    assert_eq!(changes(&changeset), json!({"title": "hello", "text": "world"}));
    assert_eq!(changeset.params().unwrap()["nonsense"], true);
    assert_eq!(changeset.data(), &post::ActiveModel::default());
}

#[test]
fn cast_accepts_any_serializable_object() {
    #[derive(Serialize)]
    struct Form<'a> {
        title: &'a str,
        upvotes: i32,
    }
    let form = Form { title: "hello", upvotes: 3 };
    let changeset = Changeset::cast(post::ActiveModel::default(), &form, all());
    assert_eq!(changes(&changeset), json!({"title": "hello", "upvotes": 3}));

    let posted = std::collections::HashMap::from([("title", "hello"), ("upvotes", "3")]);
    let changeset = Changeset::cast(post::ActiveModel::default(), posted, all());
    assert_eq!(changes(&changeset), json!({"title": "hello", "upvotes": 3}));
}

#[test]
fn params_other_than_an_object_are_an_error_of_base() {
    for params in [json!(null), json!([1]), json!("title")] {
        let changeset = posted(params);
        assert_eq!(errors(&changeset), json!({"base": ["is invalid"]}));
        assert_eq!(changeset.params(), None);
        assert_eq!(changeset.errors().get("base")[0].get("type"), Some(&Param::from("map")));
        let again = Changeset::cast(changeset, json!(null), [Post::Body]);
        assert_eq!(errors(&again), json!({"base": ["is invalid"]}), "said once");
    }
    let base = posted(json!({"title": "sample"}));
    let changeset = Changeset::cast(base, json!(1), [Post::Body]);
    assert_eq!(changes(&changeset), json!({"title": "sample"}));
    assert_eq!(changeset.params().unwrap()["title"], "sample");
    assert!(!changeset.is_valid());
}

#[test]
fn present_value_is_not_a_change() {
    let changeset =
        edited(json!({"slug": "dust", "title": "Dust", "text": "A store", "upvotes": "5", "topics": ["db"]}));
    assert_eq!(changes(&changeset), json!({}));
    assert!(changeset.is_valid() && !changeset.changed(Post::Title));
    assert_eq!(changes(&edited(json!({"title": "Rust"}))), json!({"title": "Rust"}));
}

#[test]
fn permitted_primary_key_is_cast() {
    assert_eq!(changes(&posted(json!({"slug": "new"}))), json!({"slug": "new"}));
    let changeset = Changeset::cast(post::ActiveModel::default(), json!({"slug": "new"}), [Post::Title]);
    assert_eq!(changes(&changeset), json!({}));
}

#[test]
fn value_of_wrong_type_is_an_error_with_the_type() {
    for (params, column, kind) in [
        (json!({"title": 1}), Post::Title, "string"),
        (json!({"title": ["a"]}), Post::Title, "string"),
        (json!({"text": false}), Post::Body, "string"),
        (json!({"upvotes": "many"}), Post::Upvotes, "integer"),
        (json!({"upvotes": "4.5"}), Post::Upvotes, "integer"),
        (json!({"upvotes": 4.5}), Post::Upvotes, "integer"),
        (json!({"upvotes": 3_000_000_000_u32}), Post::Upvotes, "integer"),
        (json!({"size": "256"}), Post::Size, "integer"),
        (json!({"size": -1}), Post::Size, "integer"),
        (json!({"rating": "NaN"}), Post::Rating, "float"),
        (json!({"rating": "inf"}), Post::Rating, "float"),
        (json!({"rating": true}), Post::Rating, "float"),
        (json!({"public": "yes"}), Post::Public, "boolean"),
        (json!({"public": 1}), Post::Public, "boolean"),
        (json!({"mood": "furious"}), Post::Mood, "enum"),
        (json!({"mood": 1}), Post::Mood, "enum"),
        (json!({"topics": "db"}), Post::Topics, "array"),
        (json!({"topics": [1]}), Post::Topics, "array"),
        (json!({"topics": {"a": "b"}}), Post::Topics, "array"),
        (json!({"price": 3}), Post::Price, "string"),
    ] {
        let changeset = posted(params.clone());
        let error = error(&changeset, column);
        assert_eq!((error.message().as_str(), error.code()), ("is invalid", "cast"), "{params}");
        assert_eq!(error.get("type"), Some(&Param::from(kind)), "{params}");
        assert_eq!(changes(&changeset), json!({}), "{params}");
    }
}

#[test]
fn form_text_is_read_as_number_or_boolean() {
    for (params, expected) in [
        (json!({"upvotes": "42"}), json!({"upvotes": 42})),
        (json!({"upvotes": "-7", "size": "+255"}), json!({"upvotes": -7, "size": 255})),
        (json!({"views": "9223372036854775807"}), json!({"views": i64::MAX})),
        (json!({"rating": "0.5"}), json!({"rating": 0.5})),
        (json!({"rating": 3}), json!({"rating": 3.0})),
        (json!({"public": "true"}), json!({"public": true})),
        (json!({"public": "0"}), json!({"public": false})),
        (json!({"mood": "sad"}), json!({"mood": "sad"})),
        (json!({"price": "12.5"}), json!({"price": "12.50"})),
        (json!({"title": "42"}), json!({"title": "42"})),
    ] {
        let changeset = posted(params.clone());
        assert!(changeset.is_valid(), "{params}: {}", changeset.errors());
        assert_eq!(changes(&changeset), expected);
    }
}

#[test]
fn null_and_blank_text_clear_nullable_fields() {
    for nothing in [json!(null), json!(""), json!(" \t\n")] {
        let params = json!({"text": nothing, "size": nothing, "mood": nothing, "colour": nothing, "meta": nothing});
        let changeset = edited(params);
        assert!(changeset.is_valid());
        assert_eq!(changes(&changeset), json!({"text": null, "size": null, "mood": null, "colour": "", "meta": null}));
    }
    assert_eq!(changes(&edited(json!({"text": " kept as it is "}))), json!({"text": " kept as it is "}));
}

#[test]
fn field_without_empty_value_is_emptied_and_refused() {
    for nothing in [json!(null), json!(""), json!("  ")] {
        let changeset = edited(json!({"title": nothing, "upvotes": nothing, "text": "x"}));
        assert_eq!(changes(&changeset), json!({"text": "x"}));
        assert!(changeset.field_missing(Post::Title) && changeset.get_field::<String>(Post::Title).is_none());
        let refused = changeset.clone().apply().unwrap_err();
        assert_eq!(json!(refused), json!({"title": ["can't be blank"], "upvotes": ["can't be blank"]}));
        let validated = changeset.validate_required([Post::Title]);
        assert_eq!(errors(&validated), json!({"title": ["can't be blank"]}));
    }
    // A later value or the removal of the change clears the error.
    let emptied = edited(json!({"title": ""}));
    assert!(emptied.clone().put_change(Post::Title, "Rust").apply().is_ok());
    assert!(emptied.clone().put_change(Post::Title, "Dust").apply().is_ok());
    assert!(emptied.clone().force_change(Post::Title, "Dust").apply().is_ok());
    assert!(emptied.delete_change(Post::Title).apply().is_ok());
}

#[test]
fn blank_entries_are_dropped_from_lists_but_not_from_json() {
    let changeset = posted(json!({"topics": ["", "bar", " "], "meta": ["", {"a": ""}]}));
    assert_eq!(changes(&changeset), json!({"topics": ["bar"], "meta": ["", {"a": ""}]}));
    assert_eq!(changes(&posted(json!({"topics": []}))), json!({"topics": []}));
}

#[test]
fn field_skipped_by_serde_is_never_cast() {
    let changeset = posted(json!({"secret": "mine"}));
    assert!(changeset.is_valid() && changes(&changeset) == json!({}));
}

#[test]
fn second_cast_adds_to_the_changeset() {
    let base = Changeset::cast(stored(), json!({"title": "Rust", "text": "x"}), all());
    let changeset = Changeset::cast(base, json!({"text": null, "upvotes": 6}), [Post::Body]);
    assert_eq!(changes(&changeset), json!({"title": "Rust", "text": null}));
    assert_eq!(json!(changeset.params()), json!({"title": "Rust", "text": null, "upvotes": 6}));
    let changeset = Changeset::cast(changeset, json!({"text": "A store"}), all());
    assert_eq!(changes(&changeset), json!({"title": "Rust"}), "back to what the data has");
    let changeset = Changeset::cast(changeset, json!({"title": 1}), all());
    assert_eq!(changes(&changeset), json!({"title": "Rust"}), "a wrong type leaves the change as it was");
    assert_eq!(errors(&changeset), json!({"title": ["is invalid"]}));
}

#[test]
fn required_field_of_wrong_type_has_one_error() {
    let changeset = posted(json!({"title": 1})).validate_required([Post::Title]);
    assert_eq!(errors(&changeset), json!({"title": ["is invalid"]}));
}

/// JSON values that forms and programs send, valid and invalid.
fn any_param() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9_i64..9).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ \t]{0,3}".prop_map(Value::from),
        "[+-]?[0-9]{0,3}(\\.[0-9]{0,3})?(e[0-9])?".prop_map(Value::from),
        prop_oneof!["true", "happy", "sad", "inf", ".{0,6}"].prop_map(Value::from),
    ];
    let list = proptest::collection::vec(scalar.clone(), 0..4).prop_map(Value::from);
    let map = proptest::collection::btree_map("[a-c]", scalar.clone(), 0..3).prop_map(|map| json!(map));
    prop_oneof![6 => scalar, 1 => list, 1 => map]
}

proptest! {
    #[test]
    fn any_param_is_a_change_an_error_or_ignored(values in proptest::collection::vec(any_param(), 14)) {
        let names = <post::ActiveModel as Fields>::FIELDS.iter().map(|field| field.name.to_owned());
        let params = Value::Object(names.zip(values).collect());
        let changeset = edited(params.clone());
        let mut accepted = serde_json::Map::new();
        for field in <post::ActiveModel as Fields>::FIELDS.iter().filter(|field| !field.skipped) {
            let wrong = !changeset.errors().get(field.name).is_empty();
            let emptied = changeset.field_missing(field.column) && !changeset.changed(field.column);
            let before = Changeset::change(stored()).get_field::<Value>(field.column);
            let kept = before == changeset.get_field::<Value>(field.column);
            prop_assert!(wrong || emptied || kept || changeset.changed(field.column), "{}", field.name);
            prop_assert!(!(wrong && changeset.changed(field.column)), "{}", field.name);
            if !wrong && !emptied {
                accepted.insert(field.name.to_owned(), params[field.name].clone());
            }
        }
        // The model holds the accepted values, so casting them again changes nothing.
        let model = edited(accepted.clone().into()).apply_action(Action::Insert).unwrap();
        prop_assert_eq!(changes(&Changeset::cast(model, accepted, all())), json!({}));
    }
}
