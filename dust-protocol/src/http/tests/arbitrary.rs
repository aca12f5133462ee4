//! Tests that arbitrary answers are parsed or refused.

use super::*;

/// Parses bytes as every kind of answer.
fn read_as_anything(body: &[u8]) {
    let path = Path::parse("a/b").unwrap();
    let _ = (entry(body, &path), store_seq(body), leaves(body, std::slice::from_ref(&path)));
    for select in [Select::Entries, Select::Keys, Select::Prefixes] {
        let _ = page_both_ways(body, &ListRequest { select, ..ListRequest::pattern(Pattern::parse("a/**").unwrap()) });
    }
}

proptest! {
    #[test]
    fn a_packed_page_is_the_page(
        items in prop::collection::vec(
            (
                prop_oneof![
                    20 => "links/[a-d]/[tu]",
                    2 => "links/(e\u{301}|\\\\u0062|a~1b)/t",
                    1 => prop::sample::select(&["", "links//t", "links/a~2", "links/a", "other/a/t", "\\ud800"][..])
                        .prop_map(str::to_owned),
                ],
                prop_oneof![
                    20 => "[1-9]{1,30}|\"[a-zé]{0,3}\"|\\{ \"a\": \\[1, null\\] \\}|null|1\\.50",
                    1 => "tru|\"|",
                ],
                "string|integer|map|\\\\u006dap|nonsense",
                prop_oneof![20 => "[1-9]", 1 => "-1|18446744073709551616|1\\.5"],
            ),
            0..6,
        ),
        is_sorted in prop::bool::weighted(0.8),
        cursor in prop_oneof![8 => Just("null"), 2 => Just(r#""links/d/u""#), 1 => Just(r#""links/a/t""#), 1 => Just("7")],
        after in prop::option::weighted(0.3, Just("links/a/t".to_owned())),
        order in prop::sample::select(&[Order::Ascending, Order::Ascending, Order::Descending][..]),
        pattern in prop::sample::select(&["links/**", "links/**", "links/a/**", "links/*/t", "links/a", "**"][..]),
    ) {
        let mut items = items;
        if is_sorted {
            items.sort();
            items.dedup_by(|one, other| one.0 == other.0);
            if order == Order::Descending {
                items.reverse();
            }
        }
        let items: Vec<String> = items
            .into_iter()
            .map(|(path, value, kind, revision)| {
                format!(r#"{{"path":"{path}","revision":{revision},"type":"{kind}","value":{value}}}"#)
            })
            .collect();
        let body = format!(r#"{{"items":[{}],"next_cursor":{cursor}}}"#, items.join(","));
        let request = ListRequest { order, after, ..ListRequest::pattern(Pattern::parse(pattern).unwrap()) };
        let _ = page_both_ways(body.as_bytes(), &request);
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_anything(&body);
    }

    #[test]
    fn paths_in_bodies_are_json(segments in prop::collection::vec(".{1,8}", 1..4)) {
        let path = Path::from_segments(&segments).unwrap();
        let body = batch_body(std::slice::from_ref(&path));
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(read["paths"][0].as_str(), Some(path.as_str()));
        let body = batch_write_body(&[Op::delete(path.clone())]);
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(read["ops"][0]["path"].as_str(), Some(path.as_str()));
    }
}

#[test]
fn mutated_recording_is_parsed_or_refused() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let exchanges = exchanges();
    let mutation = (0..exchanges.len(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    let outcome = runner.run(&mutation, |(which, at, byte, how)| {
        let mut body = exchanges[which].body.clone().into_bytes();
        if !body.is_empty() {
            let at = at.index(body.len());
            match how {
                0 => body.truncate(at),
                1 => body[at] = byte,
                2 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
        }
        read_as_anything(&body);
        if exchanges[which].status == 200 && exchanges[which].call() == Some(Call::List) {
            let _ = page_both_ways(&body, &list_request(&exchanges[which]));
        }
        Ok(())
    });
    outcome.unwrap();
}
