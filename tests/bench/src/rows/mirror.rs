//! Reads of a realtime client, from its mirror in memory.

use std::collections::HashMap;
use std::hint::black_box;

use dust_orm::DustRepo;
use sea_orm::sqlx::{self, Row as _};

use crate::Result;
use crate::entities::page::{self, page};
use crate::peers::{create_pages, sqlite};
use crate::plan::{Case, Plan};
use crate::server::{STORE, Server};
use crate::table::{Aim, Figure};

const MAP: &str = "HashMap of ready models";
const GET: &str = "get";
const LIVE: &str = "get of live records, shared";
const MISSING: &str = "find_by_id, none there";
const GET_ROW: &str = "get, beside a row";
const ALL: &str = "all of the records";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("mirror");
    if !plan.wants_any(&[GET, LIVE, MISSING, GET_ROW, ALL]) {
        return Ok(());
    }
    let scale = plan.scale;
    let (rounds, calls) = (scale.rounds, scale.calls(20_000));
    let server = Server::twins(&page::seed(0..scale.records)).await?;
    let client = server.client(STORE).start().await?;
    let repo = DustRepo::with_client(&client, STORE)?;
    let models: HashMap<String, page::Model> =
        (0..scale.records).map(page).map(|page| (page.slug.clone(), page)).collect();
    let slugs: Vec<String> = (0..calls).map(|number| page((number * 7919) % scale.records).slug).collect();
    let slug = |number: usize| slugs[number % calls].as_str();

    plan.compare(
        Case::new(GET, MAP, rounds, calls).aims(&[Aim::Most(Figure::Time(1_000.0))]),
        async |n| {
            black_box(models.get(black_box(slug(n))).cloned().ok_or("missing")?);
            Ok(())
        },
        async |n| {
            black_box(repo.get::<page::Entity>(black_box(slug(n))).await?);
            Ok(())
        },
    )
    .await?;

    let live = repo.live::<page::Entity>().await?;
    plan.compare(
        Case::new(LIVE, MAP, rounds, calls).aims(&[Aim::Most(Figure::Time(100.0))]),
        async |n| {
            black_box(models.get(black_box(slug(n))).cloned().ok_or("missing")?);
            Ok(())
        },
        async |n| {
            black_box(live.get(black_box(slug(n))).ok_or("missing")?);
            Ok(())
        },
    )
    .await?;

    plan.compare(
        Case::new(MISSING, MAP, rounds, calls),
        async |_| {
            black_box(models.get(black_box("page-none")).cloned());
            Ok(())
        },
        async |_| {
            black_box(repo.find_by_id::<page::Entity>(black_box("page-none")).await?);
            Ok(())
        },
    )
    .await?;

    if plan.wants(GET_ROW) {
        let db = sqlite(None).await?;
        create_pages(&db, scale.records).await?;
        let pool = db.get_sqlite_connection_pool();
        plan.compare(
            Case::new(GET_ROW, "sqlx, SQLite in memory", rounds, scale.calls(500)).on_many_threads(),
            async |n| {
                let query = sqlx::query("SELECT slug, title, url, note, visits FROM pages WHERE slug = ?");
                let row = query.bind(slug(n)).fetch_one(pool).await?;
                black_box(page::Model {
                    slug: row.try_get(0)?,
                    title: row.try_get(1)?,
                    url: row.try_get(2)?,
                    note: row.try_get(3)?,
                    visits: row.try_get(4)?,
                });
                Ok(())
            },
            async |n| {
                black_box(repo.get::<page::Entity>(black_box(slug(n))).await?);
                Ok(())
            },
        )
        .await?;
    }

    plan.compare(
        Case::new(ALL, MAP, rounds, 1).aims(&[Aim::Most(Figure::Time(20e6))]),
        async |_| {
            black_box(models.values().cloned().collect::<Vec<_>>());
            Ok(())
        },
        async |_| {
            black_box(repo.all::<page::Entity>().await?);
            Ok(())
        },
    )
    .await?;
    client.shutdown().await;
    Ok(())
}
