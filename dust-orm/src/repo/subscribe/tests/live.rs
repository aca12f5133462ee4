use std::sync::atomic::Ordering;

use dust_protocol::testing::{near_op, near_path};
use proptest::prelude::*;

use super::gated::Gated;
use super::*;

fn titles(links: &Live<link::Entity>) -> Vec<String> {
    links.all().iter().map(|link| format!("{} {}", link.slug, link.title)).collect()
}

#[tokio::test]
async fn what_is_there_and_what_is_written_can_be_read_at_once() {
    let (repo, store) = memory();
    repo.insert(draft("old", "Old")).await.unwrap();
    let links = repo.live::<link::Entity>().await.unwrap();
    assert_eq!(*links.get("old").unwrap(), link("old", "Old"));
    repo.insert(draft("new", "1")).await.unwrap();
    assert_eq!(links.get("new").unwrap().title, "1");
    let seq = put(&store, "new", "2");
    assert_eq!((links.get("new").unwrap().title.as_str(), links.store_seq()), ("2", seq));
    assert!(links.contains_key("old") && !links.contains_key("none") && !links.contains_key(""));
    assert_eq!((links.len(), links.is_empty()), (2, false));
    repo.delete_by_id::<link::Entity>("old").await.unwrap();
    assert_eq!(titles(&links), ["new 2"]);
    emit(&store, "LINKS", Mutation::Delete);
    assert!(links.is_empty() && links.get("new").is_none());
}

#[tokio::test]
async fn models_are_decoded_once_and_shared() {
    let (repo, store) = memory();
    put(&store, "a", "1");
    let (links, others) = (repo.live::<link::Entity>().await.unwrap(), repo.live::<link::Entity>().await.unwrap());
    let first = links.get("a").unwrap();
    put(&store, "b", "1");
    for again in [links.get("a"), others.get("a"), links.clone().get("a"), others.all().first().cloned()] {
        assert!(Arc::ptr_eq(&first, &again.unwrap()), "another record is no reason to decode this one again");
    }
    put(&store, "a", "2");
    assert_eq!((first.title.as_str(), links.get("a").unwrap().title.as_str()), ("1", "2"), "what was read stays");
}

#[tokio::test]
async fn keys_with_escapes_are_found_by_what_they_are() {
    let (repo, _) = memory();
    let links = repo.live::<link::Entity>().await.unwrap();
    for key in ["a/b", "~", "*", "é ", "a~1b", "."] {
        repo.insert(draft(key, key)).await.unwrap();
        assert_eq!(links.get(key).unwrap().slug, key);
    }
    assert_eq!(links.len(), 6);
    let later = repo.live::<link::Entity>().await.unwrap();
    assert_eq!(later.get("a/b").unwrap().title, "a/b");
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_not_there() {
    let (repo, store) = memory();
    put(&store, "a", "1");
    set(&store, "links/half", json!({"title": "no url"}));
    let links = repo.live::<link::Entity>().await.unwrap();
    assert_eq!((titles(&links), links.len()), (vec!["a 1".to_owned()], 1));
    assert!(!links.contains_key("half"));
    emit(&store, "links/a/url", Mutation::Delete);
    assert!(links.get("a").is_none());
    set(&store, "links/half/url", json!("u"));
    set(&store, "links/a/url", json!("u"));
    assert_eq!(titles(&links), ["a 1", "half no url"]);
}

#[tokio::test]
async fn a_batch_is_seen_whole() {
    let (repo, _) = memory();
    let links = repo.live::<link::Entity>().await.unwrap();
    let reader = {
        let links = links.clone();
        std::thread::spawn(move || {
            loop {
                match links.all().as_slice() {
                    [] => {}
                    [left, right] if left.title == right.title => {
                        if left.title == "last" {
                            return;
                        }
                    }
                    torn => panic!("{torn:?}"),
                }
            }
        })
    };
    for title in (0..200).map(|round| round.to_string()).chain(["last".to_owned()]) {
        let both = ["left", "right"].map(|slug| crate::BatchEntry::insert(draft(slug, &title)));
        repo.batch_write(both).await.unwrap();
    }
    reader.join().unwrap();
}

#[tokio::test]
async fn while_the_records_are_read_again_the_last_known_are_shown() {
    let store = Store::in_memory().unwrap();
    let gated = Gated::new(&store);
    let repo = DustRepo::with_transport(gated.clone());
    for slug in ["a", "b", "c", "d"] {
        put(&store, slug, "1");
    }
    let links = repo.live::<link::Entity>().await.unwrap();
    let hub = repo.transport().op_hub().await.unwrap();
    gated.fails.store(true, Ordering::SeqCst);
    hub.resync(store.current_seq());
    put(&store, "a", "2");
    for _ in 0..5 {
        assert_eq!(links.get("a").unwrap().title, "1");
        assert_eq!(titles(&links), ["a 1", "b 1", "c 1", "d 1"]);
    }
    // The next op tries again, and each read advances it: two pages, each in two steps.
    gated.fails.store(false, Ordering::SeqCst);
    emit(&store, "links/b", Mutation::Delete);
    let polls = (0..20).position(|_| links.get("b").is_none()).unwrap();
    assert!((1..20).contains(&polls), "{polls}");
    assert_eq!(titles(&links), ["a 2", "c 1", "d 1"]);
    put(&store, "e", "1");
    assert_eq!((links.len(), links.store_seq()), (4, store.current_seq()));
}

#[tokio::test]
async fn it_stays_readable_after_the_end_and_lets_go_of_the_records_with_the_last_handle() {
    let (repo, store) = memory();
    put(&store, "a", "1");
    let links = repo.live::<link::Entity>().await.unwrap();
    let other = links.clone();
    assert_eq!(listeners(&repo).await, 1);
    drop(links);
    assert_eq!(listeners(&repo).await, 1);
    repo.transport().op_hub().await.unwrap().close();
    assert_eq!(titles(&other), ["a 1"]);
    drop(other);
    assert_eq!(listeners(&repo).await, 0);
}

#[tokio::test]
async fn subscribers_and_live_share_the_records() {
    let store = Store::in_memory().unwrap();
    let gated = Gated::new(&store);
    let repo = DustRepo::with_transport(gated.clone());
    put(&store, "a", "1");
    let mut changes = repo.subscribe::<link::Entity>().await.unwrap();
    let lists = gated.lists.load(Ordering::SeqCst);
    let links = repo.live::<link::Entity>().await.unwrap();
    assert_eq!(gated.lists.load(Ordering::SeqCst), lists, "nothing is read again");
    put(&store, "b", "1");
    assert_eq!(waiting(&mut changes), [upserted("b", "1")]);
    assert_eq!(titles(&links), ["a 1", "b 1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any commits, it returns the same as a read of all records.
    #[test]
    fn shows_what_the_store_has(
        start in prop::collection::vec((near_path(), near_op()), 0..8),
        later in prop::collection::vec((near_path(), near_op()), 0..12),
    ) {
        let write = |store: &Store, (path, op): (Path, Mutation)| {
            // The keys of these links are also at the prefix and above it; some ops are refused, as by a server.
            let path = Path::parse(&format!("links/{path}")).unwrap();
            let _ = store.write(Op::new(path, op), None, &Origin::new("phone", "1"));
        };
        let (repo, store) = memory();
        for slug in ["a", "b"] {
            put(&store, slug, "1");
        }
        start.into_iter().for_each(|step| write(&store, step));
        futures_util::FutureExt::now_or_never(async {
            let links = repo.live::<link::Entity>().await.unwrap();
            for step in later {
                write(&store, step);
                let all = repo.all::<link::Entity>().await.unwrap();
                let shown: Vec<link::Model> = links.all().iter().map(|link| link::Model::clone(link)).collect();
                assert_eq!(shown, all);
                assert_eq!(links.len(), all.len());
                for link in all {
                    assert_eq!(links.get(&link.slug).as_deref(), Some(&link));
                }
            }
        })
        .expect("nothing waits");
    }
}
