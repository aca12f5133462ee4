//! The table is the mirror as of the cursor, for any writes and any moment of a save.

use dust_emulator::Emulator;
use dust_protocol::{Mutation, RawJson};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Write(String, Mutation),
    /// Waits for the mirror, and writes it to the cache.
    Flush,
    /// Gives the mirror and the cache time to catch up.
    Restart,
    Compact,
    Disconnect,
}

fn at() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "A", "b", "aB", "é"]);
    prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        (-3..3_i64).prop_map(Value::from),
        Just(json!(1.50)),
        "[xy]{0,2}".prop_map(Value::from),
        Just(json!([1, 1.0, "x"])),
        Just(json!({"_type": "decimal", "_typed": "1.50"})),
        Just(json!({"a": 1, "A": {"b": "x"}, "b": {}})),
        Just(json!({})),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let raw = |value: Value| RawJson::from(&value);
    let op = prop_oneof![
        4 => value().prop_map(move |value| Mutation::Set(raw(value))),
        2 => Just(Mutation::Delete),
        2 => value().prop_map(move |value| Mutation::Merge(raw(json!({"b": value})))),
        1 => Just(Mutation::Increment(raw(json!(1)))),
        1 => Just(Mutation::Add(raw(json!("x")))),
    ];
    prop_oneof![
        16 => (at(), op).prop_map(|(at, op)| Step::Write(at, op)),
        3 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => Just(Step::Compact),
        1 => Just(Step::Disconnect),
    ]
}

async fn run(db: &Db, steps: Vec<Step>) {
    let emulator = Emulator::start().await.unwrap();
    let store = emulator.store_handle(&emulator.store()).unwrap();
    let cache = db.cache().await;
    cache.clear(&emulator.store()).await.unwrap();
    let mut running = client(&emulator).cache(db.cache().await).start().await.unwrap();
    for step in steps {
        match step {
            // An op that conflicts with the existing leaves is refused.
            Step::Write(at, op) => {
                let write = dust_protocol::Op::new(path(&at), op);
                let _ = store.write(write, None, &dust_store::Origin::new("other", "1"));
            }
            Step::Flush => {
                caught_up(&running, store.current_seq()).await;
                assert_eq!(kept(&cache, &emulator.store()).await, (store.current_seq(), mirrored(&running).await));
            }
            Step::Restart => {
                running.shutdown().await;
                let (seq, leaves) = (running.status()[0].seq, mirrored(&running).await);
                assert_eq!(kept(&cache, &emulator.store()).await, (seq, leaves));
                running = client(&emulator).cache(db.cache().await).start().await.unwrap();
            }
            Step::Compact => drop(store.compact().unwrap()),
            Step::Disconnect => emulator.disconnect_all(),
        }
    }
    caught_up(&running, store.current_seq()).await;
    let leaves = mirrored(&running).await;
    assert_eq!(kept(&cache, &emulator.store()).await, (store.current_seq(), leaves.clone()));
    // Without revisions, which a snapshot does not have.
    let values = |leaves: Leaves| leaves.into_iter().map(|(path, (value, ..))| (path, value)).collect::<Vec<_>>();
    assert_eq!(values(leaves), values(stored(&emulator).await));
    running.shutdown().await;
}

#[test]
fn table_is_mirror_as_of_cursor() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..60))| {
        runtime.block_on(everywhere("property", async |db| run(db, steps.clone()).await));
    });
}
