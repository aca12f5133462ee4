//! Parameters that HTML forms send.

use serde_json::json;

use super::*;

/// Casts the body of a form, decoded into pairs as in a handler.
fn sent(body: &str) -> Changeset<post::ActiveModel> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    Changeset::cast(post::ActiveModel::default(), pairs, all())
}

#[test]
fn pairs_are_cast_as_params() {
    for (body, expected) in [
        ("title=a+b&upvotes=42&rating=0.5", json!({"title": "a b", "upvotes": 42, "rating": 0.5})),
        ("title=a%26b&nonsense=1", json!({"title": "a&b"})),
        // A checkbox, alone and after the hidden input for its unticked state.
        ("public=on", json!({"public": true})),
        ("public=false", json!({"public": false})),
        ("public=false&public=true", json!({"public": true})),
        ("public=0&public=on", json!({"public": true})),
        // A select with one, several or no chosen options.
        ("topics=a", json!({"topics": ["a"]})),
        ("topics=a&topics=b", json!({"topics": ["a", "b"]})),
        ("topics=&topics=a&topics=b", json!({"topics": ["a", "b"]})),
        ("topics=", json!({"topics": []})),
        ("topics[]=a", json!({"topics": ["a"]})),
        ("topics[]=", json!({"topics": []})),
        ("topics%5B%5D=a&topics%5B%5D=b&topics=c", json!({"topics": ["a", "b", "c"]})),
        // The last of several values of a field that is not a list.
        ("title=first&title=last&upvotes=1&upvotes=2", json!({"title": "last", "upvotes": 2})),
        ("size=&rating=", json!({"size": null, "rating": null})),
        ("size=1&size=", json!({"size": null})),
        ("meta=a&meta=b", json!({"meta": ["a", "b"]})),
    ] {
        let changeset = sent(body);
        assert!(changeset.is_valid(), "{body}: {}", changeset.errors());
        assert_eq!(changes(&changeset), expected, "{body}");
    }
}

#[test]
fn empty_input_is_not_a_number() {
    let changeset = sent("title=x&upvotes=&views=+").validate_required([Post::Upvotes, Post::Views]);
    assert_eq!(errors(&changeset), json!({"upvotes": ["can't be blank"], "views": ["can't be blank"]}));
    assert_eq!(changes(&changeset), json!({"title": "x"}));
}

#[test]
fn form_value_of_wrong_type_is_invalid() {
    let changeset = sent("upvotes=1&upvotes=x&public=maybe&mood=sad&mood=furious&size=1_0");
    let invalid = json!(["is invalid"]);
    assert_eq!(errors(&changeset), json!({"upvotes": invalid, "public": invalid, "mood": invalid, "size": invalid}));
    assert_eq!(changes(&changeset), json!({}));
}

#[test]
fn list_that_is_not_a_form_is_an_error_of_base() {
    for params in [json!([["title"]]), json!([["title", "a", "b"]]), json!([[1, "a"]]), json!(["title", "a"])] {
        assert_eq!(errors(&posted(params)), json!({"base": ["is invalid"]}));
    }
}

#[test]
fn form_without_pairs_changes_nothing() {
    let changeset = sent("");
    assert_eq!((changes(&changeset), errors(&changeset)), (json!({}), json!({})));
    assert_eq!(errors(&changeset.validate_required([Post::Title])), json!({"title": ["can't be blank"]}));
}

mod poll {
    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "polls")]
    #[dust(prefix = "polls", crate = "crate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub answers: DustSet<i32>,
        pub others: Option<DustSet<i32>>,
        pub data: Json,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[test]
fn list_with_wrong_item_is_invalid_at_any_position() {
    use poll::{ActiveModel, Column};
    let cast = |pairs: &[(&str, &str)]| {
        let poll = Changeset::cast(ActiveModel::default(), pairs, [Column::Answers, Column::Others, Column::Data]);
        (json!(poll.changes()), json!(poll.errors()))
    };
    let invalid = json!(["is invalid"]);
    for items in [["x", "1"], ["1", "x"], ["x", ""], ["", "x"]] {
        let pairs: Vec<_> = items.iter().flat_map(|item| [("answers", *item), ("others[]", *item)]).collect();
        assert_eq!(cast(&pairs), (json!({}), json!({"answers": invalid, "others": invalid})), "{items:?}");
    }
    let pairs = [("answers", "1"), ("answers", ""), ("others", ""), ("others", "2")];
    assert_eq!(cast(&pairs), (json!({"answers": [1], "others": [2]}), json!({})));
    assert_eq!(cast(&[("answers", ""), ("others", "")]), (json!({"answers": [], "others": null}), json!({})));
}

#[test]
fn blank_text_of_form_is_not_json() {
    use poll::{ActiveModel, Column};
    let poll = Changeset::cast(ActiveModel::default(), [("data", "")], [Column::Data]);
    assert_eq!(json!(poll.changes()), json!({}));
    assert_eq!(json!(poll.validate_required([Column::Data]).errors()), json!({"data": ["can't be blank"]}));
}

#[test]
fn params_hold_the_lists() {
    let changeset = sent("title=a&topics=a&topics=b&terms=off&terms=on&title_confirmation=a");
    assert_eq!(
        json!(changeset.params()),
        json!({"title": "a", "topics": ["a", "b"], "terms": ["off", "on"], "title_confirmation": "a"})
    );
    assert!(changeset.clone().validate_acceptance("terms").validate_confirmation(Post::Title).is_valid());
    assert!(!sent("terms=on&terms=off").validate_acceptance("terms").is_valid());
    assert!(sent("terms=on").validate_acceptance("terms").is_valid());
}

#[test]
fn text_in_json_is_not_a_list() {
    assert_eq!(errors(&posted(json!({"topics": "a"}))), json!({"topics": ["is invalid"]}));
    assert_eq!(errors(&posted(json!({"title": ["a"]}))), json!({"title": ["is invalid"]}));
}
