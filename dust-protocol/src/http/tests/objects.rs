//! Tests that every answer refuses an array in place of an object.

use super::*;
use crate::testing::objects_as_arrays;

/// True if a body is accepted.
type Reads<'a> = &'a dyn Fn(&str) -> bool;

#[test]
fn array_as_object_is_refused() {
    let path = Path::parse("a/b").unwrap();
    let all = ListRequest::pattern(Pattern::parse("a/**").unwrap());
    let keys = ListRequest { select: Select::Keys, ..all.clone() };
    let is_entry = |body: &str| entry(body.as_bytes(), &path).is_ok();
    let is_page = |body: &str| page_both_ways(body.as_bytes(), &all).is_ok();
    let is_keys = |body: &str| page(body.as_bytes(), &keys).is_ok();
    let is_leaves = |body: &str| leaves(body.as_bytes(), std::slice::from_ref(&path)).is_ok();
    let is_written = |body: &str| store_seq(body.as_bytes()).is_ok();
    let answers: [(&str, Reads<'_>); 5] = [
        (r#"{"path":"a/b","value":1,"type":"integer","revision":3}"#, &is_entry),
        (r#"{"items":[{"path":"a/b","value":1,"type":"integer","revision":3}],"next_cursor":"a/b"}"#, &is_page),
        (r#"{"items":["a/b"],"next_cursor":"a/b"}"#, &is_keys),
        (r#"{"entries":{"a/b":{"value":1,"type":"integer","revision":3}},"missing":[]}"#, &is_leaves),
        (r#"{"store_seq":3,"revision":3}"#, &is_written),
    ];
    for (body, is_read) in answers {
        assert!(is_read(body), "{body}");
        for array in objects_as_arrays(body) {
            assert!(!is_read(&array), "{array}");
        }
    }
}
