//! Connections, joins and their retries.

use super::*;

#[test]
fn unreadable_frame_ends_the_wait_for_a_frame() {
    let mut client = Client::unasking(3);
    client.pass(ms(35_000));
    client.session.unreadable(client.now, FrameError::new("bytes"));
    client.pass(ms(9_000));
    assert_eq!(client.disconnects, 0);
    client.pass(ms(30_000));
    assert_eq!(client.disconnects, 1);
}

#[test]
fn revoked_token_refuses_stores_and_is_retried_every_half_minute() {
    let mut client = Client::live(0);
    let patient = {
        client.lose();
        client.ask(CommandKind::Write { op: Op::delete(path("p")), fence: None }, true)
    };
    let revoked = DustErr::Unauthorized { scope: None, message: "revoked".to_owned() };
    client.session.refused(client.now, &revoked);
    client.drain();
    assert!(matches!(client.states.last(), Some(StoreState::Refused(error)) if error.kind() == ErrKind::Unauthorized));
    assert_eq!(client.error(patient), ErrKind::Unauthorized);
    let late = client.write();
    assert_eq!(client.error(late), ErrKind::Unauthorized);
    let (states, connects) = (client.states.len(), client.connects);
    client.pass(ms(29_999));
    assert_eq!(client.connects, connects);
    client.pass(ms(1));
    assert_eq!(client.connects, connects + 1);
    client.session.refused(client.now, &revoked);
    client.drain();
    assert_eq!(client.states.len(), states, "it is refused all the while");
    client.pass(ms(30_000));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn failed_join_is_repeated_with_back_off() {
    let mut client = Client::new(0);
    client.connect();
    let mut gaps = vec![];
    for _ in 0..8 {
        let join = client.last_sent("phx_join")[1].clone();
        let before = client.now;
        client.replies(&join, "error", json!({"reason": "join crashed"}));
        client.sent.clear();
        while client.sent.is_empty() {
            client.pass(ms(10));
        }
        gaps.push(client.now - before);
    }
    assert!(gaps[0] <= ms(110) && gaps[7] >= ms(5_000) && gaps[7] <= ms(10_010), "{gaps:?}");
    client.sent.clear();
    client.pass(ms(20_010));
    assert!(client.sent_events().contains(&"phx_join".to_owned()), "after ten seconds without an answer");
}

#[test]
fn silent_socket_is_given_up() {
    let mut client = Client::unasking(0);
    client.pass(ms(30_000));
    assert!(client.sent_events().contains(&"heartbeat".to_owned()));
    client.pass(ms(9_000));
    client.is_alive();
    client.pass(ms(29_000));
    assert_eq!((client.disconnects, client.connects), (0, 1));
    client.pass(ms(5_000));
    assert_eq!((client.disconnects, client.connects), (1, 2));
    assert!(client.states.iter().any(|state| matches!(state, StoreState::Offline)));
}

#[test]
fn socket_with_a_large_frame_in_transit_is_given_up_at_the_longest_wait() {
    let mut client = Client::unasking(0);
    client.pass(ms(30_000));
    let mut arrived = 0;
    // A snapshot that takes five minutes.
    for _ in 0..300 {
        arrived += 300_000;
        client.session.arrived(arrived);
        client.pass(ms(1_000));
    }
    assert_eq!((client.disconnects, client.connects), (0, 1));
    client.says("1", "snapshot", json!({"snapshot_seq": 9, "entries": {}}));
    // From then on silence is silence, whatever has arrived before; and so are a few bytes now and then, such as pings.
    client.pass(ms(31_000));
    for _ in 0..5 {
        arrived += 127;
        client.session.arrived(arrived);
        client.pass(ms(2_000));
    }
    assert_eq!(client.disconnects, 1);

    // One that never ends is given up.
    let mut client = Client::unasking(0);
    client.pass(ms(30_000));
    for second in 0..590 {
        client.session.arrived(second * 1_000_000);
        client.pass(ms(1_000));
    }
    assert_eq!(client.disconnects, 0);
    client.session.arrived(u64::MAX);
    client.pass(ms(11_000));
    assert_eq!(client.disconnects, 1);
}

#[test]
fn large_frame_extends_the_wait_for_the_reply_to_a_join() {
    let mut client = Client::over([("acme/large".to_owned(), 0), ("acme/main".to_owned(), 0)]);
    client.connect();
    client.sent.clear();
    for second in 1..=60 {
        client.session.arrived(second * 100_000);
        client.pass(ms(1_000));
    }
    assert!(!client.sent_events().contains(&"phx_join".to_owned()), "it is on its way");
    client.is_alive();
    client.pass(ms(21_000));
    assert!(client.sent_events().contains(&"phx_join".to_owned()), "nothing is on its way");
}

#[test]
fn reconnections_back_off_until_one_is_of_use() {
    let mut client = Client::live(0);
    let mut pauses = vec![];
    for _ in 0..14 {
        client.lose();
        let (before, connects) = (client.now, client.connects);
        while client.connects == connects {
            client.pass(ms(1));
        }
        pauses.push(client.now - before);
    }
    assert!(pauses[0] <= ms(11) && pauses[0] >= ms(5), "{pauses:?}");
    assert!(pauses[13] >= ms(2_500) && pauses[13] <= ms(5_001), "{pauses:?}");
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    client.pass(ms(1_000));
    client.lose();
    let (before, connects) = (client.now, client.connects);
    client.pass(ms(11));
    assert_eq!(client.connects, connects + 1, "{before:?}");
}

#[test]
fn server_that_closes_every_connection_is_retried_with_back_off() {
    let mut client = Client::new(0);
    let mut connects = 0;
    while client.now < ms(60_000) {
        if client.connects > connects {
            connects = client.connects;
            client.connect();
            let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
            client.joined(&join, 0);
            client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
            client.lose();
        }
        client.pass(ms(5));
    }
    assert!(connects < 40, "{connects} in a minute");
}

#[test]
fn channel_that_crashes_whenever_up_to_date_is_joined_with_back_off() {
    let mut client = Client::live(0);
    let mut joins = 0;
    client.says("1", "phx_error", json!({}));
    while client.now < ms(60_000) {
        if client.sent.last().is_some_and(|frame| frame[3] == "phx_join") {
            joins += 1;
            let join = client.sent.pop().unwrap()[1].as_str().unwrap().to_owned();
            client.joined(&join, 0);
            client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
            client.says(&join, "phx_error", json!({}));
        }
        client.sent.clear();
        client.pass(ms(5));
    }
    assert!(joins < 25, "{joins} in a minute");
    // One that lasted is forgiven.
    while client.sent.last().is_none_or(|frame| frame[3] != "phx_join") {
        client.pass(ms(5));
    }
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    client.pass(ms(1_000));
    client.sent.clear();
    client.says(&join, "phx_error", json!({}));
    client.pass(ms(100));
    client.last_sent("phx_join");
}

#[test]
fn server_that_sends_only_unreadable_frames_is_given_up_for_a_pause() {
    let mut client = Client::live(0);
    for _ in 0..999 {
        client.session.frame(client.now, "garbage");
    }
    client.drain();
    assert_eq!(client.disconnects, 0);
    client.session.frame(client.now, r#"[1,2,"store:acme/main","event",{"store_seq":18446744073709551615}]"#);
    client.drain();
    assert_eq!((client.disconnects, client.connects), (1, 1));
    assert!(matches!(client.states.last(), Some(StoreState::Offline)));
    client.pass(ms(10));
    assert_eq!(client.connects, 2);
    // Each connection has as many.
    client.connect();
    client.session.frame(client.now, "garbage");
    client.drain();
    assert_eq!(client.disconnects, 1);
}

#[test]
fn numbers_beyond_any_store_are_unreadable() {
    let mut client = Client::live(3);
    for seq in [u64::MAX, u64::MAX - 1, 1 << 63] {
        client.event(None, seq, "x");
        client.event(Some("1"), seq, "x");
        client.says("1", "snapshot", json!({"snapshot_seq": seq, "entries": {}}));
    }
    assert!(client.applied.is_empty() && client.replaced.is_empty());
    client.event(None, 4, "x");
    assert_eq!(client.applied, [4]);
    client.says("1", "snapshot", json!({"snapshot_seq": i64::MAX, "entries": {}}));
    client.event(None, 5, "x");
    client.pass(ms(10_000));
}

#[test]
fn text_of_a_server_is_logged_short_and_without_the_token() {
    let mut client = Client::new(0);
    client.session.keep_secret(crate::config::Token::new("dust_tok_secret"));
    client.connect();
    let message = format!("{}dust_tok_secret\n{}", "no ".repeat(62), "no ".repeat(1_000_000));
    let reason = json!({"reason": "missing_scope", "scope": "dust_tok_secret", "message": message});
    client.replies(&json!("1"), "error", reason);
    let Some(StoreState::Refused(error)) = client.states.last() else { panic!("it is refused") };
    let text = format!("{error} {error:?}");
    assert!(text.len() < 1_500 && !text.contains("dust_tok") && text.contains("[token]"), "{text}");

    let mut client = Client::live(0);
    client.session.keep_secret(crate::config::Token::new("dust_tok_secret"));
    let id = client.write();
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!("the token dust_tok_secret has no access"));
    let text = format!("{:?}", client.answer(id).unwrap());
    assert!(text.contains("[token]") && !text.contains("dust_tok"), "{text}");
}

#[test]
fn frames_of_unknown_topics_are_ignored() {
    let mut client = Client::live(0);
    client.session.frame(client.now, "not json");
    client.raw(json!(["1", null, "store:acme/else", "event", {"store_seq": 1, "op": "set", "path": "p", "value": 1}]));
    client.raw(json!([null, "77", TOPIC, "phx_reply", {"status": "ok", "response": {"store_seq": 9}}]));
    client.raw(json!(["1", null, TOPIC, "presence_state", {}]));
    assert!(client.sent.is_empty() && client.applied.is_empty());
    client.session.command(
        client.now,
        CommandId(9),
        Command { store: StoreId(3), kind: CommandKind::CatchUp(0), wait: Duration::ZERO },
    );
    client.drain();
    assert_eq!(client.error(9), ErrKind::NotFound);
}
