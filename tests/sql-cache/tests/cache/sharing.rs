//! Several clients, one cache.

use dust_emulator::Emulator;
use dust_orm::protocol::Op;

use crate::support::*;

#[tokio::test]
async fn two_clients_keep_one_store_together() {
    everywhere("sharing", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        let one = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let two = client(&emulator).cache(db.cache().await).start().await.unwrap();
        for round in 0..12_u64 {
            let seq = set(&emulator, &format!("k/{}", round % 5), &round.to_string());
            write(&emulator, &format!("k/{}", (round + 2) % 5), Op::Delete);
            // Whoever comes second finds it done.
            let (first, second) = if round % 3 == 0 { (&one, &two) } else { (&two, &one) };
            caught_up(first, seq + 1).await;
            assert_eq!(kept(&cache, &emulator.store()).await, (seq + 1, stored(&emulator).await));
            if round % 2 == 0 {
                caught_up(second, seq + 1).await;
                assert_eq!(second.status()[0].cached_seq, Some(seq + 1));
            }
            assert_eq!(kept(&cache, &emulator.store()).await, (seq + 1, stored(&emulator).await));
        }
        // Both at once, as it happens.
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
async fn one_that_is_behind_does_not_take_the_cache_back() {
    everywhere("behind", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        set(&emulator, "a", "1");
        let behind = client(&emulator).cache(db.cache().await).start().await.unwrap();
        behind.flush_cache().await.unwrap();
        set(&emulator, "b", "2");
        // It stops in the middle of what it missed.
        emulator.hold_catch_ups(0);
        let ahead = client(&emulator).cache(db.cache().await);
        let last = set(&emulator, "c", "3");
        // On a new connection the op that it has comes once more, to be compared.
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
async fn a_cache_that_was_put_back_or_emptied_is_written_anew() {
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
        let seq = write(&emulator, "k/1", Op::Delete);
        caught_up(&client, seq).await;
        assert_eq!(kept(&cache, &emulator.store()).await, (seq, stored(&emulator).await));
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
