//! Writes whose answer was lost.

use super::*;

#[test]
fn write_with_a_lost_reply_is_answered_by_the_catch_up() {
    let mut client = Client::live(0);
    let (found, missing) = (client.write(), client.write());
    let op_id = client.sent[0][4]["client_op_id"].as_str().unwrap().to_owned();
    client.lose();
    assert!(client.answer(found).is_none() && client.answer(missing).is_none());
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, &op_id);
    assert!(client.answer(found).unwrap().is_ok());
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    assert!(client.answer(missing).is_none(), "the server may be about to do it");
    assert!(!client.sent.iter().skip(2).any(|frame| frame[3] == "write"), "nothing is sent twice");
    client.pass(ms(2_000));
    assert_eq!(client.error(missing), ErrKind::Timeout);
}

#[test]
fn write_before_a_snapshot_is_a_timeout() {
    let mut client = Client::live(0);
    let id = client.write();
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    client.says(&join, "snapshot", json!({"snapshot_seq": 5, "entries": {}}));
    client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
    assert_eq!(client.error(id), ErrKind::Timeout);
}

#[test]
fn crashed_channel_is_joined_again_and_its_writes_are_found() {
    let mut client = Client::live(0);
    let id = client.write();
    let op_id = client.op_id();
    client.says("1", "phx_error", json!({}));
    client.pass(ms(100));
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, &op_id);
    assert!(client.answer(id).unwrap().is_ok());
    // The end of an earlier catch-up is ignored.
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    client.sent.clear();
    client.says("1", "phx_error", json!({}));
    client.pass(ms(1_000));
    assert!(client.sent.is_empty() && client.states.last().unwrap().is_live());
}

#[test]
fn sent_writes_are_unknown_and_queued_writes_unsent_after_a_lost_connection() {
    let mut client = Client::live(0);
    let ids: Vec<u64> = (0..70).map(|_| client.write()).collect();
    client.lose();
    assert!(client.session.has_room());
    assert!(ids[..64].iter().all(|id| client.answer(*id).is_none()));
    assert!(ids[64..].iter().all(|id| client.error(*id) == ErrKind::Network));
}

#[test]
fn lost_write_is_answered_by_an_op_within_the_grace_after_the_catch_up() {
    let mut client = Client::live(0);
    let id = client.write();
    let op_id = client.op_id();
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    client.pass(ms(1_999));
    assert!(client.answer(id).is_none());
    // The server had the frame, and reads it only now.
    client.event(None, 1, &op_id);
    assert_eq!(client.answer(id).unwrap().as_ref().unwrap().store_seq, Some(1));
}

#[test]
fn write_of_unknown_outcome_has_the_cause_in_its_error() {
    type End = fn(&mut Client);
    let ends: [(End, &str, &str); 4] = [
        (|client| client.lose(), "the connection broke before its answer came", "ops that followed do not contain it"),
        (
            |client| client.says("1", "phx_error", json!({})),
            "the channel crashed before its answer came",
            "ops that followed do not contain it",
        ),
        (
            |client| client.says("1", "phx_close", json!({})),
            "the server closed the channel before its answer came",
            "ops that followed do not contain it",
        ),
        (
            |client| client.says("1", "phx_error", json!({})),
            "the channel crashed before its answer came",
            "a snapshot hides whether it was applied",
        ),
    ];
    for (end, cause, then) in ends {
        let mut client = Client::live(0);
        let id = client.write();
        end(&mut client);
        client.pass(ms(100));
        if client.connects > 1 {
            client.connect();
        }
        let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
        client.joined(&join, 5);
        let snapshot = if then.starts_with("a snapshot") { 5 } else { 0 };
        if snapshot > 0 {
            client.says(&join, "snapshot", json!({"snapshot_seq": 5, "entries": {}}));
        }
        (snapshot + 1..=5).for_each(|seq| client.event(Some(&join), seq, "other"));
        client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
        client.pass(ms(2_000));
        let error = client.answer(id).unwrap().as_ref().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrKind::Timeout);
        assert!(text.contains(&format!("set of `p` ({cause}, and ")) && text.contains(then), "{text}");
    }
    let timing = Timing { answer: Duration::MAX, status: Duration::MAX, ..Timing::default() };
    let mut client = Client::timed(timing, [("acme/main".to_owned(), 0)]).caught_up(0);
    let id = client.write();
    client.pass(ms(30_000));
    let text = client.answer(id).unwrap().as_ref().unwrap_err().to_string();
    assert!(text.contains("no answer in time"), "{text}");
}
