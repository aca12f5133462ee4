//! Hostile keys: a record with any key stays below its entity's prefix.

use dust_orm::DustErr;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::context::Context;
use crate::entities::cased;
use crate::entities::page::flat as page;
use crate::entities::*;

super::tests![no_key_reaches_outside_of_its_prefix, no_arbitrary_key_reaches_outside_of_its_prefix];

/// Texts that a parser could misread.
const KEYS: [&str; 52] = [
    "",
    ".",
    "..",
    "../other",
    "..%2fother",
    "../../links2/a",
    "/",
    "//",
    "/other",
    "a/../../other",
    "a/b",
    "a//b",
    "a/",
    "~",
    "~0",
    "~1",
    "~2",
    "~1..~1other",
    "%2f",
    "%2F..%2Fother",
    "%252F",
    "%00",
    "\u{1}",
    "a\u{1}b",
    "\\",
    "..\\other",
    "\\*",
    "\\**",
    "*",
    "**",
    "a*",
    "*/title",
    "**/x",
    "?x=1",
    "a?pattern=**",
    "#",
    "a#b",
    "a&b=c",
    "a;b",
    " ",
    "a b",
    "\t",
    "\r\nHost: other",
    "\u{2028}",
    "é",
    "e\u{301}",
    "ﬁ",
    "İ",
    "\u{202e}other",
    "\u{feff}",
    "UPPER",
    "💥",
];

/// Leaves of other programs at similar paths.
const OTHERS: [&str; 9] = [
    "other",
    "links2/a/title",
    "link/a/title",
    "links-1/a/title",
    "linksx/title",
    "cased2/a/title",
    "flat-pages2/a/title",
    "app/other/a",
    "a/title",
];

async fn outside(cx: &Context) -> Vec<(String, serde_json::Value)> {
    let inside = ["links/", "cased/", "app/settings/", "flat-pages/"];
    let leaves = cx.leaves_of_all().await;
    leaves.into_iter().filter(|(path, _)| !inside.iter().any(|prefix| path.starts_with(prefix))).collect()
}

/// Number of arbitrary keys for each store, unless `PROPTEST_CASES` is set.
const CASES: u32 = 64;

/// Arbitrary text, with a preference for texts that a parser could misread.
fn any_key() -> impl Strategy<Value = String> {
    let odd = prop::sample::select([&KEYS[..], &["~1", "%2e", "..", "links", "~"]].concat());
    let odd = prop_oneof![
        3 => odd.prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        2 => prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        1 => any::<String>(),
        3 => prop::collection::vec(odd, 1..6).prop_map(|pieces| pieces.concat()),
    ]
}

async fn no_arbitrary_key_reaches_outside_of_its_prefix(cx: &Context) {
    let before = surrounded(cx).await;
    // The same keys in each run, so that a failure is reproducible.
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { CASES };
    let mut runner = TestRunner::new_with_rng(default, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut written = 0;
    for _ in 0..cases {
        let mut key = any_key().new_tree(&mut runner).unwrap();
        let mut worst = None;
        // A failing key is reduced to a simple one.
        loop {
            let text = key.current();
            written += u32::from(all_verbs(cx, &text).await.is_ok());
            let is_wrong = outside(cx).await != before;
            if is_wrong {
                worst = Some(text);
                put_back(cx, &before).await;
            }
            let goes_on = match (is_wrong, &worst) {
                (_, None) => false,
                (true, _) => key.simplify(),
                (false, _) => key.complicate(),
            };
            if !goes_on {
                break;
            }
        }
        assert_eq!(worst, None, "a key that reaches outside of its prefix");
    }
    assert!(written >= cases / 2, "most of them are keys like any other: {written}");
}

/// Writes the leaves of other programs.
async fn surrounded(cx: &Context) -> Vec<(String, serde_json::Value)> {
    for at in OTHERS {
        cx.set(at, serde_json::json!("theirs")).await;
    }
    let others = outside(cx).await;
    assert_eq!(others.len(), OTHERS.len());
    others
}

/// Restores the leaves of other programs.
async fn put_back(cx: &Context, before: &[(String, serde_json::Value)]) {
    for (at, _) in outside(cx).await {
        cx.delete(&at).await;
    }
    for (at, value) in before {
        cx.set(at, value.clone()).await;
    }
}

async fn no_key_reaches_outside_of_its_prefix(cx: &Context) {
    let before = surrounded(cx).await;
    let mut written = 0;
    for key in KEYS {
        let done = all_verbs(cx, key).await;
        written += usize::from(done.is_ok());
        assert_eq!(outside(cx).await, before, "{key:?}");
    }
    // Most of them are ordinary keys.
    assert!(written > 30, "{written}");
}

/// Runs every verb on a record of this key. An error is allowed, as the leaves of others stay unchanged.
async fn all_verbs(cx: &Context, key: &str) -> Result<(), DustErr> {
    let repo = &cx.repo;
    let inserted = repo.insert(new_link(key)).await;
    if inserted.is_ok() {
        assert_eq!(repo.get::<link::Entity>(key).await.unwrap(), link(key), "{key:?}");
        assert!(repo.exists::<link::Entity>(key).await.unwrap());
    }
    let _ = (repo.find_by_id::<link::Entity>(key).await, repo.exists::<link::Entity>(key).await);
    let _ = repo.update(retitled(key, "new")).await;
    let _ = repo.put(link(key)).await;
    let _ = repo.delete_by_id::<link::Entity>(key).await;
    let named = setting::Model { name: key.to_owned(), ..setting("a") };
    let _ = repo.insert(named.into_active_model().reset_all()).await;
    let _ = repo.delete_by_id::<setting::Entity>(key).await;
    let any = cased::Model { code: key.to_owned(), title: "T".to_owned() };
    let _ = repo.insert(any.into_active_model().reset_all()).await;
    let _ = repo.delete_by_id::<cased::Entity>(key).await;
    let _ = repo.put_file(key, page::Column::Cover, "<svg/>").await;
    let _ = repo.increment(key, page::Column::Hits, 1).await;
    let _ = repo.delete_by_id::<page::Entity>(key).await;
    inserted.map(|_| ())
}
