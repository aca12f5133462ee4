use super::*;

/// Two stores on one connection, of which the first is joined with the reference 1 and the second with 2.
fn two() -> Client {
    // No join of the other store is answered, which is not to matter here.
    let timing = Timing { join: Duration::MAX, status: Duration::MAX, ..Timing::default() };
    let mut client = Client::timed(timing, [("acme/main".to_owned(), 3), ("acme/main2".to_owned(), 0)]);
    client.connect();
    client.joined("1", 3);
    client.says("1", "catch_up_complete", json!({"through_seq": 3}));
    client.sent.clear();
    client
}

const BEGINNING: &[u8] = br#"["2",null,"store:acme\/main2","snapshot",{"snapshot_seq":9,"entries":{"a":"#;

/// The topics that were joined.
fn joined(client: &mut Client) -> Vec<String> {
    let joins = client.sent.drain(..).filter(|frame| frame[3] == "phx_join");
    joins.map(|frame| frame[2].as_str().unwrap().trim_start_matches("store:").to_owned()).collect()
}

#[test]
fn store_with_too_long_a_frame_is_refused_alone_and_not_joined_on_the_next_connection() {
    let mut client = two();
    client.session.oversized(client.now, BEGINNING, 300, 200);
    client.lose();
    let Some(StoreState::Refused(error)) = client.states.iter().find(|state| matches!(state, StoreState::Refused(_)))
    else {
        panic!("{:?}", client.states)
    };
    assert_eq!(error.kind(), ErrKind::TooLarge);
    assert!(error.to_string().contains("`acme/main2`") && error.to_string().contains("300 bytes"), "{error}");
    client.pass(ms(100));
    client.connect();
    assert_eq!(joined(&mut client), ["acme/main"]);
    // A write to it says why at once.
    let write = CommandKind::Write { op: Op::delete(path("p")), fence: None };
    let command = Command { store: StoreId(1), kind: write, wait: Duration::MAX };
    client.session.command(client.now, CommandId(70), command);
    client.drain();
    assert_eq!(client.error(70), ErrKind::TooLarge);
}

#[test]
fn store_with_too_long_a_frame_is_joined_after_pauses_that_double() {
    let mut client = two();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        client.session.oversized(client.now, BEGINNING, 300, 200);
        client.lose();
        client.pass(ms(100));
        client.connect();
        let refused_at = client.now;
        while !joined(&mut client).contains(&"acme/main2".to_owned()) {
            client.now = client.session.next_wake().unwrap().max(client.now);
            client.is_alive();
            client.session.wake(client.now);
            client.drain();
        }
        pauses.push((client.now - refused_at).as_secs_f64().round() as u64);
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3840, 3840]);
}

#[test]
fn too_long_frame_without_topic_refuses_the_only_store_that_catches_up() {
    let mut client = two();
    client.session.oversized(client.now, b"[", 300, 200);
    client.lose();
    client.pass(ms(100));
    client.connect();
    assert_eq!(joined(&mut client), ["acme/main"]);
}

#[test]
fn long_unreadable_frame_refuses_its_store_and_a_short_one_does_not() {
    let mut client = two();
    let frame = |length: usize| format!(r#"["2",null,"store:acme/main2","snapshot",[{}]"#, "1,".repeat(length));
    client.session.frame(client.now, &frame(10));
    client.drain();
    assert!(!client.states.iter().any(|state| matches!(state, StoreState::Refused(_))));
    client.session.frame(client.now, &frame(1 << 20));
    client.drain();
    assert!(client.states.iter().any(|state| matches!(state, StoreState::Refused(_))));
    // The connection stays.
    assert_eq!((client.connects, client.disconnects), (1, 0));
}

#[test]
fn events_of_a_store_whose_mirror_is_too_large_are_ignored() {
    let mut client = Client::live(0);
    client.event(None, 1, "a");
    let error = DustErr::TooLarge { what: "the mirror".to_owned() };
    client.session.refuse(client.now, StoreId(0), 1, error);
    client.event(None, 2, "b");
    assert_eq!(client.applied, [1]);
    client.pass(ms(30_000));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 1);
}

#[test]
fn restarted_session_joins_a_store_that_was_too_large() {
    let mut client = two();
    client.session.oversized(client.now, BEGINNING, 300, 200);
    client.session.stop();
    client.session.start();
    client.drain();
    client.connect();
    assert_eq!(joined(&mut client), ["acme/main", "acme/main2"]);
}
