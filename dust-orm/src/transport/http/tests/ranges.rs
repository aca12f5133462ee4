//! Lists by range, and a server that does not support them.

use dust_protocol::{LeafPage, ListRequest, Order, Pattern, Selector};

use super::peer::{Step, json};
use super::*;
use crate::error::{DustErr, ErrKind};
use crate::transport::Transport;

fn page(paths: &[&str], cursor: Option<&str>) -> Step {
    let leaf = |path: &&str| format!(r#"{{"path":"{path}","value":1,"type":"integer","revision":1}}"#);
    let cursor = cursor.map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
    let items: Vec<String> = paths.iter().map(leaf).collect();
    json(200, &format!(r#"{{"items":[{}],"next_cursor":{cursor}}}"#, items.join(",")))
}

fn queries(peer: &Peer) -> Vec<String> {
    let query = |line: &String| line.split(['?', ' ']).nth(2).unwrap().to_owned();
    peer.lines().iter().map(query).collect()
}

#[tokio::test]
async fn a_server_that_takes_a_range_for_everything_is_asked_by_pattern_from_then_on() {
    let old = page(&["a/x", "links/dust/title"], Some("links/dust/title"));
    let found = || page(&["links/dust/title"], None);
    let (peer, transport, _) = scripted([old, found(), found(), found()]).await;
    assert_eq!(transport.list_subtree(&path("links/dust"), None).await.unwrap().leaves.len(), 1);
    assert_eq!(transport.list_subtree(&path("links/dust"), Some("links/dust/a")).await.unwrap().leaves.len(), 1);
    transport.list(&ListRequest::pattern(Pattern::parse("links/**").unwrap())).await.unwrap();
    assert_eq!(
        queries(&peer),
        [
            "from=links/dust/%01&to=links/dust0&limit=1000",
            "pattern=links/dust/%2A%2A&limit=1000",
            "pattern=links/dust/%2A%2A&limit=1000&after=links/dust/a",
            "pattern=links/%2A%2A&limit=1000",
        ]
    );
}

#[tokio::test]
async fn a_server_that_refuses_a_range_is_asked_by_pattern_from_then_on() {
    let refused = json(400, r#"{"error":"invalid_params","detail":"pattern is required"}"#);
    let found = || page(&["links/dust/title"], None);
    let (peer, transport, _) = scripted([refused, found(), found()]).await;
    let list = ListRequest::pattern(Pattern::parse("links/**").unwrap());
    assert_eq!(transport.list(&list).await.unwrap().items.len(), 1);
    transport.list_subtree(&path("links"), None).await.unwrap();
    assert_eq!(
        queries(&peer),
        ["from=links/%01&to=links0&limit=1000", "pattern=links/%2A%2A&limit=1000", "pattern=links/%2A%2A&limit=1000",]
    );
}

#[tokio::test]
async fn a_failure_says_nothing_about_ranges() {
    let unsorted = page(&["links/b/t", "links/a/t"], None);
    let missing = json(404, r#"{"error":"not_found"}"#);
    let (peer, transport, _) = scripted([missing, unsorted, json(200, "{"), page(&["links/a/t"], None)]).await;
    assert_eq!(transport.list_subtree(&path("links"), None).await.unwrap_err().kind(), ErrKind::NotFound);
    assert_eq!(transport.list_subtree(&path("links"), None).await.unwrap_err().kind(), ErrKind::Http);
    assert_eq!(transport.list_subtree(&path("links"), None).await.unwrap_err().kind(), ErrKind::Http);
    transport.list_subtree(&path("links"), None).await.unwrap();
    assert!(queries(&peer).iter().all(|query| query.starts_with("from=")), "{:?}", queries(&peer));
}

#[tokio::test]
async fn what_is_below_a_long_path_is_listed_by_shorter_bounds() {
    let key = "k".repeat(9_000);
    let (own, other) = (format!("links/{key}/title"), format!("links/{key}-1/title"));
    let cursor = format!("links/{key}/f");
    let steps = [page(&[&other, &own], None), page(&[&cursor, &own], None), page(&[&other, &own], None)];
    let (peer, transport, _) = scripted(steps).await;
    let long = path(&format!("links/{key}"));
    let page = transport.list_subtree(&long, None).await.unwrap();
    assert_eq!(page.leaves.iter().map(|leaf| leaf.path).collect::<Vec<_>>(), [own.as_str()]);
    let page = transport.list_subtree(&long, Some(&cursor)).await.unwrap();
    assert_eq!(page.leaves.iter().map(|leaf| leaf.path).collect::<Vec<_>>(), [own.as_str()]);
    let list = ListRequest::pattern(Pattern::below(&long).unwrap());
    assert_eq!(transport.list(&list).await.unwrap().items.len(), 1);
    assert!(peer.lines().iter().all(|line| line.len() < 2_000), "{:?}", peer.lines().iter().map(String::len));
}

fn range(from: &str, to: &str, order: Order) -> ListRequest {
    ListRequest::new(Selector::Range { from: path(from), to: path(to) }).order(order)
}

fn paths(page: &LeafPage) -> Vec<&str> {
    page.leaves.iter().map(|leaf| leaf.path).collect()
}

#[tokio::test]
async fn descending_range_with_long_bounds_is_listed_by_shorter_bounds() {
    let key = "k".repeat(9_000);
    let (own, below, above) = (format!("links/{key}/title"), "links/k-/t".to_owned(), format!("links/{key}1/t"));
    let steps = [page(&[&above, &own], None), page(&[&above, &own, &below], None), page(&[&own, &below], None)];
    let (peer, transport, _) = scripted(steps).await;
    let (from, to) = (format!("links/{key}/\u{1}"), format!("links/{key}0"));
    let long = range(&from, &to, Order::Descending);
    assert_eq!(paths(&transport.list_leaves(&long).await.unwrap()), [own.as_str()]);
    let first = transport.list_leaves(&range("links/a", &to, Order::Descending).limit(1)).await.unwrap();
    assert_eq!((paths(&first).as_slice(), first.next_cursor.as_deref()), ([own.as_str()].as_slice(), Some(&*own)));
    let after = range("links/a", &to, Order::Descending).after(own.clone());
    assert_eq!(paths(&transport.list_leaves(&after).await.unwrap()), [below.as_str()]);
    assert!(peer.lines().iter().all(|line| line.len() < 2_000), "{:?}", peer.lines().iter().map(String::len));
}

#[tokio::test]
async fn range_is_read_by_the_pattern_of_its_subtree_where_ranges_are_missing() {
    let refused = json(400, r#"{"error":"invalid_params","detail":"pattern is required"}"#);
    let up = page(&["links/dust-/t", "links/dust0/t", "links/rust/t", "links/rust0/t", "links/s/t"], Some("links/s/t"));
    let down = page(&["links/q/t", "links/dust/t"], None);
    let (peer, transport, _) = scripted([refused, up, down, page(&["links/q/t"], None)]).await;
    let found = transport.list_leaves(&range("links/dust0", "links/rust0", Order::Ascending)).await.unwrap();
    assert_eq!((paths(&found).as_slice(), &found.next_cursor), (["links/dust0/t", "links/rust/t"].as_slice(), &None));
    let found = transport.list_leaves(&range("links/dust0", "links/rust0", Order::Descending)).await.unwrap();
    assert_eq!(paths(&found), ["links/q/t"]);
    let after = range("links/\u{1}", "links0", Order::Ascending).after("links/p/t".to_owned()).limit(7);
    assert_eq!(paths(&transport.list_leaves(&after).await.unwrap()), ["links/q/t"]);
    assert_eq!(
        queries(&peer),
        [
            "from=links/dust0&to=links/rust0&limit=1000",
            "pattern=links/%2A%2A&limit=1000&after=links/dust",
            "pattern=links/%2A%2A&limit=1000&order=desc&after=links/rust0",
            "pattern=links/%2A%2A&limit=1000&after=links/p/t",
        ]
    );
}

#[tokio::test]
async fn a_list_goes_on_after_a_long_cursor() {
    let long = format!("links/{}/title", "é".repeat(4_000));
    let steps = [page(&["links/a/t", &long], Some(&long)), page(&[&long, "links/ô/t"], None)];
    let (peer, transport, _) = scripted(steps).await;
    let first = transport.list_subtree(&path("links"), None).await.unwrap();
    assert_eq!(first.next_cursor.as_deref(), Some(&*long));
    let second = transport.list_subtree(&path("links"), Some(&long)).await.unwrap();
    assert_eq!(second.leaves.iter().map(|leaf| leaf.path).collect::<Vec<_>>(), ["links/ô/t"]);
    assert!(peer.lines()[1].len() < 2_000);
    // A page that has only leaves up to its cursor cannot be continued.
    let (_, transport, _) = scripted([page(&[&long], Some(&long))]).await;
    let error = transport.list_subtree(&path("links"), Some(&long)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrKind::InvalidParams, false), "{error}");
}

#[tokio::test]
async fn a_request_that_no_url_can_hold_is_invalid_and_not_quoted() {
    let long = "x".repeat(70_000);
    let (peer, transport, _) = scripted([]).await;
    let pattern = ListRequest::pattern(Pattern::parse(&format!("links/*/{long}")).unwrap());
    let cursor = ListRequest::pattern(Pattern::parse("links/*").unwrap()).after(Some(long.clone()));
    for request in [pattern, cursor] {
        let error = transport.list(&request).await.unwrap_err();
        assert!(matches!(error, DustErr::InvalidParams { .. }) && !error.is_retryable(), "{error:?}");
        assert!(error.to_string().len() < 1_000, "{}", error.to_string().len());
    }
    assert!(peer.lines().is_empty());
}
