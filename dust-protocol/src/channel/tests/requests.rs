//! Tests that requests equal those of the recorded client.

use serde_json::{Value, json};

use crate::channel::{FileUpload, MAX_OUTGOING, Request, RequestError};
use crate::{Fence, Mutation, Op, Path, Precondition, RawJson};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

fn sent(op: &Op, fence: Option<&Fence>) -> Value {
    let frame = Request::Write { op, fence, client_op_id: "c" }.encode(Some(1), 2, "store:a/b").unwrap();
    let frame: Value = serde_json::from_str(&frame).unwrap();
    assert_eq!(frame.as_array().unwrap()[..4], [json!("1"), json!("2"), json!("store:a/b"), json!("write")]);
    frame[4].clone()
}

#[test]
fn small_requests_equal_recorded_ones() {
    let text = |request: Request<'_>, join_ref| request.encode(join_ref, 3, "store:a/b").unwrap();
    assert_eq!(text(Request::Heartbeat, None), r#"[null,"3","phoenix","heartbeat",{}]"#);
    assert_eq!(text(Request::Leave, Some(1)), r#"["1","3","store:a/b","phx_leave",{}]"#);
    assert_eq!(text(Request::Status, Some(1)), r#"["1","3","store:a/b","status",{}]"#);
    assert_eq!(
        text(Request::Join { last_store_seq: 9 }, Some(3)),
        r#"["3","3","store:a/b","phx_join",{"last_store_seq":9}]"#
    );
    let large = Request::Status.encode(Some(u64::MAX), 1_000, "a\"b").unwrap();
    assert_eq!(large, r#"["18446744073709551615","1000","a\"b","status",{}]"#);
}

#[test]
fn op_is_encoded_in_its_form() {
    let at = |mutation: Mutation| sent(&Op::new(path("p/a~1b"), mutation), None);
    let base = |op: &str| json!({"op": op, "path": "p/a~1b", "client_op_id": "c"});
    let with = |op: &str, more: Value| {
        let mut payload = base(op);
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    assert_eq!(at(Mutation::Set(raw(r#"{"n":1.50}"#))), with("set", json!({"value": {"n": 1.50}})));
    assert_eq!(at(Mutation::Delete), base("delete"));
    assert_eq!(at(Mutation::Merge(raw("{}"))), with("merge", json!({"value": {}})));
    assert_eq!(at(Mutation::Increment(raw("2"))), with("increment", json!({"value": 2})));
    assert_eq!(at(Mutation::Add(raw("\"x\""))), with("add", json!({"value": "x"})));
    assert_eq!(at(Mutation::Remove(raw("\"x\""))), with("remove", json!({"value": "x"})));
    let lease = Mutation::Lease { holder: Some("me".into()), ttl_ms: 60_000 };
    assert_eq!(at(lease), with("lease", json!({"holder": "me", "ttl_ms": 60_000})));
    assert_eq!(at(Mutation::Lease { holder: None, ttl_ms: 5 }), with("lease", json!({"ttl_ms": 5})));
    assert_eq!(at(Mutation::Renew { token: 4, ttl_ms: 5 }), with("renew", json!({"token": 4, "ttl_ms": 5})));
    assert_eq!(at(Mutation::Release { token: 4 }), with("release", json!({"token": 4})));
}

#[test]
fn condition_and_fence_are_encoded() {
    let mut op = Op::set(path("p"), raw("123456789012345678901234567890")).on(Precondition::IfMatch(34));
    let fence = Fence { key: path("lock"), token: 40 };
    let frame = Request::Write { op: &op, fence: Some(&fence), client_op_id: "c" }.encode(Some(1), 2, "t").unwrap();
    assert!(frame.contains("\"value\":123456789012345678901234567890"), "{frame}");
    let payload = sent(&op, Some(&fence));
    assert_eq!((&payload["if_match"], &payload["fence"]), (&json!(34), &json!({"key": "lock", "token": 40})));
    op.precondition = Some(Precondition::IfLeafAbsent);
    assert_eq!(sent(&op, None)["if_absent"], json!(true));
}

#[test]
fn file_is_encoded_as_base64() {
    let file = FileUpload {
        path: path("f2"),
        content: b"hello".to_vec(),
        filename: Some("h.txt".into()),
        content_type: Some("text/plain".into()),
    };
    let frame = Request::PutFile { file: &file, client_op_id: "pf1" }.encode(Some(1), 2, "t").unwrap();
    let frame: Value = serde_json::from_str(&frame).unwrap();
    let expected = json!({
        "path": "f2", "content": "aGVsbG8=", "client_op_id": "pf1", "filename": "h.txt", "content_type": "text/plain",
    });
    assert_eq!((&frame[3], &frame[4]), (&json!("put_file"), &expected));
}

#[test]
fn request_without_a_form_is_refused_by_encode() {
    let refused = |op: &Op| Request::Write { op, fence: None, client_op_id: "c" }.encode(Some(1), 2, "t").unwrap_err();
    let vacant = Op::set(path("p"), raw("1")).on(Precondition::IfSubtreeAbsent);
    assert_eq!(refused(&vacant), RequestError::IfSubtreeAbsent);
    assert_eq!(refused(&Op::new(path("p"), Mutation::PutFile(raw("{}")))), RequestError::FileReference);
    let long = RawJson::from_serialize(&"x".repeat(MAX_OUTGOING)).unwrap();
    assert!(matches!(refused(&Op::set(path("p"), long)), RequestError::TooLarge { .. }));
}
