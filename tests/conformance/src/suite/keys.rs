//! Keys: any string is one path segment and never reaches outside of its prefix.

use dust_orm::ErrKind;
use serde_json::json;

use crate::context::Context;
use crate::entities::keys::{coded, identified, numbered, odd};
use crate::entities::*;

super::tests![
    keys_with_slashes,
    keys_with_tildes,
    keys_with_percent_signs,
    keys_with_underscores,
    keys_with_spaces,
    keys_with_dots,
    keys_that_are_dots,
    keys_with_stars,
    keys_that_are_stars,
    keys_with_control_characters,
    keys_with_quotes_and_backslashes,
    keys_with_the_marks_of_urls,
    keys_with_accents_composed_and_decomposed,
    keys_with_emoji,
    keys_with_upper_case_beyond_ascii,
    keys_that_are_names_of_routes,
    keys_of_2000_bytes,
    keys_that_no_pattern_can_name_are_refused,
    upper_case_keys_are_refused_before_anything_is_written,
    upper_case_keys_are_accepted_with_key_case_any,
    empty_keys_are_refused,
    keys_that_cannot_be_written_are_not_found,
    a_key_that_is_not_set_is_refused,
    integer_keys,
    uuid_keys,
    newtype_keys,
    segments_that_a_key_would_write_otherwise_are_no_keys,
    prefixes_of_odd_segments,
];

/// Runs every verb on records with these keys, in both storage modes.
async fn live(cx: &Context, keys: &[&str]) {
    live_flat(cx, keys).await;
    live_map(cx, keys).await;
    assert_eq!(cx.leaves_of_all().await, [], "nothing is left, and nothing was written elsewhere");
}

async fn live_flat(cx: &Context, keys: &[&str]) {
    cx.repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
    let mut all = cx.repo.all::<link::Entity>().await.unwrap();
    assert_eq!(all.len(), keys.len());
    all.retain(|link| !keys.contains(&link.slug.as_str()));
    assert_eq!(all, [], "keys without a write");
    let found = cx.repo.find_many::<link::Entity>(keys.iter().copied()).await.unwrap();
    for (key, found) in keys.iter().zip(found) {
        assert_eq!(found.as_ref(), Some(&link(key)));
        assert!(cx.repo.exists::<link::Entity>(*key).await.unwrap(), "{key:?}");
        let seen = cx.repo.find_versioned::<link::Entity>(*key).await.unwrap().unwrap();
        let edited = cx.repo.update(retitled(key, "edited")).if_match(&seen.revision).await.unwrap();
        assert_eq!(cx.repo.get::<link::Entity>(*key).await.unwrap(), edited);
    }
    for (index, key) in keys.iter().enumerate() {
        cx.repo.delete_by_id::<link::Entity>(*key).await.unwrap();
        let left = cx.repo.all::<link::Entity>().await.unwrap();
        assert_eq!(left.len(), keys.len() - index - 1, "after {key:?} was deleted");
        assert!(left.iter().all(|link| link.slug != *key));
    }
}

async fn live_map(cx: &Context, keys: &[&str]) {
    for key in keys {
        let inserted = cx.repo.insert(new_setting(key)).if_absent().await.unwrap();
        assert_eq!(cx.repo.find_by_id::<setting::Entity>(*key).await.unwrap(), Some(inserted));
    }
    let key = keys[0];
    let seen = cx.repo.find_versioned::<setting::Entity>(key).await.unwrap().unwrap();
    let edited = cx.repo.update(owned_by(key, "me")).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<setting::Entity>(key).await.unwrap(), edited);
    let seen = cx.repo.find_versioned::<setting::Entity>(key).await.unwrap().unwrap();
    cx.repo.delete_by_id::<setting::Entity>(key).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap().len(), keys.len() - 1);
    cx.repo.delete_all::<setting::Entity>().await.unwrap();
}

async fn keys_with_slashes(cx: &Context) {
    live(cx, &["a/b", "a", "a/", "/a", "/", "//", "a/b/c", "../a"]).await;
}

async fn keys_with_tildes(cx: &Context) {
    live(cx, &["~", "~0", "~1", "~01", "a~b", "a~1b", "a/b", "~~"]).await;
}

async fn keys_with_percent_signs(cx: &Context) {
    live(cx, &["%", "%%", "a%", "a%b", "ab", "%2f", "%41", "a", "100%"]).await;
}

async fn keys_with_underscores(cx: &Context) {
    live(cx, &["_", "a_", "ab", "a_b", "axb", "__"]).await;
}

async fn keys_with_spaces(cx: &Context) {
    live(cx, &[" ", "  ", " a", "a ", "a b", "a+b", "a\u{a0}b", "a%20b"]).await;
}

async fn keys_with_dots(cx: &Context) {
    live(cx, &["a.b", "v1.2", ".a", "a.", "example.com", "a..b", "..."]).await;
}

async fn keys_that_are_dots(cx: &Context) {
    live(cx, &[".", ".."]).await;
}

async fn keys_with_stars(cx: &Context) {
    live(cx, &["a*", "*a", "a*b", "1*", "***", "a**"]).await;
}

async fn keys_that_are_stars(cx: &Context) {
    live(cx, &["*", "**", "a", "b"]).await;
}

async fn keys_with_control_characters(cx: &Context) {
    live(cx, &["\u{1}", "a\u{1}b", "\n", "a\r\nb", "\t", "\u{1f}", "\u{7f}", "\u{85}"]).await;
}

async fn keys_with_quotes_and_backslashes(cx: &Context) {
    live(cx, &["\"", "'", "\\", "a\\b", "\\\\", "\\a*", "`", "{\"a\":1}"]).await;
}

async fn keys_with_the_marks_of_urls(cx: &Context) {
    live(cx, &["a?b", "a#b", "a&b=c", "a;b", "a:b@c", "[a]", "<a>", "a|b", "^", "a,b", "http://a.b/?c#d"]).await;
}

async fn keys_with_accents_composed_and_decomposed(cx: &Context) {
    live(cx, &["é", "e\u{301}", "e", "ﬁ", "ß", "ı", "\u{200b}", "\u{202e}a"]).await;
}

async fn keys_with_emoji(cx: &Context) {
    live(cx, &["😀", "👩‍👩‍👧", "🇩🇪", "\u{fffd}", "\u{10ffff}", "\u{e000}"]).await;
}

/// The server folds the case of ASCII only, so these keys are independent.
async fn keys_with_upper_case_beyond_ascii(cx: &Context) {
    live(cx, &["É", "é", "Ω", "ω", "\u{212a}", "k"]).await;
}

async fn keys_that_are_names_of_routes(cx: &Context) {
    live(cx, &["batch", "batch_write", "entries", "log", "null", "true", "0", "-1"]).await;
}

async fn keys_of_2000_bytes(cx: &Context) {
    let (plain, wide) = ("k".repeat(2000), "é/".repeat(666));
    live(cx, &[&plain, &plain[1..], &wide]).await;
}

async fn keys_that_no_pattern_can_name_are_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    for key in ["\\*", "\\**"] {
        for error in [
            repo.insert(new_link(key)).await.unwrap_err(),
            repo.insert(new_setting(key)).await.unwrap_err(),
            repo.update(new_link(key)).await.unwrap_err(),
            repo.put(link(key)).await.unwrap_err(),
            repo.delete_by_id::<link::Entity>(key).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains("pattern"), "{error}");
        }
    }
    assert_eq!(probe.take_calls(), []);
}

async fn upper_case_keys_are_refused_before_anything_is_written(cx: &Context) {
    let (repo, probe) = cx.probe();
    for error in [
        repo.insert(new_link("Dust")).await.unwrap_err(),
        repo.insert(new_setting("dusT")).await.unwrap_err(),
        repo.update(new_link("Dust")).await.unwrap_err(),
        repo.put(link("Dust")).await.unwrap_err(),
        repo.delete(new_link("Dust")).await.unwrap_err(),
        repo.delete_by_id::<link::Entity>("Dust").await.unwrap_err(),
        repo.insert_many(["dust", "Dust"].map(new_link)).await.unwrap_err(),
        repo.batch_write([dust_orm::BatchEntry::insert(new_link("Dust"))]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        let text = error.to_string();
        assert!(text.contains("upper-case") && text.contains("key_case"), "{text}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn upper_case_keys_are_accepted_with_key_case_any(cx: &Context) {
    let model = |code: &str| cased::Model { code: code.to_owned(), title: format!("Title of {code}") };
    for code in ["ABC", "Def", "ghi"] {
        cx.repo.insert(model(code).into_active_model().reset_all()).await.unwrap();
    }
    assert_eq!(cx.repo.find_by_id::<cased::Entity>("abc").await.unwrap(), None);
    assert!(!cx.repo.exists::<cased::Entity>("DEF").await.unwrap());
    assert_eq!(cx.repo.all::<cased::Entity>().await.unwrap(), [model("ABC"), model("Def"), model("ghi")]);
    cx.repo.delete_by_id::<cased::Entity>("Def").await.unwrap();
    assert_eq!(cx.repo.all::<cased::Entity>().await.unwrap(), [model("ABC"), model("ghi")]);
}

async fn empty_keys_are_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    for error in [
        repo.insert(new_link("")).await.unwrap_err(),
        repo.update(new_link("")).await.unwrap_err(),
        repo.put(link("")).await.unwrap_err(),
        repo.delete_by_id::<setting::Entity>("").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("at least one character"), "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn keys_that_cannot_be_written_are_not_found(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    for key in ["", "\\*", "\\**", "Dust"] {
        assert_eq!(cx.repo.find_by_id::<link::Entity>(key).await.unwrap(), None);
        assert_eq!(cx.repo.get::<link::Entity>(key).await.unwrap_err().kind(), ErrKind::NotFound);
        assert!(!cx.repo.exists::<link::Entity>(key).await.unwrap());
    }
    assert_eq!(
        cx.repo.find_many::<link::Entity>(["", "dust", "Dust"]).await.unwrap(),
        [None, Some(link("dust")), None]
    );
}

async fn a_key_that_is_not_set_is_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    let keyless = || link::ActiveModel { slug: NotSet, ..new_link("dust") };
    let error = repo.insert(keyless()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrKind::Invalid | ErrKind::InvalidParams), "{error}");
    for error in [repo.update(keyless()).await.unwrap_err(), repo.delete(keyless()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("primary key is not set"), "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn integer_keys(cx: &Context) {
    for id in [7, -7, 0, i64::MAX, i64::MIN] {
        let inserted = cx.repo.insert(numbered::labelled(id, "L")).await.unwrap();
        assert_eq!(cx.repo.get::<numbered::Entity>(id).await.unwrap(), inserted);
    }
    cx.repo.delete_by_id::<numbered::Entity>(7).await.unwrap();
    let ids: Vec<i64> = cx.repo.all::<numbered::Entity>().await.unwrap().iter().map(|model| model.id).collect();
    assert_eq!(ids, [-7, i64::MIN, 0, i64::MAX], "in the order of the texts");
}

async fn uuid_keys(cx: &Context) {
    let id = Uuid::from_u128(0xABCDEF << 100);
    let inserted = cx.repo.insert(identified::labelled(id, "L")).await.unwrap();
    assert_eq!(cx.repo.find_by_id::<identified::Entity>(id).await.unwrap(), Some(inserted));
    assert_eq!(cx.leaves("by-uuid").await, [(format!("by-uuid/{id}/label"), json!("L"))]);
}

async fn newtype_keys(cx: &Context) {
    let code = coded::Code("a/b".to_owned());
    let inserted = cx.repo.insert(coded::labelled(code.clone(), "L")).await.unwrap();
    assert_eq!(cx.repo.get::<coded::Entity>(code).await.unwrap(), inserted);
    assert_eq!(cx.leaves("by-code").await, [("by-code/code:a~1b/label".to_owned(), json!("L"))]);
}

/// Another client may write them; they are left out rather than taken for a record at another path.
async fn segments_that_a_key_would_write_otherwise_are_no_keys(cx: &Context) {
    cx.set_all(
        ["by-number/007/label", "by-number/7/label", "by-number/seven/label", "by-code/x/label"]
            .map(|at| (at, json!("L"))),
    )
    .await;
    let numbers: Vec<i64> = cx.repo.all::<numbered::Entity>().await.unwrap().iter().map(|model| model.id).collect();
    assert_eq!(numbers, [7]);
    assert_eq!(cx.repo.all::<coded::Entity>().await.unwrap(), []);
}

async fn prefixes_of_odd_segments(cx: &Context) {
    cx.set_all([("odd/x/a~1b~0c/**/d e.f/k/label", json!("a star is no wildcard here"))]).await;
    let inserted = cx.repo.insert(odd::labelled("k".to_owned(), "L")).await.unwrap();
    assert_eq!(cx.repo.all::<odd::Entity>().await.unwrap(), std::slice::from_ref(&inserted));
    assert_eq!(cx.repo.find_by_id::<odd::Entity>("k").await.unwrap(), Some(inserted));
    cx.repo.delete_all::<odd::Entity>().await.unwrap();
    assert_eq!(cx.leaves("odd").await.len(), 1);
}
