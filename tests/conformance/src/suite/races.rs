//! Several writers at once.

use std::future::Future;

use dust_orm::{BatchEntry, DustErr, DustRepo, ErrKind};
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    no_increment_is_lost_in_flat_mode,
    no_increment_is_lost_in_map_mode,
    no_increment_is_lost_inside_an_object,
    of_many_inserts_if_absent_one_wins,
    of_many_deletes_by_revision_one_wins,
    transfers_in_batches_keep_the_sum,
    writers_of_different_fields_do_not_disturb_each_other,
    readers_never_see_half_of_a_write,
];

const WRITERS: usize = 8;
const ROUNDS: usize = 3;

/// Runs one task for each writer, on several threads, and returns their results.
async fn writers<T, F>(cx: &Context, write: impl Fn(DustRepo, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(cx.repo.clone(), n))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// True if the write was applied, false if another was first.
fn won<T>(outcome: Result<T, DustErr>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
            false
        }
    }
}

/// Each conflict is caused by a successful write, which limits the number of conflicts.
fn assert_could_lose(times: usize) {
    assert!(times < WRITERS * ROUNDS, "lost {times} times, which is once too often");
}

async fn no_increment_is_lost_in_flat_mode(cx: &Context) {
    cx.repo.put(sample::flat::Model { integer: 0, ..sample::flat::bare("n") }).await.unwrap();
    writers(cx, |repo, _| async move {
        for _ in 0..ROUNDS {
            for tries in 0.. {
                assert_could_lose(tries);
                let seen = repo.find_versioned::<sample::flat::Entity>("n").await.unwrap().unwrap();
                tokio::task::yield_now().await;
                let integer = Set(seen.model.integer + 1);
                let edit = sample::flat::ActiveModel { integer, ..seen.model.into_active_model() };
                if won(repo.update(edit).if_match(&seen.revision).await) {
                    break;
                }
            }
        }
    })
    .await;
    let sum = cx.repo.get::<sample::flat::Entity>("n").await.unwrap().integer;
    assert_eq!(sum, (WRITERS * ROUNDS) as i64);
}

async fn no_increment_is_lost_in_map_mode(cx: &Context) {
    cx.repo.put(sample::map::Model { integer: 0, ..sample::map::bare("n") }).await.unwrap();
    writers(cx, |repo, writer| async move {
        for _ in 0..ROUNDS {
            for tries in 0.. {
                assert_could_lose(tries);
                let seen = repo.find_versioned::<sample::map::Entity>("n").await.unwrap().unwrap();
                tokio::task::yield_now().await;
                let integer = Set(seen.model.integer + 1);
                let edit = sample::map::ActiveModel { integer, ..seen.model.into_active_model() };
                let update = repo.update(edit);
                // Half of them have only the number of the revision.
                let update = match writer % 2 {
                    0 => update.if_match(&seen.revision),
                    _ => update.if_match(seen.revision.number()),
                };
                if won(update.await) {
                    break;
                }
            }
        }
    })
    .await;
    let sum = cx.repo.get::<sample::map::Entity>("n").await.unwrap().integer;
    assert_eq!(sum, (WRITERS * ROUNDS) as i64);
}

async fn no_increment_is_lost_inside_an_object(cx: &Context) {
    cx.repo.put(docs::flat::doc("n", &json!({"n": 0, "deep": {"n": 0}}))).await.unwrap();
    writers(cx, |repo, _| async move {
        for _ in 0..ROUNDS {
            for tries in 0.. {
                assert_could_lose(tries);
                let seen = repo.find_versioned::<docs::flat::Entity>("n").await.unwrap().unwrap();
                tokio::task::yield_now().await;
                let n = seen.model.value["n"].as_i64().unwrap() + 1;
                let mut edit = seen.model.into_active_model();
                edit.value = Set(json!({"n": n, "deep": {"n": n}}));
                if won(repo.update(edit).if_match(&seen.revision).await) {
                    break;
                }
            }
        }
    })
    .await;
    let sum = (WRITERS * ROUNDS) as i64;
    assert_eq!(cx.repo.get::<docs::flat::Entity>("n").await.unwrap().value, json!({"n": sum, "deep": {"n": sum}}));
}

async fn of_many_inserts_if_absent_one_wins(cx: &Context) {
    let outcomes = writers(cx, |repo, n| async move {
        let title = Set(format!("writer {n}"));
        let flat = repo.insert(link::ActiveModel { title, ..new_link("dust") }).if_absent().await;
        let owner = Set(Some(format!("writer {n}")));
        let map = repo.insert(setting::ActiveModel { owner, ..new_setting("theme") }).if_absent().await;
        (flat, map)
    })
    .await;
    let (flat, map): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    let winners: Vec<_> = flat.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners, [&cx.repo.get::<link::Entity>("dust").await.unwrap()]);
    assert!(flat.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.kind() == ErrKind::Exists));
    let winners: Vec<_> = map.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners, [&cx.repo.get::<setting::Entity>("theme").await.unwrap()]);
    assert!(map.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.kind() == ErrKind::Exists));
}

async fn of_many_deletes_by_revision_one_wins(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let revision = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap().revision;
    let outcomes = writers(cx, |repo, _| {
        let revision = revision.clone();
        async move { won(repo.delete_by_id::<link::Entity>("dust").if_match(revision).await) }
    })
    .await;
    assert_eq!(outcomes.into_iter().filter(|won| *won).count(), 1);
}

async fn transfers_in_batches_keep_the_sum(cx: &Context) {
    let account = |slug: &str, amount: i64| sample::map::Model { integer: amount, ..sample::map::bare(slug) };
    cx.repo.put(account("a", 100)).await.unwrap();
    cx.repo.put(account("b", 0)).await.unwrap();
    let moved: Vec<i64> = writers(cx, |repo, n| async move {
        let amount = n as i64 + 1;
        for tries in 0.. {
            assert_could_lose(tries);
            let from = repo.find_versioned::<sample::map::Entity>("a").await.unwrap().unwrap();
            let to = repo.find_versioned::<sample::map::Entity>("b").await.unwrap().unwrap();
            tokio::task::yield_now().await;
            let less = Set(from.model.integer - amount);
            let more = Set(to.model.integer + amount);
            let less = sample::map::ActiveModel { integer: less, ..from.model.into_active_model() };
            let more = sample::map::ActiveModel { integer: more, ..to.model.into_active_model() };
            let transfer =
                [BatchEntry::update(less).if_match(from.revision), BatchEntry::update(more).if_match(to.revision)];
            if won(repo.batch_write(transfer).await) {
                break;
            }
        }
        amount
    })
    .await;
    let accounts = cx.repo.all::<sample::map::Entity>().await.unwrap();
    let moved: i64 = moved.into_iter().sum();
    assert_eq!((accounts[0].integer, accounts[1].integer), (100 - moved, moved));
}

async fn writers_of_different_fields_do_not_disturb_each_other(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let edits = [
        link::ActiveModel { title: Set("T".to_owned()), ..link("dust").into_active_model() },
        link::ActiveModel { url: Set("U".to_owned()), ..link("dust").into_active_model() },
        link::ActiveModel { note: Set(None), ..link("dust").into_active_model() },
    ];
    for edit in edits {
        cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    }
    let expected = link::Model { slug: "dust".into(), title: "T".into(), url: "U".into(), note: None };
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), expected);
}

async fn readers_never_see_half_of_a_write(cx: &Context) {
    let written = |n: usize| link::Model { title: n.to_string(), url: n.to_string(), ..link("dust") };
    cx.repo.put(written(0)).await.unwrap();
    let writer = tokio::spawn({
        let repo = cx.repo.clone();
        async move {
            for n in 1..20 {
                repo.insert(written(n).into_active_model()).await.unwrap();
            }
        }
    });
    let mut last = 0;
    while last < 19 && !writer.is_finished() {
        let link = cx.repo.get::<link::Entity>("dust").await.unwrap();
        assert_eq!(link.title, link.url);
        let seen: usize = link.title.parse().unwrap();
        assert!(seen >= last, "a reader went back from {last} to {seen}");
        last = seen;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), written(19));
}
