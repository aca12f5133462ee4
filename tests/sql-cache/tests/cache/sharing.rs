//! One cache for several clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dust_emulator::Emulator;
use dust_orm::realtime::cache::Cache;
use dust_protocol::Mutation;

use crate::support::*;

#[tokio::test]
async fn two_clients_share_cache_of_one_store() {
    everywhere("sharing", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        let one = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let two = client(&emulator).cache(db.cache().await).start().await.unwrap();
        for round in 0..12_u64 {
            let seq = set(&emulator, &format!("k/{}", round % 5), &round.to_string());
            write(&emulator, &format!("k/{}", (round + 2) % 5), Mutation::Delete);
            // The second client finds the leaves in the cache.
            let (first, second) = if round % 3 == 0 { (&one, &two) } else { (&two, &one) };
            caught_up(first, seq + 1).await;
            assert_eq!(kept(&cache, &emulator.store()).await, (seq + 1, stored(&emulator).await));
            if round % 2 == 0 {
                caught_up(second, seq + 1).await;
                assert_eq!(second.status()[0].cached_seq, Some(seq + 1));
            }
            assert_eq!(kept(&cache, &emulator.store()).await, (seq + 1, stored(&emulator).await));
        }
        // Both at the same time.
        for number in 0..40 {
            set(&emulator, &format!("many/{number}"), "1");
            let (left, right) = tokio::join!(one.flush_cache(), two.flush_cache());
            left.and(right).unwrap();
        }
        caught_up(&one, 64).await;
        assert_eq!(kept(&cache, &emulator.store()).await, (64, stored(&emulator).await));
        one.shutdown().await;
        two.shutdown().await;
        assert_eq!(kept(&cache, &emulator.store()).await, (64, stored(&emulator).await));
    })
    .await;
}

#[tokio::test]
async fn client_that_is_behind_does_not_revert_cache() {
    everywhere("behind", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        set(&emulator, "a", "1");
        let behind = client(&emulator).cache(db.cache().await).start().await.unwrap();
        behind.flush_cache().await.unwrap();
        set(&emulator, "b", "2");
        // It stops in the middle of the missed ops.
        emulator.hold_catch_ups(0);
        let ahead = client(&emulator).cache(db.cache().await);
        let last = set(&emulator, "c", "3");
        // On a new connection the server sends its last op once more, for comparison.
        emulator.hold_catch_ups(2);
        emulator.disconnect_all();
        until(async || behind.status()[0].seq == 2).await;
        emulator.release_catch_ups();
        let ahead = ahead.start().await.unwrap();
        caught_up(&ahead, last).await;
        behind.flush_cache().await.unwrap();
        assert_eq!(behind.status()[0].cached_seq, Some(last));
        assert_eq!(kept(&cache, &emulator.store()).await, (last, stored(&emulator).await));
        caught_up(&behind, last).await;
        assert_eq!(kept(&cache, &emulator.store()).await, (last, stored(&emulator).await));
    })
    .await;
}

#[tokio::test]
async fn restored_or_emptied_cache_is_written_again() {
    everywhere("put_back", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        for number in 0..20 {
            set(&emulator, &format!("k/{number}"), "1");
        }
        let client = client(&emulator).cache(db.cache().await).start().await.unwrap();
        client.flush_cache().await.unwrap();
        let table = &db.table;
        // A backup is restored under the running client: another cursor, other leaves.
        db.execute(&format!("UPDATE {table}_cursor SET seq = 7")).await;
        db.execute(&format!("UPDATE {table} SET value = '0', revision = 1")).await;
        caught_up(&client, set(&emulator, "k/new", "2")).await;
        assert_eq!(kept(&cache, &emulator.store()).await, (21, stored(&emulator).await));
        for damage in [format!("DELETE FROM {table}_cursor"), format!("DELETE FROM {table}")] {
            db.execute(&damage).await;
            cache.clear("another/store").await.unwrap();
            if damage.ends_with("_cursor") {
                let seq = set(&emulator, "k/newer", "3");
                caught_up(&client, seq).await;
                assert_eq!(kept(&cache, &emulator.store()).await, (seq, stored(&emulator).await));
            }
        }
        cache.clear(&emulator.store()).await.unwrap();
        let seq = write(&emulator, "k/1", Mutation::Delete);
        caught_up(&client, seq).await;
        assert_eq!(kept(&cache, &emulator.store()).await, (seq, stored(&emulator).await));
    })
    .await;
}

/// A table of the application in the same database.
async fn row_of_the_application(db: &Db) {
    db.execute(&format!("CREATE TABLE IF NOT EXISTS {}_app (n INTEGER)", db.table)).await;
    db.execute(&format!("INSERT INTO {}_app VALUES (1)", db.table)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn application_writes_between_transactions_of_large_save() {
    everywhere("large", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        let count = 40_000;
        let object: Vec<String> = (0..count).map(|number| format!(r#""{number}":1"#)).collect();
        emulator.import(&emulator.store(), &format!(r#"{{"k":{{{}}}}}"#, object.join(","))).unwrap();
        let client = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let saved = AtomicBool::new(false);
        let flush = async {
            client.flush_cache().await.unwrap();
            saved.store(true, Ordering::Release);
        };
        let write = async {
            let mut unfinished = 0;
            while !saved.load(Ordering::Acquire) {
                let cursor = cache.read(&emulator.store()).await.unwrap().cursor().await.unwrap();
                if cursor.is_some_and(|cursor| cursor.unfinished.is_some()) {
                    row_of_the_application(db).await;
                    unfinished += 1;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            unfinished
        };
        let ((), unfinished) = tokio::join!(flush, write);
        assert!(unfinished > 0);
        db.execute(&format!("DROP TABLE {}_app", db.table)).await;
        let seq = client.status()[0].seq;
        assert_eq!(kept(&cache, &emulator.store()).await, (seq, mirrored(&client).await));
    })
    .await;
}

#[tokio::test]
async fn unfinished_cache_after_crash_is_replaced() {
    everywhere("unfinished", async |db| {
        let emulator = Emulator::start().await.unwrap();
        set(&emulator, "a", "1");
        set(&emulator, "b", "1");
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        let table = &db.table;
        db.execute(&format!("DELETE FROM {table} WHERE path = 'a'")).await;
        db.execute(&format!("UPDATE {table}_cursor SET unfinished = 'gone/7'")).await;
        let again = client(&emulator).cache(db.cache().await).start().await.unwrap();
        caught_up(&again, 2).await;
        assert_eq!(mirrored(&again).await, stored(&emulator).await);
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (2, stored(&emulator).await));
    })
    .await;
}

#[tokio::test]
async fn stores_of_one_client_are_kept_apart() {
    everywhere("stores", async |db| {
        let emulator = Emulator::builder().store("acme/main").store("acme/other").start().await.unwrap();
        let cache = db.cache().await;
        emulator.import("acme/main", r#"{"p":{"a":1}}"#).unwrap();
        emulator.import("acme/other", r#"{"p":{"A":2},"q":3}"#).unwrap();
        let both = client(&emulator).store("acme/other").cache(db.cache().await).start().await.unwrap();
        both.flush_cache().await.unwrap();
        for store in ["acme/main", "acme/other"] {
            let handle = emulator.store_handle(store).unwrap();
            let there = listed(&dust_orm::transport::EmbeddedTransport::new(handle)).await;
            assert_eq!(kept(&cache, store).await.1, there);
        }
        cache.clear("acme/other").await.unwrap();
        assert_eq!(kept(&cache, "acme/main").await.1.len(), 1);
    })
    .await;
}
