//! The recordings as a server: what a real one sent, frame by frame, makes the mirror that it says it has.

use std::time::Duration;

use dust_protocol::{ListItem, ListRequest, Pattern};
use serde_json::Value;

use super::super::{Output, Session, Timing};
use crate::realtime::Mirror;

/// The frames that one connection of a recording received, from its `nth` join on.
fn received(file: &str, connection: &str, joins_before: usize) -> (String, Vec<String>) {
    let wire = recordings::folder().join(file);
    let text = std::fs::read_to_string(wire).unwrap();
    let (sent, got) = (format!("[{connection}] -> text   "), format!("[{connection}] <- text   "));
    let mut joins = 0;
    let mut topic = String::new();
    let mut frames = vec![];
    for line in text.lines() {
        if let Some(frame) = line.strip_prefix(&sent).filter(|frame| frame.contains("phx_join")) {
            joins += 1;
            if joins > joins_before + 1 {
                break;
            }
            let frame: Vec<Value> = serde_json::from_str(frame).unwrap();
            topic = frame[2].as_str().unwrap().to_owned();
        }
        if joins == joins_before + 1 {
            frames.extend(line.strip_prefix(&got).map(str::to_owned));
        }
    }
    assert!(!frames.is_empty(), "{file} has no connection {connection}");
    (topic.trim_start_matches("store:").to_owned(), frames)
}

/// Lets a session with a mirror hear these frames as the answer to its join.
fn replay(mirror: &mut Mirror, (store, frames): (String, Vec<String>)) -> bool {
    let mut session = Session::new(Timing::default(), [(store, mirror.seq())], 3);
    session.start();
    session.connected(Duration::ZERO);
    let mut is_live = false;
    let join_ref = serde_json::from_str::<Vec<Value>>(&frames[0]).unwrap()[0].as_str().unwrap().to_owned();
    for frame in frames {
        // The session's own first join is "1".
        let frame = frame.replacen(&format!("[\"{join_ref}\",\"{join_ref}\""), "[\"1\",\"1\"", 1);
        let frame = frame.replacen(&format!("[\"{join_ref}\","), "[\"1\",", 1);
        session.frame(Duration::ZERO, &frame);
        while let Some(output) = session.next_output() {
            match output {
                Output::Apply { ops, .. } => ops.iter().for_each(|op| mirror.apply(op)),
                Output::Replace { seq, inexact_through, leaves, .. } => mirror.replace(seq, inexact_through, leaves),
                Output::State { state, .. } => is_live = state.is_live(),
                _ => {}
            }
        }
    }
    is_live
}

fn leaves(mirror: &Mirror) -> Vec<(String, Value, u64)> {
    let page = mirror.list(&ListRequest::pattern(Pattern::parse("**").unwrap())).unwrap();
    page.items
        .into_iter()
        .filter_map(ListItem::into_entry)
        .map(|entry| (entry.path.to_string(), entry.value.to().unwrap(), entry.revision))
        .collect()
}

/// The items of the list that a recording holds.
fn listed(file: &str) -> Vec<(String, Value, u64)> {
    let wire = recordings::folder().join(file);
    let text = std::fs::read_to_string(wire).unwrap();
    let line = text.lines().find(|line| line.starts_with("{\"items\":[{")).unwrap();
    let page: Value = serde_json::from_str(line).unwrap();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let path = item["path"].as_str().unwrap().to_owned();
            (path, item["value"].clone(), item["revision"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn catch_up_gives_the_leaves_that_the_server_lists() {
    let file = "h-values-ws-and-list.txt";
    let mut mirror = Mirror::default();
    assert!(replay(&mut mirror, received(file, "CJ", 0)));
    let mut expected = listed(file);
    // The last op came after the list.
    for leaf in expected.iter_mut().filter(|(path, ..)| path == "dec") {
        *leaf = ("dec".to_owned(), "1.30".into(), 12);
    }
    assert_eq!(leaves(&mirror), expected);
}

#[test]
fn live_events_give_the_leaves_that_the_server_lists() {
    let file = "h-values-ws-and-list.txt";
    let mut mirror = Mirror::default();
    assert!(replay(&mut mirror, received(file, "A", 0)));
    assert_eq!(leaves(&mirror), listed(file));
}

#[test]
fn snapshot_and_later_ops_replace_an_old_mirror() {
    for connection in ["J0", "J5"] {
        let mut mirror = Mirror::default();
        mirror.replace(5, 0, vec![]);
        assert!(replay(&mut mirror, received("g3-ws-catchup-snapshot.txt", connection, 0)));
        assert_eq!((mirror.seq(), mirror.inexact_through()), (11, 10));
        let leaves = leaves(&mirror);
        let values: Vec<_> = leaves.iter().map(|(path, value, _)| (path.as_str(), value.to_string())).collect();
        let lease = r#"{"_type":"lease","expires_at":1795333184684,"holder":"h","token":10}"#;
        let expected = [
            ("a", "1"),
            ("after", "\"snap\""),
            ("ctr", "5"),
            ("d", "\"1.20\""),
            ("dt", "\"2026-01-02T03:04:05Z\""),
            ("lk", lease),
            ("m/x/y", "2"),
            ("m/z", "[1]"),
            ("nul", "null"),
            ("tags", "[\"t1\"]"),
        ];
        assert_eq!(values, expected.map(|(path, value)| (path, value.to_owned())));
        assert_eq!(leaves[1].2, 11);
    }
}

#[test]
fn writes_are_mirrored_alike_live_and_by_catch_up() {
    let file = "g2-ws-writes-json.txt";
    let mut caught_up = Mirror::default();
    assert!(replay(&mut caught_up, received(file, "C", 0)));
    assert_eq!(caught_up.seq(), 80);
    // A rollback to the first op ended it.
    let leaves = leaves(&caught_up);
    assert_eq!(leaves, [("leaf".to_owned(), "v".into(), 59)]);

    let mut live = Mirror::default();
    assert!(!replay(&mut live, received(file, "A", 0)), "a frame crashed the channel");
    assert_eq!(live.seq(), 10);
    assert_eq!(live.get(&dust_protocol::Path::parse("m").unwrap()).unwrap().value.as_str(), r#"{"a":1,"b":{"x":9}}"#);
}

#[test]
fn http_write_leaves_a_hole_and_arrives_with_the_next_join() {
    let file = "g1-ws-connect-join.txt";
    for (connection, from) in [("C0", 0), ("C3", 3), ("C7", 7), ("C8", 8)] {
        let mut mirror = Mirror::default();
        mirror.replace(from, 0, vec![]);
        assert!(replay(&mut mirror, received(file, connection, 0)), "{connection}");
        assert_eq!(mirror.seq(), 8);
    }
    // More than the store has: it is not believed.
    let mut mirror = Mirror::default();
    mirror.replace(100, 0, vec![]);
    assert!(!replay(&mut mirror, received(file, "C100", 0)));
}
