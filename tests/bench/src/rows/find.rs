//! A page of 50 records from the middle of a list, over HTTP and from memory.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;

use dust_orm::DustRepo;

use crate::Result;
use crate::entities::page::{self, draft, page};
use crate::peers::ByHand;
use crate::plan::{Case, Plan};
use crate::server::{STORE, Server};
use crate::table::{Aim, Figure};

/// Records of a page.
const PAGE: usize = 50;
const HTTP: &str = "50 of many, over HTTP";
const MIRROR: &str = "50 of many, from the mirror";
const EMBEDDED: &str = "50 of many, embedded";
const MAP: &str = "range of a BTreeMap of ready models";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("find");
    let records = plan.scale.many_records;
    if plan.wants_any(&[HTTP, MIRROR]) {
        let server = Server::twins(&page::seed(0..records)).await?;
        if plan.wants(HTTP) {
            over_http(plan, &server).await?;
        }
        if plan.wants(MIRROR) {
            let client = server.client(STORE).start().await?;
            from_memory(plan, MIRROR, &DustRepo::with_client(&client, STORE)?).await?;
            client.shutdown().await;
        }
    }
    if plan.wants(EMBEDDED) {
        let repo = DustRepo::embedded();
        repo.insert_many((0..records).map(draft)).await?;
        from_memory(plan, EMBEDDED, &repo).await?;
    }
    Ok(())
}

/// The slug before the n-th page.
fn before(plan: &Plan) -> impl Fn(usize) -> String + use<> {
    let records = plan.scale.many_records;
    move |number| page((number * 7919) % (records - PAGE)).slug
}

async fn over_http(plan: &mut Plan, server: &Server) -> Result<()> {
    let (by_hand, repo) = (ByHand::new(server, STORE)?, server.repo(STORE)?);
    let (rounds, calls, before) = (plan.scale.rounds, plan.scale.calls(100), before(plan));
    if by_hand.page_after(&before(1), PAGE).await?
        != repo.find::<page::Entity>().after(before(1)).first(50).all().await?
    {
        return Err("dust-orm and its peer have not read the same".into());
    }
    plan.compare(
        Case::new(HTTP, "reqwest and serde by hand", rounds, calls).aims(&[Aim::Ratio(1.03)]),
        async |n| {
            black_box(by_hand.page_after(&before(n), PAGE).await?);
            Ok(())
        },
        async |n| {
            black_box(repo.find::<page::Entity>().after(before(n)).first(PAGE as u64).all().await?);
            Ok(())
        },
    )
    .await
}

async fn from_memory(plan: &mut Plan, what: &str, repo: &DustRepo) -> Result<()> {
    let (rounds, calls, before) = (plan.scale.rounds, plan.scale.calls(500), before(plan));
    let models: BTreeMap<String, page::Model> =
        (0..plan.scale.many_records).map(page).map(|page| (page.slug.clone(), page)).collect();
    plan.compare(
        Case::new(what, MAP, rounds, calls).aims(&[Aim::Most(Figure::Time(50_000.0))]),
        async |n| {
            let range = models.range::<str, _>((Bound::Excluded(&*before(n)), Bound::Unbounded));
            black_box(range.take(PAGE).map(|(_, page)| page.clone()).collect::<Vec<_>>());
            Ok(())
        },
        async |n| {
            black_box(repo.find::<page::Entity>().after(before(n)).first(PAGE as u64).all().await?);
            Ok(())
        },
    )
    .await
}
