//! Many leaves: pages that cut through records.

use std::pin::pin;

use dust_protocol::{ListRequest, Op, RawJson, Select};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::context::{Context, path};
use crate::entities::*;
use crate::probe::Call;

super::tests![
    records_split_across_pages_are_whole,
    a_stream_fetches_pages_as_it_goes,
    a_record_of_more_than_a_page,
    pages_of_any_size_give_the_same_leaves,
];

/// 1,667 links of three leaves: 5,001 leaves, and pages of 1000 cut through records.
const LINKS: usize = 1667;

fn slug(n: usize) -> String {
    format!("l{n:04}")
}

async fn fill(cx: &Context) {
    cx.repo.insert_many((0..LINKS).map(|n| new_link(&slug(n)))).await.unwrap();
}

async fn records_split_across_pages_are_whole(cx: &Context) {
    fill(cx).await;
    let (repo, probe) = cx.probe();
    let all = repo.all::<link::Entity>().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List; 6]);
    assert_eq!(all.len(), LINKS);
    for (n, model) in all.iter().enumerate() {
        assert_eq!(*model, link(&slug(n)));
    }
    let streamed: Vec<link::Model> = repo.stream::<link::Entity>().try_collect().await.unwrap();
    assert_eq!(streamed, all);
    // Deleting them all is one request, for any number of records.
    probe.take_calls();
    repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), []);
}

async fn a_stream_fetches_pages_as_it_goes(cx: &Context) {
    fill(cx).await;
    let (repo, probe) = cx.probe();
    let stream = repo.stream::<link::Entity>();
    assert_eq!(probe.take_calls(), [], "no request before the first poll");
    let mut stream = pin!(stream);
    assert_eq!(stream.next().await.unwrap().unwrap(), link(&slug(0)));
    // At most the current page and the next one.
    assert!(probe.take_calls().len() <= 2);
    for n in 1..100 {
        assert_eq!(stream.next().await.unwrap().unwrap(), link(&slug(n)));
    }
    assert!(probe.take_calls().len() <= 1);
}

async fn a_record_of_more_than_a_page(cx: &Context) {
    let big: Value = (0..1500).map(|n| (format!("k{n:04}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let docs = ["a", "b", "c"].map(|slug| {
        let value = if slug == "b" { big.clone() } else { json!(1) };
        docs::flat::Model { slug: slug.to_owned(), value, maybe: None }
    });
    cx.repo.insert_many(docs.clone().map(|doc| doc.into_active_model().reset_all())).await.unwrap();
    assert_eq!(cx.repo.all::<docs::flat::Entity>().await.unwrap(), docs);
    assert_eq!(cx.repo.get::<docs::flat::Entity>("b").await.unwrap(), docs[1]);
}

async fn pages_of_any_size_give_the_same_leaves(cx: &Context) {
    let names: Vec<String> = (0..60).map(|n| format!("p/r{:02}/f{}", n / 3, n % 3)).collect();
    let ops = names.iter().map(|name| Op::set(path(name), RawJson::null())).collect();
    cx.transport.write(ops, None).await.unwrap();
    for limit in [7, 30, 59, 60] {
        let pattern = "p/**".parse().unwrap();
        let mut request = ListRequest::pattern(pattern).limit(limit).select(Select::Keys);
        let mut found = Vec::new();
        loop {
            let page = cx.transport.list(&request).await.unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items.iter().map(|item| item.path().to_string()));
            request.after = page.next_cursor;
            if request.after.is_none() {
                break;
            }
        }
        assert_eq!(found, names, "in pages of {limit}");
    }
}
