//! The embedded store and SQLite through SeaORM, for the same entity.

use std::hint::black_box;

use dust_orm::DustRepo;
use dust_orm::entity::prelude::*;

use crate::Result;
use crate::entities::page::{self, draft, page};
use crate::peers::{create_pages, sqlite};
use crate::plan::{Case, Plan};
use crate::table::{Aim, Figure};

const GET: &str = "get";
const ALL: &str = "all of the records";
const INSERT: &str = "insert";
const UPDATE: &str = "update of a field";
const INSERT_FILE: &str = "insert, into a file";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("embedded");
    if plan.wants_any(&[GET, ALL, INSERT, UPDATE]) {
        in_memory(plan).await?;
    }
    if plan.wants(INSERT_FILE) {
        in_a_file(plan).await?;
    }
    Ok(())
}

async fn in_memory(plan: &mut Plan) -> Result<()> {
    let scale = plan.scale;
    let repo = DustRepo::embedded();
    repo.insert_many((0..scale.records).map(draft)).await?;
    let db = sqlite(None).await?;
    create_pages(&db, scale.records).await?;
    let case =
        |what, calls| Case::new(what, "SeaORM, SQLite in memory", scale.rounds, scale.calls(calls)).on_many_threads();
    let old = |number: usize| page((number * 7919) % scale.records);

    plan.compare(
        case(GET, 500).aims(&[Aim::Most(Figure::Time(5_000.0))]),
        async |n| {
            black_box(page::Entity::find_by_id(old(n).slug).one(&db).await?.ok_or("missing")?);
            Ok(())
        },
        async |n| {
            black_box(repo.get::<page::Entity>(old(n).slug).await?);
            Ok(())
        },
    )
    .await?;

    plan.compare(
        case(ALL, 1).aims(&[Aim::Most(Figure::Time(20e6))]),
        async |_| {
            black_box(page::Entity::find().all(&db).await?);
            Ok(())
        },
        async |_| {
            black_box(repo.all::<page::Entity>().await?);
            Ok(())
        },
    )
    .await?;

    plan.compare(
        case(INSERT, 200),
        async |n| {
            black_box(draft(scale.records + n).insert(&db).await?);
            Ok(())
        },
        async |n| {
            black_box(repo.insert(draft(scale.records + n)).await?);
            Ok(())
        },
    )
    .await?;

    let edit = |number: usize| {
        let mut edit = old(number).into_active_model();
        edit.title = Set(format!("title {number}"));
        edit
    };
    plan.compare(
        case(UPDATE, 200),
        async |n| {
            black_box(edit(n).update(&db).await?);
            Ok(())
        },
        async |n| {
            black_box(repo.update(edit(n)).await?);
            Ok(())
        },
    )
    .await
}

/// Writes to a file; both wait for the disk.
async fn in_a_file(plan: &mut Plan) -> Result<()> {
    let scale = plan.scale;
    let directory = tempfile::tempdir()?;
    let repo = DustRepo::open(directory.path().join("store.redb"))?;
    repo.insert_many((0..scale.records).map(draft)).await?;
    let db = sqlite(Some(&directory.path().join("pages.db"))).await?;
    create_pages(&db, scale.records).await?;
    plan.compare(
        Case::new(INSERT_FILE, "SeaORM, SQLite in a file", scale.few_rounds, scale.calls(10)).on_many_threads(),
        async |n| {
            black_box(draft(scale.records + n).insert(&db).await?);
            Ok(())
        },
        async |n| {
            black_box(repo.insert(draft(scale.records + n)).await?);
            Ok(())
        },
    )
    .await
}
