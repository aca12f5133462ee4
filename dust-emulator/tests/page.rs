//! The HTML page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use dust_emulator::Emulator;
use support::send;
use support::world::World;

#[test]
fn page_shows_stores_and_leaves() {
    let world = World::with(Emulator::builder().store("acme/main").store("acme/empty"));
    world.put("/links/dust", r#"{"title":"<script>alert(1)</script>","tags":["a"]}"#);
    world.put("/%3Cb%3E&%22'", "1.0");
    let page = |target: &str| {
        let answer = send(world.address(), "GET", target, &[("accept", "text/html")], None).unwrap();
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        answer
    };
    let stores = page("/").text();
    assert!(stores.contains("href=\"/?store=acme/main\"") && stores.contains("acme/empty"), "{stores}");
    let tree = page("/?store=acme/main").text();
    for part in [
        "links",
        "dust",
        "title",
        "&lt;script&gt;alert(1)",
        "[&quot;a&quot;]",
        "&lt;b&gt;&amp;&quot;&#39;",
        "float",
        "@2",
    ] {
        assert!(tree.contains(part), "{part} is not in {tree}");
    }
    assert!(!tree.contains("<script>"), "{tree}");
    let below = page("/?store=acme/main&at=links/dust").text();
    assert!(below.contains(">title<") && !below.contains(">float<"), "{below}");
    assert!(page("/?store=acme/main&at=links/dust/tags").text().contains("[&quot;a&quot;]"));
    assert!(page("/?store=acme/empty").text().contains("Nothing is here"));
    let missing = page("/?store=%3Cx%3E");
    assert!(missing.status() == 404 && missing.text().contains("&lt;x&gt;"));
}

#[test]
fn page_splits_long_lists() {
    let world = World::new();
    let many: Vec<String> = (0..600).map(|at| format!("\"k/{at:03}\":{at}")).collect();
    world.emulator.import("acme/main", &format!("{{{}}}", many.join(","))).unwrap();
    let deep = vec!["d"; 5_000].join("/");
    world.put(&format!("/{deep}"), "1");
    let page = |target: &str| send(world.address(), "GET", target, &[], None).unwrap().text();
    let first = page("/?store=acme/main&at=k");
    assert!(first.contains(">499<") && !first.contains(">500<") && first.contains("after=k/499"), "{first}");
    let second = page("/?store=acme/main&at=k&after=k/499");
    assert!(second.contains(">500<") && second.contains(">599<") && !second.contains("after="), "{second}");
    assert!(page("/?store=acme/main&at=d").contains("d/d/d/d"));
}
