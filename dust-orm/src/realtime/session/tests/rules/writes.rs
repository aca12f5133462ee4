//! Answers of commands.

use super::*;

#[test]
fn write_is_answered_by_event_or_reply_when_the_mirror_has_it() {
    let mut client = Client::live(0);
    let first = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.event(None, 1, &op_id);
    assert_eq!(client.answer(first).unwrap().as_ref().unwrap().store_seq, Some(1));
    client.replies(&reference, "ok", json!({"store_seq": 1}));

    let second = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.replies(&reference, "ok", json!({"store_seq": 2}));
    assert!(client.answer(second).is_none(), "not readable yet");
    client.event(None, 2, &op_id);
    assert_eq!(client.answer(second).unwrap().as_ref().unwrap().store_seq, Some(2));
    assert!(client.session.is_quiet());
}

#[test]
fn write_behind_a_hole_waits_until_it_is_filled() {
    let mut client = Client::live(0);
    let id = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.event(None, 3, &op_id);
    client.replies(&reference, "ok", json!({"store_seq": 3}));
    assert!(client.answer(id).is_none());
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 3);
    client.event(Some(&join), 1, "http");
    client.event(Some(&join), 2, "http");
    assert!(client.answer(id).unwrap().is_ok());
}

#[test]
fn refused_write_has_its_reason_and_release_of_nothing_succeeds() {
    let mut client = Client::live(0);
    let write = Op::set(path("p"), RawJson::null()).on(Precondition::IfMatch(3));
    let id = client.ask(CommandKind::Write { op: write, fence: None }, false);
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!({"reason": "conflict"}));
    assert_eq!(client.error(id), ErrKind::Conflict);

    let id = client
        .ask(CommandKind::Write { op: Op::new(path("lock"), Mutation::Release { token: 4 }), fence: None }, false);
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "ok", json!({"released": false}));
    assert_eq!(client.answer(id).unwrap().as_ref().unwrap().store_seq, None);

    let vacant = Op::set(path("p"), RawJson::null()).on(Precondition::IfSubtreeAbsent);
    let id = client.ask(CommandKind::Write { op: vacant, fence: None }, false);
    assert_eq!(client.error(id), ErrKind::NotSupported);
}

#[test]
fn leases_and_files_are_answered_with_a_value() {
    let mut client = Client::live(0);
    let lease = Mutation::Lease { holder: Some("me".into()), ttl_ms: 1_000 };
    let id = client.ask(CommandKind::Write { op: Op::new(path("lock"), lease), fence: None }, false);
    let op_id = client.op_id();
    let value = json!({"_type": "lease", "expires_at": 5, "holder": "me", "token": 1});
    let payload = json!({"store_seq": 1, "op": "lease", "path": "lock", "value": value, "client_op_id": op_id});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    let written = client.answer(id).unwrap().as_ref().unwrap();
    assert_eq!(written.value.as_ref().unwrap().to::<Value>().unwrap(), value);

    let file = FileUpload::new(path("f"), b"hello".to_vec());
    let id = client.ask(CommandKind::PutFile(file), false);
    let sent = client.last_sent("put_file").clone();
    let value = json!({"_type": "file", "hash": "sha256:x"});
    let payload =
        json!({"store_seq": 2, "op": "put_file", "path": "f", "value": value, "client_op_id": sent[4]["client_op_id"]});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    let written = client.answer(id).unwrap().as_ref().unwrap();
    assert_eq!(written.store_seq, Some(2));
    assert_eq!(written.value.as_ref().unwrap().to::<Value>().unwrap(), value);
}

#[test]
fn write_without_connection_fails_at_once_or_waits_as_requested() {
    let mut client = Client::live(0);
    client.lose();
    let impatient = client.write();
    assert_eq!(client.error(impatient), ErrKind::Network);
    let patient = client.ask(CommandKind::Write { op: Op::delete(path("p")), fence: None }, true);
    client.sent.clear();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    let op_id = client.op_id();
    let payload = json!({"store_seq": 1, "op": "delete", "path": "p", "value": null, "client_op_id": op_id});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    assert!(client.answer(patient).unwrap().is_ok());

    client.lose();
    let patient = client.ask(CommandKind::Write { op: Op::delete(path("p")), fence: None }, true);
    client.pass(ms(30_000));
    assert_eq!(client.error(patient), ErrKind::Network, "it was never sent");

    let mut client = Client::live(0);
    client.lose();
    let patient = client.ask_within(CommandKind::Write { op: Op::delete(path("p")), fence: None }, ms(500));
    client.pass(ms(499));
    assert!(client.answer(patient).is_none());
    client.pass(ms(1));
    assert_eq!(client.error(patient), ErrKind::Network, "it waits no longer than it may");
}

#[test]
fn op_known_from_http_is_fetched_at_once() {
    let mut client = Client::live(0);
    client.sent.clear();
    client.session.advance_known_seq(client.now, StoreId(0), 1);
    client.session.advance_known_seq(client.now, StoreId(7), 1);
    client.drain();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, "other");
    assert_eq!(client.applied, [1]);
}

#[test]
fn reply_without_channel_answers_write_and_joins_again() {
    let mut client = Client::live(0);
    let id = client.write();
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!({"reason": "unmatched topic"}));
    assert_eq!(client.error(id), ErrKind::Network);
    client.pass(ms(100));
    client.last_sent("phx_join");
}

#[test]
fn refused_store_fails_writes_and_is_joined_later() {
    let mut client = Client::new(0);
    client.connect();
    client.replies(&json!("1"), "error", json!({"reason": "missing_scope", "scope": "entries:read", "message": "no"}));
    assert!(matches!(client.states.last(), Some(StoreState::Refused(error)) if error.kind() == ErrKind::Unauthorized));
    let id = client.write();
    assert_eq!(client.error(id), ErrKind::Unauthorized);
    client.sent.clear();
    client.pass(ms(29_000));
    assert!(client.sent.is_empty());
    client.pass(ms(1_000));
    assert!(client.sent_events().contains(&"phx_join".to_owned()));
}

#[test]
fn every_command_has_a_deadline() {
    let mut client = Client::live(0);
    let (write, catch_up) = (client.write(), client.ask(CommandKind::CatchUp(1), false));
    client.pass(ms(29_999));
    assert!(client.answers.is_empty());
    client.pass(ms(1));
    assert_eq!((client.error(write), client.error(catch_up)), (ErrKind::Timeout, ErrKind::Timeout));
    let caught_up = client.ask(CommandKind::CatchUp(0), false);
    assert!(client.answer(caught_up).unwrap().is_ok());
}

#[test]
fn http_write_of_the_process_is_fetched_at_once() {
    let mut client = Client::live(4);
    let id = client.ask(CommandKind::CatchUp(6), false);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 6);
    client.event(Some(&join), 5, "http");
    assert!(client.answer(id).is_none());
    client.event(Some(&join), 6, "http");
    assert!(client.answer(id).unwrap().is_ok());
}

#[test]
fn refresh_is_answered_when_the_mirror_has_the_position() {
    let mut client = Client::live(4);
    let up_to_date = client.ask(CommandKind::Refresh, false);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 4, "entry_count": 1}));
    assert_eq!(client.answer(up_to_date).unwrap().as_ref().unwrap().store_seq, Some(4));

    let behind = client.ask(CommandKind::Refresh, false);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 5, "entry_count": 1}));
    assert!(client.answer(behind).is_none());
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    client.event(Some(&join), 5, "http");
    assert!(client.answer(behind).unwrap().is_ok());

    let cut_off = client.ask(CommandKind::Refresh, false);
    client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
    client.says(&join, "phx_error", json!({}));
    client.pass(ms(100));
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 5, "entry_count": 1}));
    assert!(client.answer(cut_off).unwrap().is_ok(), "it is asked again");

    let lost = client.ask(CommandKind::Refresh, false);
    client.lose();
    client.pass(ms(30_000));
    assert_eq!(client.error(lost), ErrKind::Timeout);
}

#[test]
fn stopping_answers_everything_and_closes_the_socket() {
    let mut client = Client::live(0);
    let sent = client.write();
    client.session.stop();
    client.drain();
    assert_eq!((client.error(sent), client.disconnects), (ErrKind::Timeout, 1));
    assert!(client.session.is_quiet() && client.session.next_wake().is_none());
    let late = client.write();
    assert_eq!(client.error(late), ErrKind::Network);
    client.connect();
    assert_eq!(client.disconnects, 2, "a socket that opens late is closed");
    client.session.start();
    client.drain();
    assert_eq!(client.connects, 2);
}

/// The sessions of two processes never give the same id to an op.
#[test]
fn op_ids_differ_between_sessions() {
    let id = |seed| {
        let mut session = Session::new(Timing::default(), [("acme/main".to_owned(), 0)], seed);
        session.start();
        session.connected(Duration::ZERO);
        session.frame(
            Duration::ZERO,
            r#"["1","1","store:acme/main","phx_reply",{"status":"ok","response":{"store_seq":0}}]"#,
        );
        let kind = CommandKind::Write { op: Op::delete(path("p")), fence: None };
        session.command(Duration::ZERO, CommandId(1), Command { store: StoreId(0), kind, wait: Duration::ZERO });
        let sent: Vec<String> = std::iter::from_fn(|| session.next_output())
            .filter_map(|output| if let Output::Send(frame) = output { Some(frame) } else { None })
            .collect();
        sent.last().unwrap().clone()
    };
    assert_eq!(id(1), id(1));
    assert_ne!(id(1), id(2));
}

#[test]

fn unanswered_writes_beyond_the_limit_wait_in_order_until_one_is_answered() {
    let mut client = Client::live(0);
    let ids: Vec<u64> = (0..2_100).map(|_| client.write()).collect();
    assert_eq!(client.sent.len(), 64);
    assert!(!client.session.has_room());
    let references: Vec<Value> = client.sent.iter().map(|frame| frame[1].clone()).collect();
    client.sent.clear();
    // A refusal makes room as an answer does.
    client.replies(&references[0], "error", json!({"reason": "rate_limited", "retry_after_ms": 1}));
    assert_eq!((client.sent.len(), client.error(ids[0])), (1, ErrKind::RateLimited));
    client.replies(&references[1], "ok", json!({"store_seq": 1}));
    let third = client.op_id();
    client.event(None, 1, "another's");
    assert_eq!(client.sent.len(), 2);
    assert!(client.answer(ids[1]).is_some());
    // Op ids are numbered in the order of the commands.
    assert!(third.ends_with("-66"), "{third}");
}

#[test]
fn large_writes_are_sent_until_four_megabytes_are_unanswered() {
    let mut client = Client::live(0);
    let value = RawJson::parse(&format!("{:?}", "x".repeat(1 << 20))).unwrap();
    for _ in 0..6 {
        client.ask(CommandKind::Write { op: Op::set(path("p"), value.clone()), fence: None }, false);
    }
    assert_eq!(client.sent.len(), 4);
    assert!(client.session.has_room());
    let reference = client.sent[0][1].clone();
    client.replies(&reference, "error", json!({"reason": "rate_limited", "retry_after_ms": 1}));
    assert_eq!(client.sent.len(), 5);
}

#[test]
fn queued_write_at_its_deadline_is_answered_as_not_sent() {
    let timing = Timing { answer: Duration::MAX, status: Duration::MAX, ..Timing::default() };
    let mut client = Client::timed(timing, [("acme/main".to_owned(), 0)]).caught_up(0);
    let ids: Vec<u64> = (0..65).map(|_| client.write()).collect();
    for _ in 0..3 {
        client.pass(ms(9_000));
        client.is_alive();
    }
    client.pass(ms(3_000));
    assert_eq!(client.error(ids[0]), ErrKind::Timeout);
    // It is not sent in the place of the others, as its time is over too.
    assert_eq!(client.error(ids[64]), ErrKind::Network);
    assert!(client.session.is_quiet());
}

#[test]
fn deadline_counts_from_the_time_of_the_caller() {
    let mut client = Client::live(0);
    client.now = ms(20_000);
    client.is_alive();
    let command = Command {
        store: StoreId(0),
        kind: CommandKind::Write { op: Op::delete(path("p")), fence: None },
        wait: Duration::ZERO,
    };
    client.session.command_since(client.now, ms(5_000), CommandId(7), command);
    client.drain();
    client.pass(ms(14_000));
    assert!(client.answer(7).is_none());
    client.pass(ms(1_000));
    assert_eq!(client.error(7), ErrKind::Timeout);
}

#[test]
fn write_past_its_deadline_is_not_sent() {
    let mut client = Client::live(0);
    client.now = ms(60_000);
    let command = Command {
        store: StoreId(0),
        kind: CommandKind::Write { op: Op::delete(path("p")), fence: None },
        wait: Duration::ZERO,
    };
    client.session.command_since(client.now, ms(1_000), CommandId(7), command);
    client.drain();
    assert_eq!((client.error(7), client.sent.len()), (ErrKind::Network, 0));
}

#[test]
fn op_with_the_id_of_a_write_but_another_path_or_kind_answers_nothing() {
    for (op, path) in [("set", "q"), ("delete", "p"), ("merge", "p"), ("set", "p/q")] {
        let mut client = Client::live(0);
        let id = client.write();
        let op_id = client.op_id();
        let mut payload = json!({"store_seq": 1, "op": op, "path": path, "value": {"a": 1}, "device_id": "d"});
        payload["client_op_id"] = json!(op_id);
        client.raw(json!([null, null, TOPIC, "event", payload]));
        assert_eq!(client.applied, [1]);
        assert!(client.answer(id).is_none(), "{op} of {path}");
        client.event(None, 2, &op_id);
        assert_eq!(client.answer(id).unwrap().as_ref().unwrap().store_seq, Some(2));
    }
}
