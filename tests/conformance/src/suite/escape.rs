//! Keys that would like to be somewhere else: whatever a user calls a record, it stays below its entity's prefix.

use dust_orm::DustErr;

use crate::context::Context;
use crate::entities::cased;
use crate::entities::page::flat as page;
use crate::entities::*;

super::tests![no_key_reaches_outside_of_its_prefix];

/// Made to be misread by somebody on the way.
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
    "\0",
    "a\0b",
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

/// What somebody else has, in places that are near.
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

/// Some keys more: pieces put together, the same in every run.
fn more_keys() -> impl Iterator<Item = String> {
    let mut state = 99_u64;
    let mut roll = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let pieces = ["..", "/", "~1", "%2e", "other", "a", "*", "\\", "\0", "é", "links", "~", "?", "."];
    (0..12).map(move |_| (0..=roll() % 5).map(|_| pieces[roll() % pieces.len()]).collect())
}

async fn no_key_reaches_outside_of_its_prefix(cx: &Context) {
    for at in OTHERS {
        cx.set(at, serde_json::json!("theirs")).await;
    }
    let before = outside(cx).await;
    assert_eq!(before.len(), OTHERS.len());
    let mut written = 0;
    for key in KEYS.iter().map(|key| (*key).to_owned()).chain(more_keys()) {
        let done = all_verbs(cx, &key).await;
        written += usize::from(done.is_ok());
        assert_eq!(outside(cx).await, before, "{key:?}");
    }
    // Most of them are keys like any other.
    assert!(written > 30, "{written}");
}

/// Does everything to a record of this key. An error is as good as success, as far as others are concerned.
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
