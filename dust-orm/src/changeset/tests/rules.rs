use std::ops::Bound;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::FieldError;
use crate::changeset::{Length, Number, Regex};

type PostChange = Changeset<post::ActiveModel>;

#[track_caller]
fn assert_valid(changeset: PostChange) {
    assert!(changeset.is_valid(), "{}", changeset.errors());
}

#[track_caller]
fn assert_refused(changeset: PostChange) {
    let number: usize = changeset.errors().iter().map(|(_, errors)| errors.len()).sum();
    assert_eq!(number, 1, "{}", changeset.errors());
}

#[test]
fn rules_check_only_changes_other_than_null() {
    let every = |changeset: PostChange| {
        changeset
            .validate_length(Post::Body, 100..)
            .validate_format(Post::Body, &Regex::new("^$").unwrap())
            .validate_email(Post::Body)
            .validate_url(Post::Body)
            .validate_inclusion(Post::Body, ["never"])
            .validate_subset(Post::Topics, ["never"])
            .validate_exclusion(Post::Body, ["A store"])
            .validate_number(Post::Upvotes, 100..)
            .validate_number(Post::Size, 100..)
            .validate_change(Post::Body, |_: String| Some("never"))
    };
    assert_valid(every(Changeset::change(stored())));
    assert_valid(every(edited(json!({"text": "A store"}))));
    assert_valid(every(edited(json!({"text": null, "size": null}))));
    assert_valid(every(edited(json!({"upvotes": ""}))));
}

#[test]
fn validate_required_checks_changes_and_data() {
    assert_valid(Changeset::change(stored()).validate_required([Post::Title, Post::Body]));
    assert_valid(posted(json!({"title": "x", "upvotes": 0, "public": false})).validate_required([
        Post::Title,
        Post::Upvotes,
        Post::Public,
    ]));
    let changeset = edited(json!({"title": "\n", "text": null})).validate_required([Post::Title, Post::Body]);
    assert_eq!(errors(&changeset), json!({"title": ["can't be blank"], "text": ["can't be blank"]}));
    assert_eq!(changes(&changeset), json!({}), "the change is dropped");
    // A blank text that the application puts is a value of the field, but counts as missing.
    assert_refused(Changeset::change(stored()).put_change(Post::Title, " \u{a0}").validate_required([Post::Title]));
    // No second error.
    let twice = posted(json!({})).validate_required([Post::Title]).validate_required([Post::Title]);
    assert_refused(twice);
    // The list of the entity's own required columns.
    let changeset = posted(json!({"topics": []}))
        .validate_required(<post::Entity as crate::entity::DustEntity>::required_columns());
    let fields: Vec<&str> = changeset.errors().iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["slug", "title", "upvotes", "public", "views"]);
}

#[test]
fn validate_length_counts_grapheme_clusters() {
    let title = |title: &str, length: Length| posted(json!({"title": title})).validate_length(Post::Title, length);
    // Composed and decomposed é, a family of four, a flag, and a line end of two characters.
    for (text, characters, codepoints, bytes) in [
        ("é", 1, 1, 2),
        ("e\u{301}", 1, 2, 3),
        ("👨‍👩‍👧‍👦", 1, 7, 25),
        ("🇩🇪", 1, 2, 8),
        ("a\r\nb", 3, 4, 4),
        ("é\r\n", 2, 3, 4),
    ] {
        assert_valid(title(text, characters.into()));
        assert_valid(title(text, Length::codepoints(codepoints..=codepoints)));
        assert_valid(title(text, Length::bytes(bytes..=bytes)));
        assert_refused(title(text, (characters + 1).into()));
    }
}

#[test]
fn validate_length_accepts_every_range() {
    let five = |length: Length| posted(json!({"title": "12345"})).validate_length(Post::Title, length);
    for length in [
        5.into(),
        (5..6).into(),
        (1..=5).into(),
        (5..).into(),
        (..6).into(),
        (..=5).into(),
        (..).into(),
        (Bound::Excluded(4), Bound::Excluded(6)).into(),
    ] {
        assert_valid(five(length));
    }
    for length in [
        4.into(),
        (6..).into(),
        (..5).into(),
        (1..=4).into(),
        (6..=9).into(),
        Length::characters((Bound::Excluded(5), Bound::Unbounded)),
    ] {
        assert_refused(five(length));
    }
    #[allow(clippy::reversed_empty_ranges)]
    let impossible = Length::characters(6..=4);
    assert_refused(five(impossible));
}

#[test]
fn rule_for_another_type_is_an_error() {
    let full = || posted(json!({"upvotes": 5, "title": "x", "public": true, "mood": "sad", "topics": ["a"]}));
    assert_refused(full().validate_length(Post::Upvotes, ..));
    assert_refused(full().validate_number(Post::Title, ..=1));
    assert_refused(full().validate_number(Post::Public, ..=1));
    assert_refused(full().validate_number(Post::Topics, ..=1));
    assert_refused(full().validate_format(Post::Upvotes, &Regex::new("").unwrap()));
    assert_refused(full().validate_subset(Post::Title, ["x"]));
    assert_refused(full().validate_change(Post::Title, |_: i32| None::<&str>));
    assert_refused(full().validate_inclusion(Post::Upvotes, ["5"]));
    assert_valid(full().validate_exclusion(Post::Upvotes, ["5"]));
}

#[test]
fn validate_number_checks_bounds() {
    let rated = |rating: f64, number: Number| posted(json!({"rating": rating})).validate_number(Post::Rating, number);
    assert_valid(rated(3.5, (1..=5).into()));
    assert_valid(rated(5.0, (1..=5).into()));
    assert_refused(rated(5.0, (1..5).into()));
    assert_refused(rated(0.99, (1.0..).into()));
    assert_refused(rated(2.0, (..2).into()));
    assert_valid(rated(2.0, (..=2).into()));
    assert_valid(rated(3.5, Number::greater_than(3).and(Number::less_than(4))));
    assert_refused(rated(4.0, Number::greater_than(3).and(Number::less_than(4))));
    assert_refused(rated(3.0, Number::greater_than(3).and(Number::less_than(4))));
    assert_refused(rated(3.0, Number::less_than(f64::NAN)));
    assert_valid(rated(3.0, Number::less_than(f64::INFINITY).and(Number::greater_than(f64::NEG_INFINITY))));
    let large =
        |number: Number| posted(json!({"views": 9_007_199_254_740_993_i64})).validate_number(Post::Views, number);
    assert_valid(large(Number::greater_than(9_007_199_254_740_992.0)));
    assert_refused(large(Number::equal_to(9_007_199_254_740_992.0)));
    assert_valid(large(Number::equal_to(9_007_199_254_740_993_u64)));
}

#[test]
fn validate_number_compares_decimals_exactly() {
    let priced = |number: Number| posted(json!({"price": "12.50"})).validate_number(Post::Price, number);
    assert_valid(priced(Number::equal_to(12.5)));
    assert_valid(priced((0..=13).into()));
    assert_refused(priced(Number::less_than(12.5)));
    assert_refused(priced(Number::greater_than(100)));
    assert_valid(priced(Number::greater_than(-13)));
}

proptest! {
    #[test]
    fn decimals_compare_as_numbers(one in -100_000_i64..100_000, other in -100_000_i64..100_000, scale in 0_usize..4) {
        let text = |number: i64| {
            let digits = format!("{:0width$}", number.abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{fraction}00", if number < 0 { "-" } else { "" })
        };
        let divisor = 10_f64.powi(i32::try_from(scale).unwrap());
        let changeset = |number: Number| {
            let mut base = Changeset::change(stored()).put_change(Post::Title, text(one));
            base = base.validate_number(Post::Title, number);
            base.is_valid()
        };
        let other = other as f64 / divisor;
        prop_assert_eq!(changeset(Number::less_than(other)), (one as f64 / divisor) < other);
        prop_assert_eq!(changeset(Number::greater_than_or_equal_to(other)), (one as f64 / divisor) >= other);
        prop_assert_eq!(changeset(Number::equal_to(other)), (one as f64 / divisor) == other);
    }

    #[test]
    fn whole_and_floating_point_numbers_compare_exactly(int in any::<i64>(), near in -3_i64..3) {
        let float = int.saturating_add(near) as f64;
        let model = post::ActiveModel::default();
        let holds = |number: Number| {
            let changeset = Changeset::change(model.clone()).put_change(Post::Views, int);
            changeset.validate_number(Post::Views, number).is_valid()
        };
        // Every float of this size is an integer within the range of i128.
        let exact = float as i128;
        prop_assert_eq!(holds(Number::less_than(float)), i128::from(int) < exact);
        prop_assert_eq!(holds(Number::greater_than(float)), i128::from(int) > exact);
        prop_assert_eq!(holds(Number::equal_to(float)), i128::from(int) == exact);
    }
}

#[test]
fn choices_are_compared_as_the_field_type() {
    assert_valid(posted(json!({"mood": "sad"})).validate_inclusion(Post::Mood, [post::Mood::Sad]));
    assert_refused(posted(json!({"mood": "sad"})).validate_inclusion(Post::Mood, [post::Mood::Happy]));
    assert_refused(posted(json!({"mood": "sad"})).validate_exclusion(Post::Mood, ["sad"]));
    assert_valid(posted(json!({"upvotes": 5})).validate_inclusion(Post::Upvotes, 0..=9));
    assert_valid(posted(json!({"price": "12.5"})).validate_inclusion(Post::Price, ["12.500"]));
    assert_valid(posted(json!({"rating": 2.0})).validate_inclusion(Post::Rating, [1, 2]));
    assert_valid(posted(json!({"topics": ["a"]})).validate_inclusion(Post::Topics, [["a"], ["b"]]));
    assert_valid(posted(json!({"topics": ["a", "b"]})).validate_subset(Post::Topics, ["a", "b", "c"]));
    assert_valid(posted(json!({"topics": []})).validate_subset(Post::Topics, ["a"]));
    assert_valid(posted(json!({"meta": [1, 2.0]})).validate_subset(Post::Meta, [1, 2]));
    assert_refused(posted(json!({"meta": [1, 2.5]})).validate_subset(Post::Meta, [1, 2]));
}

#[test]
fn formats_are_checked() {
    let at = Regex::new("@").unwrap();
    assert_valid(posted(json!({"title": "foo@bar"})).validate_format(Post::Title, &at));
    assert_refused(posted(json!({"title": "foobar"})).validate_format(Post::Title, &at));
    for (text, email, url) in [
        ("someone@example.com", true, false),
        ("someone@", false, false),
        ("https://dustlayer.io/a?b#c", false, true),
        ("dustlayer.io", false, false),
        ("mailto:someone@example.com", false, false),
    ] {
        assert_eq!(posted(json!({"title": text})).validate_email(Post::Title).is_valid(), email, "{text}");
        assert_eq!(posted(json!({"title": text})).validate_url(Post::Title).is_valid(), url, "{text}");
    }
}

#[test]
fn validate_url_checks_the_text() {
    let url = |text: &str| Changeset::change(stored()).put_change(Post::Title, text).validate_url(Post::Title);
    for good in [
        "https://dustlayer.io",
        "HTTP://Dustlayer.IO/",
        "http://localhost:8080/a%20b?q=a\\b#c",
        "https://user:secret@example.com./",
        "http://127.0.0.1",
        "http://[::1]:80/",
        "http://[0:0:0:0:0:0:0:1]",
        "https://müller.example/ä",
        "https://例え.テスト",
        "https://example.com/\u{2764}\u{fe0f}",
        "https://example.com/a@b://c",
    ] {
        assert_valid(url(good));
    }
    for bad in [
        "",
        "//example.com",
        "example.com",
        "https:",
        "https://",
        "https:///",
        "https:///example.com",
        "https:/example.com",
        "https:example.com",
        "https:\\\\example.com",
        "https://example.com\\@evil.example",
        "https://?q",
        "https://#f",
        "https://:80",
        "https://user@",
        "https://@example.com",
        "https://a@b@example.com",
        "https://.",
        "https://a..b",
        "https://example.com:99999",
        "https://0x7f.1",
        "https://2130706433",
        "https://%65xample.com",
        "https://exa\u{ad}mple.com",
        "https://\u{200b}",
        "https://exa\u{200d}mple.com",
        " https://example.com",
        "https://example.com ",
        "https://example.com\n",
        "\u{0}https://example.com",
        "ht\ntps://example.com",
        "https://exam\tple.com",
        "https://example.com/a b",
        "https://example.com/\u{7f}",
        "https://example.com/\u{2028}",
        "https://example.com/\u{202e}gpj.exe",
        "\u{a0}https://example.com",
        "javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "data:text/html,x",
        "mailto:a@example.com",
        "ftp://example.com",
        "xhttps://example.com",
    ] {
        assert_refused(url(bad));
    }
}

#[test]
fn validate_url_refuses_host_that_parses_as_another() {
    let url = |text: &str| Changeset::change(stored()).put_change(Post::Title, text).validate_url(Post::Title);
    for good in ["http://exämple.de/", "http://É.de", "http://e\u{301}.de:80", "https://ß.de.", "http://😀.example"]
    {
        assert_valid(url(good));
    }
    // The first two are parsed as 127.0.0.1, the next two as `example.com`; the others also parse as other hosts.
    for bad in [
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.0.0.1/",
        "http://ｅxample.com",
        "http://example。com",
        "http://ﬀ.example",
        "http://ℌx.de",
        "http://a．b",
    ] {
        assert_refused(url(bad));
    }
}

#[test]
fn validate_url_with_accepts_only_given_schemes() {
    let url = |text: &str, schemes: &[&str]| {
        Changeset::change(stored()).put_change(Post::Title, text).validate_url_with(Post::Title, schemes)
    };
    assert_valid(url("FTP://example.com", &["ftp"]));
    assert_valid(url("app://open/door", &["https", "APP"]));
    assert_refused(url("https://example.com", &["ftp"]));
    assert_refused(url("https://example.com", &[]));
    for scheme in ["javascript", "mailto"] {
        assert_refused(url(&format!("{scheme}:x"), &[scheme]));
    }
    for scheme in ["javascript", "VBScript", "data"] {
        assert_refused(url(&format!("{scheme}://host/%0aalert(1)"), &[scheme]));
    }
    assert_valid(url("app://ö.example", &["app"]));
    assert_refused(url("app:///door", &["app"]));
    assert_refused(url("://example.com", &[""]));
}

#[test]
fn validate_email_checks_the_text() {
    let email = |text: &str| Changeset::change(stored()).put_change(Post::Title, text).validate_email(Post::Title);
    for good in ["a@example.com", "a.b+c@localhost", "a@müller.example", "a@[127.0.0.1]", "_@a-b.example"] {
        assert_valid(email(good));
    }
    for bad in [
        "a@",
        "@example.com",
        "a@ ",
        "a@.",
        "a@\u{200b}",
        " a@example.com",
        "a@example.com ",
        "a@example.com\n",
        "a@example.com\u{0}",
        "a@exa\tmple.com",
        "a@exa\u{ad}mple.com",
        "a@example.com\u{feff}",
        "a@exa\u{200d}mple.com",
        "a@example.com\u{202e}",
        "a b@example.com",
        "a\u{1}@example.com",
        "a@\u{a0}example.com",
        "a@exa mple.com",
        "a@b@example.com",
        "a@example..com",
        "a@-example.com",
        "a@<script>alert(1)</script>[127.0.0.1]",
        "a@[[127.0.0.1]",
        "a@ｅxample.com",
        "a@example。com",
        "a@１２７.0.0.1",
        "a@ﬀ.example",
    ] {
        assert_refused(email(bad));
    }
}

#[test]
fn custom_rule_returns_errors() {
    let check = |title: String| {
        if title == "foo" { vec![FieldError::new("cannot be %{title}", "taste").with("title", title)] } else { vec![] }
    };
    assert_valid(posted(json!({"title": "hello"})).validate_change(Post::Title, check));
    let changeset = posted(json!({"title": "foo"})).validate_change(Post::Title, check);
    assert_eq!(errors(&changeset), json!({"title": ["cannot be foo"]}));
    let changeset = posted(json!({"upvotes": 3}))
        .validate_change(Post::Upvotes, |upvotes: i32| (upvotes % 2 == 1).then_some("is odd"));
    assert_eq!(error(&changeset, Post::Upvotes).code(), "custom");
}

#[test]
fn validate_acceptance_checks_the_param() {
    let accept = |params| posted(params).validate_acceptance("terms");
    for yes in [json!(true), json!("true"), json!("1")] {
        assert_valid(accept(json!({"terms": yes})));
    }
    for no in [json!(false), json!("false"), json!("other"), json!(1), json!(null)] {
        assert_refused(accept(json!({"terms": no})));
    }
    assert_refused(accept(json!({})));
    assert_valid(Changeset::change(stored()).validate_acceptance("terms"));
    assert_refused(accept(json!([])));
    assert_eq!(errors(&accept(json!("terms"))), json!({"base": ["is invalid"]}));
}

#[test]
fn validate_confirmation_compares_params() {
    let confirm = |params| posted(params).validate_confirmation(Post::Title);
    assert_valid(confirm(json!({"title": "x", "title_confirmation": "x"})));
    assert_valid(confirm(json!({"title": "x"})));
    assert_valid(confirm(json!({"title_confirmation": null})));
    assert_refused(confirm(json!({"title": "x", "title_confirmation": null})));
    assert_refused(confirm(json!({"title": "x", "title_confirmation": "y"})));
    assert_refused(confirm(json!({"title": "", "title_confirmation": "y"})));
    assert_refused(confirm(json!({"title_confirmation": "y"})));
    assert_valid(posted(json!({"upvotes": "1", "upvotes_confirmation": "1"})).validate_confirmation(Post::Upvotes));
    assert_valid(Changeset::change(stored()).require_confirmation(Post::Title));
    assert_refused(posted(json!({"title": "x"})).require_confirmation(Post::Title));
}

#[test]
fn validate_slug_refuses_keys_that_cannot_name_a_record() {
    let slug =
        |slug: &str| Changeset::change(post::ActiveModel::default()).put_change(Post::Slug, slug).validate_slug();
    for good in ["dust", "a/b~c", "ä Ö 1.2", "1*"] {
        assert_valid(slug(good));
    }
    for bad in ["", "Dust", "dUst", "a\0b", "\\*", "\\**"] {
        assert_refused(slug(bad));
    }
    assert_valid(posted(json!({})).validate_slug());
    let page = |title: &str| {
        Changeset::cast(page::ActiveModel::default(), json!({"title": title}), [page::Column::Title]).validate_slug()
    };
    assert!(page("Dust").is_valid() && page("dust").is_valid());
    assert!(!page("").put_change(page::Column::Title, "").validate_slug().is_valid());
    assert_refused(edited(json!({"slug": ""})).validate_required([Post::Slug]).validate_slug());
}
