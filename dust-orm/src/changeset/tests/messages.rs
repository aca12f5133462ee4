//! Every message and its metadata match those of Ecto, so that a translation catalogue for Ecto can be used unchanged.

use serde_json::json;

use super::*;
use crate::changeset::{Length, Number, Regex};
use crate::error::{FieldError, Param};

type Rule = fn(Changeset<post::ActiveModel>) -> Changeset<post::ActiveModel>;

/// The field that fails, the rule, and the error: template, code and parameters.
type Row = (&'static str, Rule, &'static str, &'static str, Vec<(&'static str, Param)>);

fn full() -> Changeset<post::ActiveModel> {
    posted(json!({
        "slug": "Dust", "title": "hello", "upvotes": 5, "rating": 2.5, "topics": ["a", "b"], "meta": {"k": 1},
        "text": "x", "text_confirmation": "y", "price": "12.50", "mood": "sad",
    }))
}

#[test]
fn every_message_matches_ecto() {
    let enumeration = |items: &[&str]| ("enum", Param::List(items.iter().map(|item| (*item).to_owned()).collect()));
    let length = |count: i64, kind, of| {
        vec![("count", Param::Int(count)), ("kind", Param::from(kind)), ("type", Param::from(of))]
    };
    let number = |kind, number| vec![("kind", Param::from(kind)), ("number", Param::Int(number))];
    let table: Vec<Row> = vec![
        ("views", |c| c.validate_required([Post::Views]), "can't be blank", "required", vec![]),
        (
            "size",
            |c| Changeset::cast(c, json!({"size": "x"}), [Post::Size]),
            "is invalid",
            "cast",
            vec![("type", Param::from("integer"))],
        ),
        (
            "title",
            |c| c.validate_format(Post::Title, &Regex::new("@").unwrap()),
            "has invalid format",
            "format",
            vec![],
        ),
        ("title", |c| c.validate_email(Post::Title), "has invalid format", "format", vec![]),
        ("title", |c| c.validate_url(Post::Title), "has invalid format", "format", vec![]),
        (
            "title",
            |c| c.validate_inclusion(Post::Title, ["world"]),
            "is invalid",
            "inclusion",
            vec![enumeration(&["world"])],
        ),
        (
            "upvotes",
            |c| c.validate_inclusion(Post::Upvotes, [1, 2]),
            "is invalid",
            "inclusion",
            vec![enumeration(&["1", "2"])],
        ),
        (
            "title",
            |c| c.validate_exclusion(Post::Title, ["admin", "hello"]),
            "is reserved",
            "exclusion",
            vec![enumeration(&["admin", "hello"])],
        ),
        (
            "topics",
            |c| c.validate_subset(Post::Topics, ["a", "c"]),
            "has an invalid entry",
            "subset",
            vec![enumeration(&["a", "c"])],
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, 4),
            "should be %{count} character(s)",
            "length",
            length(4, "is", "string"),
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, 6..),
            "should be at least %{count} character(s)",
            "length",
            length(6, "min", "string"),
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, ..=4),
            "should be at most %{count} character(s)",
            "length",
            length(4, "max", "string"),
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, Length::bytes(4..=4)),
            "should be %{count} byte(s)",
            "length",
            length(4, "is", "binary"),
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, Length::bytes(6..9)),
            "should be at least %{count} byte(s)",
            "length",
            length(6, "min", "binary"),
        ),
        (
            "title",
            |c| c.validate_length(Post::Title, Length::bytes(..5)),
            "should be at most %{count} byte(s)",
            "length",
            length(4, "max", "binary"),
        ),
        (
            "topics",
            |c| c.validate_length(Post::Topics, 3),
            "should have %{count} item(s)",
            "length",
            length(3, "is", "list"),
        ),
        (
            "topics",
            |c| c.validate_length(Post::Topics, 3..=4),
            "should have at least %{count} item(s)",
            "length",
            length(3, "min", "list"),
        ),
        (
            "topics",
            |c| c.validate_length(Post::Topics, ..2),
            "should have at most %{count} item(s)",
            "length",
            length(1, "max", "list"),
        ),
        (
            "meta",
            |c| c.validate_length(Post::Meta, 2),
            "should have %{count} item(s)",
            "length",
            length(2, "is", "map"),
        ),
        (
            "meta",
            |c| c.validate_length(Post::Meta, 2..),
            "should have at least %{count} item(s)",
            "length",
            length(2, "min", "map"),
        ),
        (
            "meta",
            |c| c.validate_length(Post::Meta, ..1),
            "should have at most %{count} item(s)",
            "length",
            length(0, "max", "map"),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::less_than(5)),
            "must be less than %{number}",
            "number",
            number("less_than", 5),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::greater_than(5)),
            "must be greater than %{number}",
            "number",
            number("greater_than", 5),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::less_than_or_equal_to(4)),
            "must be less than or equal to %{number}",
            "number",
            number("less_than_or_equal_to", 4),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::greater_than_or_equal_to(6)),
            "must be greater than or equal to %{number}",
            "number",
            number("greater_than_or_equal_to", 6),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::equal_to(6)),
            "must be equal to %{number}",
            "number",
            number("equal_to", 6),
        ),
        (
            "upvotes",
            |c| c.validate_number(Post::Upvotes, Number::not_equal_to(5)),
            "must be not equal to %{number}",
            "number",
            number("not_equal_to", 5),
        ),
        ("terms", |c| c.validate_acceptance("terms"), "must be accepted", "acceptance", vec![]),
        (
            "text_confirmation",
            |c| c.validate_confirmation(Post::Body),
            "does not match confirmation",
            "confirmation",
            vec![],
        ),
        ("title_confirmation", |c| c.require_confirmation(Post::Title), "can't be blank", "required", vec![]),
        ("title", |c| c.add_error(Post::Title, "oops"), "oops", "custom", vec![]),
        (
            "slug",
            |c| c.validate_slug(),
            "must not contain upper-case letters: keys that differ only in case would delete each other",
            "slug",
            vec![],
        ),
        ("slug", |c| c.put_change(Post::Slug, "").validate_slug(), "cannot be empty", "slug", vec![]),
    ];
    for (field, rule, template, code, params) in table {
        let changeset = rule(full());
        let found: Vec<_> = changeset.errors().iter().collect();
        let expected =
            params.into_iter().fold(FieldError::new(template, code), |error, (name, value)| error.with(name, value));
        assert_eq!(found, [(field, [expected].as_slice())], "{template} [{code}]");
    }
}

#[test]
fn params_are_inserted_into_messages() {
    let changeset = full()
        .validate_length(Post::Title, 10..=20)
        .validate_number(Post::Rating, Number::greater_than(2.75))
        .validate_number(Post::Upvotes, Number::greater_than(i128::MAX));
    assert_eq!(
        errors(&changeset),
        json!({
            "title": ["should be at least 10 character(s)"],
            "rating": ["must be greater than 2.75"],
            "upvotes": ["must be greater than 170141183460469231731687303715884105727"],
        })
    );
}

#[test]
fn custom_message_keeps_code_and_params() {
    let changeset = full()
        .validate_length(Post::Title, 10..)
        .message("%{name} needs %{count} letters")
        .param("name", "it")
        .validate_required([Post::Title])
        .message("is not for the title, which has a value")
        .validate_required([Post::Views, Post::Size])
        .message("is missing");
    assert_eq!(
        errors(&changeset),
        json!({"title": ["it needs 10 letters"], "views": ["is missing"], "size": ["is missing"]})
    );
    let error = error(&changeset, Post::Title);
    assert_eq!((error.code(), error.get("count")), ("length", Some(&Param::Int(10))));

    let cast = posted(json!({"title": 1, "upvotes": "x"})).message("wants a %{type}");
    assert_eq!(errors(&cast), json!({"title": ["wants a string"], "upvotes": ["wants a integer"]}));
    assert_eq!(
        errors(&cast.validate_length(Post::Title, 3).message("no")),
        json!({"title": ["wants a string"], "upvotes": ["wants a integer"]})
    );
}

#[test]
fn message_is_translated() {
    let changeset = full().validate_length(Post::Title, 10..).add_error(Post::Mood, "oops");
    let german = changeset.errors().traverse(|field, error| match (error.code(), error.get("count")) {
        ("length", Some(count)) => format!("{field} braucht {count} Zeichen"),
        _ => error.message(),
    });
    assert_eq!(german[0], ("title".to_owned(), vec!["title braucht 10 Zeichen".to_owned()]));
    assert_eq!(german[1], ("mood".to_owned(), vec!["oops".to_owned()]));
}
