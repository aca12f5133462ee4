//! Stores that were restored from a backup.

use super::*;

#[test]
fn store_with_fewer_ops_is_fetched_into_a_copy() {
    let mut client = Client::live(50);
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 2);
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 2);
    client.event(Some(&join), 1, "x");
    client.event(Some(&join), 2, "x");
    assert!(client.applied.is_empty() && client.replaced.is_empty(), "the old mirror is still shown");
    client.says(&join, "catch_up_complete", json!({"through_seq": 2}));
    assert_eq!(client.replaced, [(2, 1)]);
    client.event(None, 3, "x");
    assert_eq!(client.applied, [3]);
}

#[test]
fn op_before_the_reply_to_a_join_is_no_restore() {
    let mut client = Client::live(3);
    client.event(None, 5, "after http");
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.event(None, 4, "late");
    assert_eq!(client.applied, [4, 5]);
    client.joined(&join, 4);
    assert_eq!(client.last_sent("phx_join")[1], join, "no other join");
}

#[test]
fn status_with_a_smaller_position_is_a_restore() {
    let mut client = Client::live(30);
    client.pass(ms(5_000));
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 29, "entry_count": 1}));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
}

/// Loses the connection and opens another. Returns the reference of the join, and the op after which it begins.
fn again(client: &mut Client) -> (String, u64) {
    client.lose();
    client.pass(ms(6_000));
    client.connect();
    let join = client.last_sent("phx_join").clone();
    (join[1].as_str().unwrap().to_owned(), join[4]["last_store_seq"].as_u64().unwrap())
}

#[test]
fn restored_store_that_has_grown_is_recognised_by_its_last_op() {
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    client.event(None, 2, "a-2");
    // The same store: its last op arrives again, and is not delivered again.
    let (join, from) = again(&mut client);
    assert_eq!(from, 1);
    client.joined(&join, 4);
    client.event(None, 4, "live");
    client.event(Some(&join), 2, "a-2");
    client.event(Some(&join), 3, "a-3");
    client.event(Some(&join), 4, "live");
    client.says(&join, "catch_up_complete", json!({"through_seq": 4}));
    assert_eq!((client.applied.as_slice(), client.replaced.len()), (&[1, 2, 3, 4][..], 0));
    assert!(client.states.last().unwrap().is_live());
    // On the same connection nothing is compared.
    client.event(None, 6, "hole");
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 4);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 6);
    client.event(Some(&join), 5, "a-5");
    client.event(Some(&join), 6, "hole");
    client.says(&join, "catch_up_complete", json!({"through_seq": 6}));

    // Another store: restored to op 3, and grown to 8 since. No op of it is applied to the old mirror.
    let (join, from) = again(&mut client);
    assert_eq!(from, 5);
    client.joined(&join, 8);
    client.event(None, 9, "b-9");
    client.event(None, 7, "b-7");
    client.event(Some(&join), 6, "b-6");
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 9);
    for seq in 1..=9 {
        client.event(Some(&join), seq, &format!("b-{seq}"));
    }
    client.says(&join, "catch_up_complete", json!({"through_seq": 9}));
    assert_eq!(client.applied, [1, 2, 3, 4, 5, 6]);
    assert_eq!(client.replaced, [(9, 1)]);
}

#[test]
fn cached_mirror_with_a_last_op_id_is_compared() {
    for (kept, is_same) in [("a-5", true), ("b-5", false)] {
        let mut client = Client::new(5);
        let session = std::mem::replace(&mut client.session, Session::new(Timing::default(), [], 0));
        assert_eq!(session.undetected_rewind_limit(StoreId(0)), 5);
        client.session = session.with_last_op(StoreId(0), Some(kept.into()));
        assert_eq!(client.session.undetected_rewind_limit(StoreId(0)), 0);
        client.connect();
        assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 4);
        client.joined("1", 6);
        client.event(Some("1"), 5, "a-5");
        client.event(Some("1"), 6, "a-6");
        let applied: &[u64] = if is_same { &[6] } else { &[] };
        assert_eq!(client.applied, applied);
        let last = if is_same { 4 } else { 0 };
        assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], last);
    }
}

#[test]
fn snapshot_replaces_the_mirror_where_the_last_op_is_not_in_the_log() {
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    let (join, from) = again(&mut client);
    assert_eq!(from, 0);
    client.joined(&join, 1);
    // The snapshot may be that of a store that was restored, and has grown to the same number of ops.
    client.says(&join, "snapshot", json!({"snapshot_seq": 1, "entries": {}}));
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    assert_eq!(client.replaced, [(1, 0)]);
    assert!(client.states.last().unwrap().is_live());
    // From then on there is nothing to compare, until an op arrives.
    assert_eq!(again(&mut client).1, 1);

    // A server that sends neither is accepted, and delays nothing.
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    let (join, _) = again(&mut client);
    client.joined(&join, 2);
    client.event(Some(&join), 2, "a-2");
    assert_eq!(client.applied, [1]);
    client.says(&join, "catch_up_complete", json!({"through_seq": 2}));
    assert_eq!(client.applied, [1, 2]);
    // After a lost connection in between the comparison is still due.
    let (join, _) = again(&mut client);
    client.joined(&join, 2);
    assert_eq!(again(&mut client).1, 1);
}
