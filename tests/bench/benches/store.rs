//! The verbs on the embedded store in memory, over ten thousand records of four fields: `cargo bench -p bench --bench store`.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use divan::{Bencher, black_box};
use dust_orm::DustRepo;
use dust_orm::entity::prelude::*;
use dust_orm::tests_cfg::link;

const RECORDS: usize = 10_000;

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn draft(number: usize) -> link::ActiveModel {
    link::ActiveModel {
        slug: Set(format!("page-{number:05}")),
        title: Set(format!("The title of page {number}")),
        url: Set(format!("https://example.com/pages/{number}")),
        note: Set(Some("a note of ordinary length".to_owned())),
    }
}

/// A repo with ten thousand records, a key and three leaves each.
fn filled(runtime: &tokio::runtime::Runtime) -> DustRepo {
    let repo = DustRepo::embedded();
    runtime.block_on(async { repo.insert_many((0..RECORDS).map(draft)).await }).unwrap();
    repo
}

#[divan::bench]
fn insert(bencher: Bencher) {
    let runtime = runtime();
    let repo = filled(&runtime);
    let mut number = RECORDS;
    bencher
        .with_inputs(|| {
            number += 1;
            draft(number)
        })
        .bench_local_values(|draft| runtime.block_on(async { repo.insert(draft).await }).unwrap());
}

#[divan::bench]
fn update_one_field(bencher: Bencher) {
    let runtime = runtime();
    let repo = filled(&runtime);
    let seen = runtime.block_on(repo.get::<link::Entity>("page-00042")).unwrap();
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            let mut edit = seen.clone().into_active_model();
            edit.title = Set(format!("title {number}"));
            edit
        })
        .bench_local_values(|edit| runtime.block_on(async { repo.update(edit).await }).unwrap());
}

#[divan::bench]
fn get_by_slug(bencher: Bencher) {
    let runtime = runtime();
    let repo = filled(&runtime);
    bencher.bench_local(|| runtime.block_on(repo.get::<link::Entity>(black_box("page-04242"))).unwrap());
}

#[divan::bench]
fn all_of_10_000(bencher: Bencher) {
    let runtime = runtime();
    let repo = filled(&runtime);
    bencher.bench_local(|| runtime.block_on(repo.all::<link::Entity>()).unwrap().len());
}

#[divan::bench]
fn insert_many_10_000(bencher: Bencher) {
    let runtime = runtime();
    bencher
        .with_inputs(|| (DustRepo::embedded(), (0..RECORDS).map(draft).collect::<Vec<_>>()))
        .bench_local_values(|(repo, drafts)| runtime.block_on(async { repo.insert_many(drafts).await }).unwrap().len());
}
