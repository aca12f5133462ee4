//! All records of an entity over HTTP: at once, and as a stream.

use std::hint::black_box;
use std::pin::pin;

use dust_protocol::{ListRequest, Pattern};
use futures_util::TryStreamExt;

use crate::entities::page::{self, LEAVES};
use crate::peers::ByHand;
use crate::plan::{Case, Plan};
use crate::server::{STORE, Server};
use crate::table::{Aim, Figure, Row};
use crate::{Result, alloc};

const BY_HAND: &str = "reqwest and serde by hand";
const ALL: &[Aim] = &[Aim::Ratio(1.03)];

const PER_LEAF: &str = "stream, CPU of a leaf";
const PEAK: &str = "stream, the most memory at a time";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("http");
    let scale = plan.scale;
    let names = [format!("all of {}", thousands(scale.records)), format!("all of {}", thousands(scale.many_records))];
    for (name, records, rounds) in
        [(&names[0], scale.records, scale.rounds), (&names[1], scale.many_records, scale.few_rounds)]
    {
        let is_large = records == scale.many_records;
        let is_wanted = plan.wants(name) || (is_large && plan.wants_any(&[PER_LEAF, PEAK]));
        if !is_wanted {
            continue;
        }
        let server = Server::twins(&page::seed(0..records)).await?;
        // No row writes, so that both can have the same store.
        let (by_hand, repo) = (ByHand::new(&server, STORE)?, server.repo(STORE)?);
        if by_hand.all().await? != repo.all::<page::Entity>().await? {
            return Err("dust-orm and its peer have not read the same".into());
        }
        plan.compare(
            Case::new(name, BY_HAND, rounds, 1).aims(ALL),
            async |_| {
                black_box(by_hand.all().await?);
                Ok(())
            },
            async |_| {
                black_box(repo.all::<page::Entity>().await?);
                Ok(())
            },
        )
        .await?;
        if is_large {
            stream(plan, &by_hand, &repo, records).await?;
        }
    }
    Ok(())
}

async fn stream(plan: &mut Plan, by_hand: &ByHand, repo: &dust_orm::DustRepo, records: usize) -> Result<()> {
    let read = async || -> Result<usize> {
        let mut pages = pin!(repo.stream::<page::Entity>());
        let mut count = 0;
        while let Some(page) = pages.try_next().await? {
            count += 1;
            black_box(page);
        }
        Ok(count)
    };
    plan.compare(
        Case::new(PER_LEAF, "all by hand", plan.scale.few_rounds, 1)
            .per(records * LEAVES)
            .cpu()
            .aims(&[Aim::Most(Figure::Time(1_000.0))]),
        async |_| {
            black_box(by_hand.all().await?);
            Ok(())
        },
        async |_| {
            read().await?;
            Ok(())
        },
    )
    .await?;
    if !plan.wants(PEAK) {
        return Ok(());
    }
    let transport = repo.transport();
    let request = ListRequest::pattern(Pattern::parse("pages/**")?);
    // Connections and their buffers exist already.
    let of_a_page = most(async || {
        black_box(transport.list(&request).await?);
        Ok(())
    });
    let of_a_page = of_a_page.await?;
    let of_the_stream = most(async || {
        if read().await? != records {
            return Err("the stream lacks records".into());
        }
        Ok(())
    });
    let of_the_stream = of_the_stream.await?;
    let (peer, dust) = (Figure::Memory(2.0 * of_a_page), Figure::Memory(of_the_stream));
    plan.add(Row::of(PEAK, "two pages by themselves", peer, dust).aims(&[Aim::Ratio(1.0)]));
    Ok(())
}

/// The peak memory of this thread during a future, minus the memory before it.
async fn most(call: impl AsyncFnOnce() -> Result<()>) -> Result<f64> {
    let before = alloc::live();
    alloc::reset_peak();
    call().await?;
    Ok((alloc::peak() - before) as f64)
}

/// A number with commas.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
