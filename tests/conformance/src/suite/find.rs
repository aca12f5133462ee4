//! Lists of records in the order of their keys: `repo.find`.

use std::pin::pin;

use dust_orm::repo::Find;
use dust_protocol::{Op, RawJson};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use crate::context::{Context, path};
use crate::entities::composite::entry::{self, entry};
use crate::entities::composite::vote::{self, vote};
use crate::entities::*;
use crate::probe::Call;

super::tests![
    page_after_page_is_the_whole_list,
    bounds_select_what_a_filter_selects,
    page_takes_as_many_requests_as_it_has_leaves,
    record_on_the_edge_of_a_page_is_whole,
    misfits_and_claims_do_not_count_for_a_page,
    keys_and_count_read_no_values,
    count_of_single_leaves_leaves_out_claims,
    revisions_of_a_page_guard_an_update,
    stream_reads_pages_as_it_goes,
    large_record_is_in_a_descending_list,
    empty_lists_are_empty,
    parts_of_a_key_limit_a_list,
    keys_of_three_parts_are_typed,
];

type Links<'r> = Find<'r, link::Entity>;

/// Keys whose order differs from that of their texts, or that are escaped.
const KEYS: [&str; 16] = [
    "a",
    "a-1",
    "a.b",
    "a/b",
    "a~b",
    "a0",
    "ab",
    "abc",
    "b",
    "b*",
    "c\u{7f}",
    "c~",
    "c~1",
    "é",
    "\u{fffd}",
    "\u{10ffff}",
];

/// The order of lists: by the rendered path of a record, followed by `/`.
fn sorted(mut keys: Vec<&str>) -> Vec<&str> {
    keys.sort_by_key(|key| format!("{}/", path_of(key)));
    keys
}

fn path_of(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn slugs(links: Vec<link::Model>) -> Vec<String> {
    links.into_iter().map(|link| link.slug).collect()
}

async fn fill(cx: &Context, keys: &[&str]) {
    // Leaves of no record of the entity, near in the order. A set removes what is below its path, so these come first.
    let others =
        ["links-1/a/title", "links.x/a/title", "links0/a/title", "link/a/title", "links", "links/a", "links/b0"];
    let ops = others.iter().map(|at| Op::set(path(at), RawJson::null())).collect();
    cx.transport.write(ops, None).await.unwrap();
    cx.repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("l{n:04}")).collect()
}

async fn page_after_page_is_the_whole_list(cx: &Context) {
    fill(cx, &KEYS).await;
    let expected = sorted(KEYS.to_vec());
    for size in [1, 3, 7] {
        for desc in [false, true] {
            let (mut found, mut last) = (Vec::new(), String::new());
            loop {
                let list = cx.repo.find::<link::Entity>().first(size);
                let list = if desc { list.desc() } else { list };
                let list = if found.is_empty() { list } else { list.after(last.as_str()) };
                let page = slugs(list.all().await.unwrap());
                assert!(page.len() <= size as usize);
                let Some(end) = page.last() else { break };
                last = end.clone();
                found.extend(page);
            }
            if desc {
                found.reverse();
            }
            assert_eq!(found, expected, "in pages of {size}");
        }
    }
    assert_eq!(slugs(cx.repo.all::<link::Entity>().await.unwrap()), expected);
}

async fn bounds_select_what_a_filter_selects(cx: &Context) {
    fill(cx, &KEYS).await;
    let order = sorted(KEYS.to_vec());
    let place = |key: &str| order.iter().position(|other| *other == key).unwrap();
    let bounds = || ["a", "a-1", "b", "c~", "\u{10ffff}"].into_iter().map(Some).chain([None]);
    for after in bounds() {
        for before in bounds() {
            for start in ["", "a", "a/", "c~", "b*", "\u{10ffff}"] {
                let list = || {
                    let list: Links<'_> = cx.repo.find().starts_with(start);
                    let list = after.iter().fold(list, |list, key| list.after(*key));
                    before.iter().fold(list, |list, key| list.before(*key))
                };
                let selected = |after: Option<&str>, before: Option<&str>| {
                    let is_in = |key: &&str| {
                        key.starts_with(start)
                            && after.is_none_or(|after| place(key) > place(after))
                            && before.is_none_or(|before| place(key) < place(before))
                    };
                    order.iter().copied().filter(is_in).collect::<Vec<&str>>()
                };
                let (up, mut down) = (selected(after, before), selected(before, after));
                down.reverse();
                let about = format!("after {after:?} before {before:?} with {start:?}");
                assert_eq!(slugs(list().all().await.unwrap()), up, "{about}");
                assert_eq!(slugs(list().desc().all().await.unwrap()), down, "{about}, descending");
                let end = &up[up.len().saturating_sub(2)..];
                assert_eq!(slugs(list().last(2).all().await.unwrap()), end, "the last 2 {about}");
                assert_eq!(list().last(2).keys().await.unwrap(), end, "the last 2 keys {about}");
                let start = &down[..down.len().min(2)];
                assert_eq!(list().desc().first(2).keys().await.unwrap(), start, "the first 2 keys {about}, descending");
                let one = list().one().await.unwrap().map(|link| link.slug);
                assert_eq!(one.as_deref(), up.first().copied(), "the first {about}");
                assert_eq!(list().count().await.unwrap(), up.len() as u64, "{about}");
                assert_eq!(list().exists().await.unwrap(), !up.is_empty(), "{about}");
            }
        }
    }
}

async fn page_takes_as_many_requests_as_it_has_leaves(cx: &Context) {
    let keys = numbered(700);
    cx.repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
    let (repo, probe) = cx.probe();
    // A link has three leaves.
    for (count, requests) in [(0, 0), (1, 1), (20, 1), (333, 1), (334, 2), (500, 2), (700, 3)] {
        for desc in [false, true] {
            let list: Links<'_> = repo.find().first(count);
            let list = if desc { list.desc() } else { list };
            assert_eq!(list.clone().all().await.unwrap().len() as u64, count);
            assert_eq!(probe.take_calls(), vec![Call::List; requests], "{count} records");
            assert_eq!(list.keys().await.unwrap().len() as u64, count);
            assert!(probe.take_calls().len() <= requests + 1, "{count} keys");
        }
    }
    let last: Vec<String> = slugs(repo.find::<link::Entity>().last(3).all().await.unwrap());
    assert_eq!((last.as_slice(), probe.take_calls()), (&keys[697..], vec![Call::List]));
}

async fn record_on_the_edge_of_a_page_is_whole(cx: &Context) {
    let keys = numbered(400);
    cx.repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
    // Leaves that belong to no field shift the records against the pages.
    let ops = [0, 1, 2, 100, 332, 333, 398].map(|n| Op::set(path(&format!("links/l{n:04}/zzz")), RawJson::null()));
    cx.transport.write(ops.to_vec(), None).await.unwrap();
    for desc in [false, true] {
        for count in [331, 332, 333, 334, 335, 400] {
            let list: Links<'_> = cx.repo.find().first(count);
            let mut found = if desc { list.desc().all().await } else { list.all().await }.unwrap();
            assert_eq!(found.len() as u64, count);
            let start = if desc { 400 - count as usize } else { 0 };
            if desc {
                found.reverse();
            }
            for (n, model) in found.iter().enumerate() {
                assert_eq!(*model, link(&keys[start + n]));
            }
        }
    }
}

async fn misfits_and_claims_do_not_count_for_a_page(cx: &Context) {
    fill(cx, &["a", "d", "g"]).await;
    let ops = ["b/title", "c/other", "e/note/x", "f/url"].map(|at| {
        let text = RawJson::from(json!("x"));
        Op::set(path(&format!("links/{at}")), text)
    });
    cx.transport.write(ops.to_vec(), None).await.unwrap();
    let claim = Op::set(path("links/h/title"), RawJson::parse(r#"["$claim"]"#).unwrap());
    cx.transport.write(vec![claim], None).await.unwrap();
    let list = || cx.repo.find::<link::Entity>();
    assert_eq!(slugs(list().first(2).all().await.unwrap()), ["a", "d"]);
    assert_eq!(slugs(list().last(2).all().await.unwrap()), ["d", "g"]);
    assert_eq!(slugs(list().after("a").first(2).all().await.unwrap()), ["d", "g"]);
    assert_eq!(list().keys().await.unwrap(), ["a", "d", "g"]);
    assert_eq!(list().first(2).keys().await.unwrap(), ["a", "d"]);
    assert_eq!(list().after("a").before("d").count().await.unwrap(), 0);
    assert!(!list().after("g").exists().await.unwrap());
}

async fn keys_and_count_read_no_values(cx: &Context) {
    fill(cx, &KEYS).await;
    let (repo, probe) = cx.probe();
    assert_eq!(repo.find::<link::Entity>().keys().await.unwrap(), sorted(KEYS.to_vec()));
    assert_eq!(repo.find::<link::Entity>().count().await.unwrap(), KEYS.len() as u64);
    assert!(repo.find::<link::Entity>().starts_with("c").exists().await.unwrap());
    assert_eq!(probe.take_calls(), [Call::ListKeys; 3]);
}

async fn count_of_single_leaves_leaves_out_claims(cx: &Context) {
    let docs = ["a", "b"].map(|slug| docs::flat::Model { slug: slug.to_owned(), value: json!(1), maybe: None });
    for doc in docs {
        cx.repo.insert(doc.into_active_model().reset_all()).await.unwrap();
    }
    let at = format!("{}/c/value", <docs::flat::Entity as dust_orm::DustEntity>::PREFIX.join("/"));
    let claim = Op::set(path(&at), RawJson::parse(r#"["$claim"]"#).unwrap());
    cx.transport.write(vec![claim], None).await.unwrap();
    assert_eq!(cx.repo.find::<docs::flat::Entity>().keys().await.unwrap(), ["a", "b"]);
    assert_eq!(cx.repo.find::<docs::flat::Entity>().count().await.unwrap(), 2);
}

async fn revisions_of_a_page_guard_an_update(cx: &Context) {
    fill(cx, &["a", "b", "c"]).await;
    let page = cx.repo.find::<link::Entity>().after("a").first(1).versioned().await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].model, link("b"));
    let seen = cx.repo.find_versioned::<link::Entity>("b").await.unwrap().unwrap();
    assert_eq!(page[0].revision, seen.revision);
    cx.repo.update(retitled("b", "new")).if_match(&page[0].revision).await.unwrap();
    let error = cx.repo.update(retitled("b", "newer")).if_match(&page[0].revision).await.unwrap_err();
    assert_eq!(error.kind(), dust_orm::ErrKind::Conflict);
}

async fn stream_reads_pages_as_it_goes(cx: &Context) {
    let keys = numbered(700);
    cx.repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
    let (repo, probe) = cx.probe();
    let stream = repo.find::<link::Entity>().desc().stream();
    assert_eq!(probe.take_calls(), [], "no request before the first poll");
    let mut stream = pin!(stream);
    for key in keys.iter().rev().take(100) {
        assert_eq!(stream.next().await.unwrap().unwrap(), link(key));
    }
    assert!(probe.take_calls().len() <= 2);
    let list = || repo.find::<link::Entity>().after("l0009").before("l0020");
    let streamed: Vec<link::Model> = list().stream().try_collect().await.unwrap();
    assert_eq!(slugs(streamed), keys[10..20]);
    let streamed: Vec<link::Model> = list().last(4).stream().try_collect().await.unwrap();
    assert_eq!(slugs(streamed), keys[16..20]);
    let streamed: Vec<link::Model> = list().first(4).stream().try_collect().await.unwrap();
    assert_eq!(slugs(streamed), keys[10..14]);
}

async fn large_record_is_in_a_descending_list(cx: &Context) {
    let members = (0..1500).map(|n| (format!("k{n:04}"), json!(n)));
    let big = serde_json::Value::Object(members.collect());
    let docs = ["a", "b", "c"].map(|slug| {
        let value = if slug == "b" { big.clone() } else { json!(1) };
        docs::flat::Model { slug: slug.to_owned(), value, maybe: None }
    });
    cx.repo.insert_many(docs.clone().map(|doc| doc.into_active_model().reset_all())).await.unwrap();
    let [a, b, c] = docs;
    let list = || cx.repo.find::<docs::flat::Entity>().desc();
    assert_eq!(list().all().await.unwrap(), [c.clone(), b.clone(), a]);
    assert_eq!(list().first(2).all().await.unwrap(), [c, b]);
    assert_eq!(list().keys().await.unwrap(), ["c", "b", "a"]);
    assert_eq!(list().first(2).count().await.unwrap(), 2);
}

async fn empty_lists_are_empty(cx: &Context) {
    let (repo, probe) = cx.probe();
    let list = || repo.find::<link::Entity>();
    assert_eq!(list().all().await.unwrap(), []);
    assert_eq!(list().one().await.unwrap(), None);
    assert!(!list().exists().await.unwrap());
    fill(cx, &["a"]).await;
    probe.take_calls();
    assert_eq!(list().after("a").before("a").all().await.unwrap(), []);
    assert_eq!(list().before("").count().await.unwrap(), 0);
    assert_eq!(list().first(0).keys().await.unwrap(), [""; 0]);
    assert!(!list().last(0).exists().await.unwrap());
    assert_eq!(probe.take_calls(), [], "no request for a list that is empty by its bounds");
    assert_eq!(list().after("").all().await.unwrap(), [link("a")]);
}

async fn parts_of_a_key_limit_a_list(cx: &Context) {
    let owners = ["a", "a-1", "a/b", "ab", "b"];
    let names = ["x", "x-1", "x/y", "title", "z"];
    let all = owners.iter().flat_map(|owner| names.iter().map(|name| entry(owner, name)));
    cx.repo.insert_many(all.map(|entry| entry.into_active_model().reset_all())).await.unwrap();
    let of =
        |entries: Vec<entry::Model>| entries.into_iter().map(|entry| (entry.owner, entry.name)).collect::<Vec<_>>();
    let expected = |owner: &str, names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| (owner.to_owned(), (*name).to_owned())).collect()
    };
    let sorted_names = sorted(names.to_vec());
    for owner in owners {
        let list = || cx.repo.find::<entry::Entity>().within(owner);
        assert_eq!(of(list().all().await.unwrap()), expected(owner, &sorted_names));
        assert_eq!(list().keys().await.unwrap(), expected(owner, &sorted_names));
        assert_eq!(list().count().await.unwrap(), 5);
        assert_eq!(of(list().after("x").first(2).all().await.unwrap()), expected(owner, &["x/y", "z"]));
        assert_eq!(of(list().before("x").last(1).all().await.unwrap()), expected(owner, &["x-1"]));
        assert_eq!(of(list().starts_with("x").desc().all().await.unwrap()), expected(owner, &["x/y", "x", "x-1"]));
    }
    let list = || cx.repo.find::<entry::Entity>();
    assert_eq!(list().count().await.unwrap(), 25);
    assert_eq!(list().starts_with("a").count().await.unwrap(), 20);
    assert_eq!(of(list().after(("a", "z")).first(1).all().await.unwrap()), expected("ab", &["title"]));
    let end = of(list().before(("a", "x-1")).last(2).all().await.unwrap());
    assert_eq!(end, [expected("a-1", &["z"]), expected("a", &["title"])].concat());
    assert!(!list().within("nobody").exists().await.unwrap());
    assert!(!list().within("").exists().await.unwrap());
    let error = list().within("a\0").all().await.unwrap_err();
    assert_eq!(error.kind(), dust_orm::ErrKind::InvalidParams, "{error}");
    cx.repo.delete_all::<entry::Entity>().within("a").await.unwrap();
    assert_eq!(list().count().await.unwrap(), 20);
    assert!(!list().within("a").exists().await.unwrap());
}

async fn keys_of_three_parts_are_typed(cx: &Context) {
    let votes = [(1, 2, "ada"), (1, 10, "ada"), (1, 10, "bob"), (2, 1, "ada")]
        .map(|(poll, round, voter)| vote(poll, round, voter));
    cx.repo.insert_many(votes.clone().map(|vote| vote.into_active_model().reset_all())).await.unwrap();
    let list = || cx.repo.find::<vote::Entity>();
    // Numbers are ordered as texts: 10 before 2.
    let [two, ten_ada, ten_bob, other] = votes;
    assert_eq!(list().within(two.poll).all().await.unwrap(), [ten_ada.clone(), ten_bob.clone(), two.clone()]);
    assert_eq!(list().within((two.poll, 10)).all().await.unwrap(), [ten_ada, ten_bob.clone()]);
    assert_eq!(list().within((two.poll, 10)).after("ada").one().await.unwrap(), Some(ten_bob.clone()));
    assert_eq!(list().within(two.poll).after((10, "bob")).one().await.unwrap(), Some(two.clone()));
    assert_eq!(list().last(1).keys().await.unwrap(), [(other.poll, 1, "ada".to_owned())]);
    assert_eq!(list().within(two.poll).desc().first(1).versioned().await.unwrap()[0].model, two);
}
