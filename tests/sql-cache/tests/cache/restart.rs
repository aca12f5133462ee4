//! The state of a client after a restart.

use dust_emulator::Emulator;
use dust_orm::error::ErrKind;
use dust_orm::realtime::StoreState;
use dust_orm::tests_cfg::link;
use dust_orm::transport::RealtimeTransport;
use dust_orm::{DustRepo, Transport};
use dust_protocol::{Mutation, Op};

use crate::support::*;

#[tokio::test]
async fn restart_resumes_from_cache() {
    everywhere("resume", async |db| {
        let emulator = Emulator::start().await.unwrap();
        set(&emulator, "links/a", r#"{"title":"A","n":1}"#);
        set(&emulator, "links/b", r#"{"title":"B"}"#);
        let first = client(&emulator).cache(db.cache().await).start().await.unwrap();
        // The server has dropped these ops: a client without them receives a snapshot, in which every revision is 2.
        let compacted = compact(&emulator);
        let second = set(&emulator, "links/b/note", "null");
        caught_up(&first, second).await;
        first.flush_cache().await.unwrap();
        assert_eq!(first.status()[0].cached_seq, Some(second));
        first.shutdown().await;
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (second, stored(&emulator).await));

        let third = set(&emulator, "links/c", "1");
        write(&emulator, "links/b", Mutation::Delete);
        let again = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let leaves = mirrored(&again).await;
        assert_eq!(leaves, stored(&emulator).await);
        assert_eq!((leaves["links/a/n"].2, leaves["links/c"].2), (1, third), "revisions that a snapshot does not have");
        again.shutdown().await;
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (third + 1, leaves));

        let without = client(&emulator).start().await.unwrap();
        assert_eq!(mirrored(&without).await["links/a/n"].2, compacted, "the snapshot's own");
    })
    .await;
}

#[tokio::test]
async fn restored_store_is_fetched_again() {
    everywhere("restored", async |db| {
        let emulator = Emulator::start().await.unwrap();
        for number in 0..3 {
            set(&emulator, &format!("k/{number}"), "1");
        }
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        let cursor = try_kept(&db.cache().await, &emulator.store()).await.unwrap().0.unwrap();
        assert!(cursor.last_op_id.is_some(), "{cursor:?}");
        // The cache was saved before the store was restored from a backup; the store now has more ops than the cache.
        let table = &db.table;
        db.execute(&format!("UPDATE {table} SET value = '0'")).await;
        db.execute(&format!("UPDATE {table}_cursor SET last_op_id = 'lost'")).await;
        let last = set(&emulator, "k/new", "2");
        let again = client(&emulator).cache(db.cache().await).start().await.unwrap();
        assert_eq!(mirrored(&again).await, stored(&emulator).await);
        again.flush_cache().await.unwrap();
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (last, stored(&emulator).await));
        again.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn cache_is_read_without_server() {
    everywhere("offline", async |db| {
        let mut emulator = Emulator::start().await.unwrap();
        set(&emulator, "links/dust", r#"{"title":"Dust","url":"u","note":null}"#);
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        emulator.go_down().await;
        let restarted = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let status = &restarted.status()[0];
        assert_eq!((status.seq, status.leaves, status.cached_seq), (1, 3, Some(1)));
        assert!(matches!(status.state, StoreState::Offline));
        let transport = RealtimeTransport::new(&restarted, &emulator.store()).unwrap();
        let repo = DustRepo::with_transport(std::sync::Arc::new(transport.clone()));
        let found = repo.find_by_id::<link::Entity>("dust").await.unwrap().unwrap();
        assert_eq!(found.title, "Dust");
        assert_eq!(repo.find_by_id::<link::Entity>("missing").await.unwrap(), None);
        let refused = transport.write(vec![Op::delete(path("p"))], None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrKind::Network);

        set(&emulator, "links/dust/title", "\"Dust, again\"");
        emulator.come_up().await.unwrap();
        caught_up(&restarted, 2).await;
        assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap().unwrap().title, "Dust, again");
        // An acknowledged write is in the mirror after the next restart.
        restarted.watch(&emulator.store()).unwrap().wait_for(StoreState::is_live).await.unwrap();
        transport.write(vec![Op::set(path("links/dust/note"), raw("\"mine\""))], None).await.unwrap();
        restarted.shutdown().await;
        emulator.go_down().await;
        let offline = client(&emulator).cache(db.cache().await).start().await.unwrap();
        assert_eq!(mirrored(&offline).await, stored(&emulator).await);
    })
    .await;
}

#[tokio::test]
async fn empty_store_is_cached_as_empty() {
    everywhere("empty", async |db| {
        let mut emulator = Emulator::start().await.unwrap();
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        emulator.go_down().await;
        let offline = client(&emulator).cache(db.cache().await).start().await.unwrap();
        assert_eq!(offline.status()[0].cached_seq, Some(0));
        assert!(mirrored(&offline).await.is_empty());
        // A store without a cache stays unknown.
        let other = client(&emulator).store("local/other").cache(db.cache().await).start().await.unwrap();
        let transport = RealtimeTransport::new(&other, "local/other").unwrap();
        assert_eq!(transport.get(&path("p")).await.unwrap_err().kind(), ErrKind::Network);
        other.shutdown().await;
        assert_eq!(try_kept(&db.cache().await, "local/other").await.unwrap().0, None);
    })
    .await;
}

#[tokio::test]
async fn snapshot_replaces_cache() {
    everywhere("snapshot", async |db| {
        let emulator = Emulator::start().await.unwrap();
        for number in 0..1500 {
            set(&emulator, &format!("old/{number:04}"), "1");
        }
        set(&emulator, "stays", "1");
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        write(&emulator, "old", Mutation::Delete);
        for number in 0..1500 {
            set(&emulator, &format!("new/{number:04}"), "2");
        }
        let through = compact(&emulator);
        let last = set(&emulator, "after", "3");
        let again = client(&emulator).cache(db.cache().await).start().await.unwrap();
        again.shutdown().await;
        let leaves = mirrored(&again).await;
        assert_eq!((leaves.len(), leaves["stays"].2, leaves["after"].2), (1502, through, last));
        assert_eq!(kept(&db.cache().await, &emulator.store()).await, (last, leaves));
        let (cursor, _) = try_kept(&db.cache().await, &emulator.store()).await.unwrap();
        assert_eq!(cursor.unwrap().inexact_through, through, "revisions are inexact after a restart, too");

        // A guard with such a revision still works: the client reads the exact one.
        let third = client(&emulator).cache(db.cache().await).start().await.unwrap();
        let transport = RealtimeTransport::new(&third, &emulator.store()).unwrap();
        let read = transport.get(&path("stays")).await.unwrap().unwrap();
        let precondition = Some(dust_protocol::Precondition::IfMatch(read.revision));
        let guarded = Op::set(path("stays"), raw("9")).on(precondition);
        assert_eq!(transport.write(vec![guarded], None).await.unwrap().store_seq, Some(last + 1));
    })
    .await;
}

#[tokio::test]
async fn store_with_fewer_ops_replaces_cache() {
    everywhere("rewound", async |db| {
        let emulator = Emulator::start().await.unwrap();
        for number in 0..5 {
            set(&emulator, &format!("before/{number}"), "1");
        }
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        let (port, token) = (emulator.address().port(), emulator.token().to_owned());
        emulator.stop().await;
        // Another store under the same name, with fewer ops.
        let restored = Emulator::builder().port(port).secret(token).start().await.unwrap();
        set(&restored, "before/0", "0");
        set(&restored, "other", "2");
        let again = client(&restored).cache(db.cache().await).start().await.unwrap();
        caught_up(&again, 2).await;
        assert_eq!(mirrored(&again).await, stored(&restored).await);
        assert_eq!(kept(&db.cache().await, &restored.store()).await, (2, stored(&restored).await));
        set(&restored, "more", "3");
        caught_up(&again, 3).await;
        assert_eq!(kept(&db.cache().await, &restored.store()).await, (3, stored(&restored).await));
    })
    .await;
}
