//! Calls for one record, and batches, over HTTP.

use dust_orm::entity::prelude::*;

use crate::Result;
use crate::entities::card::card;
use crate::entities::page::{self, LEAVES, draft, page};
use crate::measure::calls_of;
use crate::peers::ByHand;
use crate::plan::{Case, Plan};
use crate::server::{OTHER, STORE, Server};
use crate::table::Aim;

/// The aims of a call, compared with the client written by hand.
const CALL: &[Aim] = &[Aim::Ratio(1.03), Aim::Cpu(10.0), Aim::Allocations(15.0)];
/// The aims of two calls.
const TWO_CALLS: &[Aim] = &[Aim::Ratio(1.03), Aim::Cpu(20.0), Aim::Allocations(30.0)];

const BY_HAND: &str = "reqwest and serde by hand";

/// Records of a batch, which holds at most 1000 ops.
const BATCH_RECORDS: usize = 1000 / LEAVES;

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("http");
    let scale = plan.scale;
    let (rounds, calls) = (scale.rounds, scale.calls(200));
    // The numbers of deleted records follow those of the remaining ones, and the numbers of inserted records follow
    // them.
    let deleted = scale.records;
    let inserted = deleted + calls_of(rounds, calls);
    let server = Server::twins(&page::seed(0..inserted)).await?;
    let (by_hand, repo) = (ByHand::new(&server, OTHER)?, server.repo(STORE)?);
    let old = |number: usize| page((number * 7919) % scale.records).slug;
    let case = |what| Case::new(what, BY_HAND, rounds, calls).aims(CALL);

    plan.compare(
        case("get"),
        async |n| {
            by_hand.get(&old(n)).await?;
            Ok(())
        },
        async |n| {
            repo.get::<page::Entity>(old(n)).await?;
            Ok(())
        },
    )
    .await?;

    let new = |number: usize| inserted + number;
    plan.compare(
        case("insert, flat"),
        async |n| {
            by_hand.insert(&page(new(n))).await?;
            Ok(())
        },
        async |n| {
            repo.insert(draft(new(n))).await?;
            Ok(())
        },
    )
    .await?;

    plan.compare(
        Case::new("insert, flat, beside a request for each field", BY_HAND, rounds, scale.calls(50))
            .aims(&[Aim::Ratio(1.0 / 3.0)]),
        async |n| {
            by_hand.insert_by_puts(&page(new(n))).await?;
            Ok(())
        },
        async |n| {
            repo.insert(draft(new(n))).await?;
            Ok(())
        },
    )
    .await?;

    plan.compare(
        case("insert, map mode"),
        async |n| {
            by_hand.put_card(&card(n)).await?;
            Ok(())
        },
        async |n| {
            repo.insert(card(n).into_active_model().reset_all()).await?;
            Ok(())
        },
    )
    .await?;

    let title = |number: usize| format!("title {number}");
    plan.compare(
        case("update of a field"),
        async |n| {
            // It tests first if the record exists, so that it creates no partial record.
            let (mut page, _) = by_hand.get(&old(n)).await?;
            page.title = title(n);
            by_hand.set_title(&page.slug, &page.title, None).await?;
            Ok(())
        },
        async |n| {
            let edit = page::ActiveModel { slug: Unchanged(old(n)), title: Set(title(n)), ..Default::default() };
            repo.update(edit).await?;
            Ok(())
        },
    )
    .await?;

    plan.compare(
        case("read, and guarded update").aims(TWO_CALLS),
        async |n| {
            let (mut page, revision) = by_hand.get(&old(n)).await?;
            page.title = title(n);
            by_hand.set_title(&page.slug, &page.title, Some(revision)).await?;
            Ok(())
        },
        async |n| {
            let seen = repo.get_versioned::<page::Entity>(old(n)).await?;
            let mut edit = seen.model.into_active_model();
            edit.title = Set(title(n));
            repo.update(edit).if_match(&seen.revision).await?;
            Ok(())
        },
    )
    .await?;

    plan.compare(
        case("delete"),
        async |n| {
            by_hand.delete(&page(deleted + n).slug).await?;
            Ok(())
        },
        async |n| {
            repo.delete_by_id::<page::Entity>(page(deleted + n).slug).await?;
            Ok(())
        },
    )
    .await?;

    let batch = |number: usize| (0..BATCH_RECORDS).map(move |record| new(number * BATCH_RECORDS + record));
    plan.compare(
        Case::new("batch of 250 new records", BY_HAND, rounds, scale.calls(5)).aims(CALL),
        async |n| {
            by_hand.insert_many(&batch(n).map(page).collect::<Vec<_>>()).await?;
            Ok(())
        },
        async |n| {
            repo.insert_many(batch(n).map(draft)).await?;
            Ok(())
        },
    )
    .await?;
    server.check_twins()
}
