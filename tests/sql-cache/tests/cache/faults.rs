//! A database that fails for a while.

use dust_emulator::Emulator;
use dust_orm::Transport;
use dust_orm::transport::RealtimeTransport;
use dust_protocol::Op;

use crate::support::*;

#[tokio::test]
async fn client_works_while_database_fails_and_saves_later() {
    everywhere("heals", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let cache = db.cache().await;
        set(&emulator, "a", "1");
        let client = client(&emulator).cache(db.cache().await).start().await.unwrap();
        client.flush_cache().await.unwrap();
        let transport = RealtimeTransport::new(&client, &emulator.store()).unwrap();
        let table = &db.table;
        for name in [table.clone(), format!("{table}_cursor")] {
            let before = client.status()[0].cached_seq;
            db.execute(&format!("ALTER TABLE {name} RENAME TO {table}_away")).await;
            for number in 0..50 {
                let write = Op::set(path(&format!("k/{}", number % 7)), raw(&number.to_string()));
                transport.write(vec![write], None).await.unwrap();
            }
            transport.write(vec![Op::delete(path("k/3"))], None).await.unwrap();
            assert!(client.flush_cache().await.is_err());
            transport.write(vec![Op::delete(path("k/4"))], None).await.unwrap();
            assert!(client.flush_cache().await.is_err());
            let last = transport.write(vec![Op::set(path("k/5/x"), raw("1"))], None).await.unwrap().store_seq;
            assert_eq!(mirrored(&client).await, stored(&emulator).await);
            assert_eq!(client.status()[0].cached_seq, before);
            db.execute(&format!("ALTER TABLE {table}_away RENAME TO {name}")).await;
            // The client repeats the save by itself.
            until(async || client.status()[0].cached_seq == last).await;
            assert_eq!(kept(&cache, &emulator.store()).await, (last.unwrap(), stored(&emulator).await));
        }
    })
    .await;
}

#[tokio::test]
async fn ops_missing_in_cache_are_fetched_again() {
    everywhere("refetched", async |db| {
        let emulator = Emulator::start().await.unwrap();
        set(&emulator, "a", "1");
        let lost = client(&emulator).cache(db.cache().await).start().await.unwrap();
        lost.flush_cache().await.unwrap();
        let table = &db.table;
        db.execute(&format!("ALTER TABLE {table} RENAME TO {table}_away")).await;
        let last = set(&emulator, "b", "2");
        until(async || lost.status()[0].seq == last).await;
        lost.shutdown().await;
        db.execute(&format!("ALTER TABLE {table}_away RENAME TO {table}")).await;
        assert_eq!(kept(&db.cache().await, &emulator.store()).await.0, 1);
        let again = client(&emulator).cache(db.cache().await).start().await.unwrap();
        caught_up(&again, last).await;
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (last, stored(&emulator).await));
    })
    .await;
}
