//! Joins on open channels, and channels that do not answer.

use super::*;

const OTHER: &str = "store:acme/other";

/// Answers the last message of this event, with the topic's store at `seq`.
fn answer(client: &mut Client, event: &str, seq: u64) {
    let reference = client.last_sent(event)[1].clone();
    let response = if event == "status" { json!({"current_seq": seq}) } else { json!({"store_seq": seq}) };
    client.replies(&reference, "ok", response);
}

/// Answers the last join, and completes its catch-up.
fn catch_up(client: &mut Client, seq: u64) {
    let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&reference, seq);
    client.says(&reference, "catch_up_complete", json!({"through_seq": seq}));
}

fn count(client: &Client, event: &str) -> usize {
    client.sent.iter().filter(|frame| frame[3] == event).count()
}

fn is_live(client: &Client) -> bool {
    client.states.last().unwrap().is_live()
}

#[test]
fn hole_is_joined_for_after_every_answer_and_nothing_is_sent_meanwhile() {
    let mut client = Client::live(3);
    let sent = [client.write(), client.write()];
    let references: Vec<Value> = client.sent.iter().map(|frame| frame[1].clone()).collect();
    client.event(None, 5, "other");
    let held = client.write();
    assert_eq!(client.sent_events(), ["write", "write"], "no join before the answers, and no third write");
    client.replies(&references[0], "ok", json!({"store_seq": 6}));
    assert!(client.sent.is_empty());
    client.replies(&references[1], "ok", json!({"store_seq": 7}));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 3);
    let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&reference, 7);
    client.last_sent("write");
    assert!(client.answer(held).is_none());
    for seq in 4..=7 {
        client.event(Some(&reference), seq, "other");
    }
    client.says(&reference, "catch_up_complete", json!({"through_seq": 7}));
    assert!(sent.iter().all(|id| client.answer(*id).unwrap().is_ok()));
    assert!(is_live(&client));
}

#[test]
fn unanswered_status_delays_a_join_as_a_write_does() {
    let mut client = Client::live(3);
    client.pass(ms(5_000));
    client.last_sent("status");
    client.event(None, 5, "other");
    client.last_sent("status");
    answer(&mut client, "status", 5);
    client.last_sent("phx_join");
}

#[test]
fn a_hole_that_closes_by_itself_is_not_joined_for() {
    let mut client = Client::live(3);
    client.write();
    client.event(None, 5, "other");
    let held = client.write();
    client.event(None, 4, "other");
    assert_eq!(client.sent_events(), ["write", "write"], "what was held is sent");
    assert!(is_live(&client) && client.answer(held).is_none());
}

#[test]
fn rewound_store_is_joined_again_after_every_answer() {
    let mut client = Client::live(3);
    client.pass(ms(5_000));
    let status = client.last_sent("status")[1].clone();
    client.write();
    let write = client.last_sent("write")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 1}));
    client.last_sent("write");
    client.replies(&write, "ok", json!({"store_seq": 2}));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
}

#[test]
fn write_whose_op_arrived_without_reply_is_settled_after_grace() {
    let mut client = Client::live(3);
    let id = client.write();
    let op = client.op_id();
    client.event(None, 4, &op);
    client.event(None, 6, "other");
    client.pass(ms(249));
    client.last_sent("write");
    client.pass(ms(1));
    client.last_sent("phx_join");
    assert!(client.answer(id).unwrap().is_ok());
}

#[test]
fn constant_writes_do_not_keep_a_hole_open() {
    let mut client = Client::live(0);
    let mut seq = 0;
    (0..4).for_each(|_| _ = client.write());
    let mut answered = 0;
    let mut in_flight: std::collections::VecDeque<Value> = client.sent.drain(..).collect();
    // An op over HTTP leaves a hole; each answered writer writes again at once.
    seq += 1;
    while let Some(frame) = in_flight.pop_front() {
        if frame[3] == "phx_join" {
            break;
        }
        seq += 1;
        answered += 1;
        let op = frame[4]["client_op_id"].as_str().unwrap().to_owned();
        client.event(None, seq, &op);
        client.replies(&frame[1], "ok", json!({"store_seq": seq}));
        client.write();
        in_flight.extend(client.sent.drain(..));
    }
    assert_eq!(answered, 4, "the join comes after the answers to what was under way");
    assert!(in_flight.is_empty());
}

#[test]
fn messages_beyond_64_unanswered_follow_in_order() {
    let mut client = Client::live(0);
    let ids: Vec<u64> = (0..100).map(|_| client.write()).collect();
    assert_eq!(count(&client, "write"), 64);
    for seq in 1..=100 {
        let frame = client.sent[seq as usize - 1].clone();
        let op = frame[4]["client_op_id"].as_str().unwrap().to_owned();
        client.event(None, seq, &op);
        client.replies(&frame[1], "ok", json!({"store_seq": seq}));
        assert_eq!(count(&client, "write"), (64 + seq as usize).min(100));
    }
    let order: Vec<u64> = client.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(order, ids);
}

#[test]
fn channel_without_answers_is_joined_again_and_then_moved_to_another_socket() {
    let mut client = Client::live(3);
    let id = client.write();
    client.pass(ms(9_999));
    assert_eq!((count(&client, "phx_join"), client.disconnects), (0, 0));
    client.pass(ms(200));
    assert_eq!((count(&client, "phx_join"), client.disconnects), (1, 0), "on the same socket first");
    assert!(matches!(client.states.last(), Some(StoreState::Offline)), "its mirror is not taken for the store");
    catch_up(&mut client, 3);
    assert!(!is_live(&client), "it is believed when it has answered a status");
    client.pass(ms(0));
    client.last_sent("status");
    client.pass(ms(2_000));
    let text = client.answer(id).unwrap().as_ref().unwrap_err().to_string();
    assert!(text.contains("the server did not answer it, nor anything else on its channel"), "{text}");
    client.pass(ms(8_000));
    assert_eq!((client.disconnects, client.connects), (1, 1), "joining again did not help");
    client.pass(ms(10));
    assert_eq!(client.connects, 2);
    client.connect();
    catch_up(&mut client, 3);
    client.pass(ms(0));
    answer(&mut client, "status", 3);
    assert!(is_live(&client));
    // The next time is a first one again.
    client.write();
    client.sent.clear();
    client.pass(ms(10_200));
    assert_eq!((count(&client, "phx_join"), client.disconnects), (1, 1));
}

#[test]
fn lost_replies_to_status_are_noticed_although_writes_are_answered() {
    let mut client = Client::live(0);
    for seq in 1..=15 {
        client.pass(ms(1_000));
        if count(&client, "phx_join") > 0 {
            break;
        }
        client.write();
        let op = client.op_id();
        client.event(None, seq, &op);
        answer(&mut client, "write", seq);
    }
    assert_eq!((count(&client, "status"), client.now), (1, ms(15_000)));
    client.pass(ms(200));
    client.last_sent("phx_join");
    assert!(matches!(client.states.last(), Some(StoreState::Offline)));
}

#[test]
fn stalled_catch_up_is_given_up_although_writes_are_answered_with_a_limit_that_doubles() {
    let mut client = Client::new(3);
    client.connect();
    client.joined("1", 9);
    client.event(Some("1"), 4, "other");
    let began = client.now;
    for seq in 10..18 {
        client.pass(ms(1_000));
        client.write();
        answer(&mut client, "write", seq);
    }
    client.sent.clear();
    client.pass(ms(1_999));
    assert!(client.sent.is_empty());
    client.pass(ms(200));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 3, "with the last op, to compare it");
    assert!(client.now - began < ms(10_500));
    let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&reference, 17);
    client.sent.clear();
    client.pass(ms(19_000));
    assert_eq!(client.disconnects, 0, "it is given twice the time");
    client.pass(ms(1_001));
    assert_eq!(client.disconnects, 1);
}

#[test]
fn unanswered_join_is_repeated_and_then_moved_to_another_socket() {
    let mut client = Client::new(0);
    client.connect();
    client.pass(ms(10_200));
    assert_eq!((count(&client, "phx_join"), client.disconnects), (2, 0));
    client.pass(ms(10_000));
    assert_eq!((count(&client, "phx_join"), client.disconnects), (2, 1));
}

#[test]
fn hanging_channel_keeps_the_socket_of_other_stores_the_first_time() {
    let mut client = Client::over([("acme/main".to_owned(), 0), ("acme/other".to_owned(), 0)]);
    client.connect();
    client.joined("1", 0);
    client.says("1", "catch_up_complete", json!({"through_seq": 0}));
    let response = json!({"store_seq": 0, "permissions": {"read": true, "write": true}, "scopes": []});
    client.raw(json!([null, "2", OTHER, "phx_reply", {"status": "ok", "response": response}]));
    client.raw(json!(["2", null, OTHER, "catch_up_complete", {"through_seq": 0}]));
    client.sent.clear();
    let kind = CommandKind::Write { op: Op::set(path("p"), RawJson::null()), fence: None };
    client.session.command(client.now, CommandId(50), Command { store: StoreId(1), kind, wait: ms(0) });
    client.drain();
    let reference = client.last_sent("write")[1].clone();
    client.write();
    client.pass(ms(9_000));
    for frame in client.sent.clone().iter().filter(|frame| frame[2] == OTHER && frame[3] == "status") {
        let response = json!({"status": "ok", "response": {"current_seq": 0}});
        client.raw(json!([null, frame[1], OTHER, "phx_reply", response]));
    }
    client.pass(ms(1_200));
    let joined: Vec<&Value> =
        client.sent.iter().filter(|frame| frame[3] == "phx_join").map(|frame| &frame[2]).collect();
    assert!(joined.contains(&&json!(TOPIC)), "{joined:?}");
    assert_eq!(client.disconnects, 0);
    assert!(client.answer(50).is_none());
    let op = json!({"store_seq": 1, "op": "set", "path": "p", "value": null, "device_id": "d", "client_op_id": "x"});
    client.raw(json!([null, null, OTHER, "event", op]));
    client.raw(json!([null, reference, OTHER, "phx_reply", {"status": "ok", "response": {"store_seq": 1}}]));
    assert!(client.answer(50).unwrap().is_ok());
}

#[test]
fn large_message_extends_the_wait_for_its_answer_by_its_upload() {
    let mut client = Client::unasking(0);
    let megabytes = RawJson::parse(&format!("\"{}\"", "x".repeat(4 << 20))).unwrap();
    client.ask(CommandKind::Write { op: Op::set(path("p"), megabytes), fence: None }, false);
    client.sent.clear();
    client.pass(ms(26_000));
    assert_eq!(count(&client, "phx_join"), 0);
    client.pass(ms(1_000));
    assert_eq!(count(&client, "phx_join"), 1);
}

#[test]
fn status_is_requested_soon_after_http_writes_and_rarely_without() {
    let mut client = Client::live(0);
    let mut asked = vec![];
    let mut seq = 0;
    for at in 0..3_500 {
        // Others write over HTTP after ten seconds.
        if at == 1_000 {
            seq = 2;
        }
        client.sent.clear();
        client.pass(ms(10));
        if count(&client, "status") > 0 {
            asked.push(client.now);
            answer(&mut client, "status", seq);
        } else if count(&client, "phx_join") > 0 {
            let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
            client.joined(&reference, seq);
            (1..=seq).for_each(|seq| client.event(Some(&reference), seq, "other"));
            client.says(&reference, "catch_up_complete", json!({"through_seq": seq}));
        }
    }
    let gaps: Vec<u128> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(asked[0], ms(5_000));
    assert_eq!(gaps, [5_000, 5_000, 500, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
}

/// Lets time pass until something holds, with a server whose answers take 20 ms and whose store is at `stored`. `due`
/// has what is not answered yet, and when it is.
fn serve(client: &mut Client, due: &mut Vec<(Duration, Value)>, stored: u64, until: impl Fn(&Client) -> bool) {
    while !until(client) {
        client.pass(ms(5));
        let sent = client.sent.drain(..).map(|frame| (client.now + ms(20), frame));
        due.extend(sent);
        while due.first().is_some_and(|(at, _)| *at <= client.now) {
            let (_, frame) = due.remove(0);
            if frame[3] == "status" {
                client.replies(&frame[1], "ok", json!({"current_seq": stored}));
            } else if frame[3] == "phx_join" {
                let reference = frame[1].as_str().unwrap().to_owned();
                client.joined(&reference, stored);
                let from = frame[4]["last_store_seq"].as_u64().unwrap();
                (from + 1..=stored).for_each(|seq| client.event(Some(&reference), seq, "other"));
                client.says(&reference, "catch_up_complete", json!({"through_seq": stored}));
            } else {
                client.is_alive();
            }
        }
    }
}

#[test]
fn http_writes_of_others_arrive_within_the_time_of_the_guide() {
    let has = |seq: u64| move |client: &Client| client.applied.last().is_some_and(|last| *last >= seq);
    for offset in (0..5_250).step_by(125) {
        for pause in [0, 100, 250, 700, 1_500, 3_000, 4_500, 9_000, 20_000] {
            let (mut client, mut due) = (Client::live(0), vec![]);
            let written = ms(20_000 + offset);
            serve(&mut client, &mut due, 0, |client| client.now >= written);
            serve(&mut client, &mut due, 1, has(1));
            let first = client.now - written;
            assert!(first <= ms(5_500), "the first write is seen after {first:?}");
            let seen = client.now;
            serve(&mut client, &mut due, 1, |client| client.now >= seen + ms(pause));
            let written = client.now;
            serve(&mut client, &mut due, 2, has(2));
            let lag = client.now - written;
            let bound = ms((pause + 600).min(5_500));
            assert!(lag <= bound, "a write {pause} ms after the first one is seen after {lag:?}");
        }
    }
}

#[test]
fn answered_position_replaces_ops_known_before_the_request() {
    let mut client = Client::unasking(3);
    client.session.advance_known_seq(client.now, StoreId(0), 100);
    client.drain();
    catch_up(&mut client, 3);
    assert_eq!(client.positions.last(), Some(&(0, 3)));
    assert!(is_live(&client));
    client.sent.clear();
    client.pass(ms(4_000));
    assert_eq!(count(&client, "phx_join"), 0, "there is no op 100 to join for");
    // An op that is known after the request counts.
    client.session.advance_known_seq(client.now, StoreId(0), 4);
    client.drain();
    let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.session.advance_known_seq(client.now, StoreId(0), 5);
    client.joined(&reference, 4);
    client.event(Some(&reference), 4, "other");
    client.says(&reference, "catch_up_complete", json!({"through_seq": 4}));
    assert!(!is_live(&client), "op 5 is missing");
}
