//! Writes over a WebSocket, one after the other: acknowledged, and in the mirror.

use dust_orm::DustRepo;
use dust_orm::entity::prelude::*;
use dust_orm::transport::{RealtimeTransport, Transport};
use dust_protocol::{Op, Path, RawJson};
use serde_json::json;

use crate::Result;
use crate::entities::page::{self, draft, page};
use crate::measure::calls_of;
use crate::peers::{Frame, Socket};
use crate::plan::{Case, Plan};
use crate::server::{OTHER, STORE, Server};
use crate::table::Aim;

const WRITE: &[Aim] = &[Aim::Ratio(1.1)];
const SET: &str = "set of a leaf, by the transport";
const UPDATE: &str = "update of a field";
const INSERT: &str = "insert, flat";

const NONE_LEFT: &str = "what is written is made for each call";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("realtime");
    if !plan.wants_any(&[SET, UPDATE, INSERT]) {
        return Ok(());
    }
    let scale = plan.scale;
    let (rounds, calls) = (scale.rounds, scale.calls(200));
    // The written values are prepared on both sides.
    let all = calls_of(rounds, calls);
    let server = Server::twins(&page::seed(0..scale.records)).await?;
    let client = server.client(STORE).start().await?;
    let repo = DustRepo::with_client(&client, STORE)?;
    let transport = RealtimeTransport::new(&client, STORE)?;
    let mut socket = Socket::join(&server, OTHER).await?;

    let case = |what| Case::new(what, "ready frames, bare WebSocket", rounds, calls).aims(WRITE);
    let old = |number: usize| page(number % scale.records);
    let title = |number: usize| format!("title {number}");
    let new = |number: usize| scale.records + number;
    let sets = |socket: &mut Socket| -> Result<std::vec::IntoIter<Frame>> {
        let frames = (0..all).map(|n| socket.set_title(&old(n).slug, &title(n)));
        Ok(frames.collect::<Result<Vec<_>>>()?.into_iter())
    };

    let mut frames = sets(&mut socket)?;
    let write = |n| -> Result<Op> {
        let path = Path::parse(&format!("pages/{}/title", old(n).slug))?;
        Ok(Op::set(path, RawJson::from(json!(title(n)))))
    };
    let mut writes = (0..all).map(write).collect::<Result<Vec<_>>>()?.into_iter();
    plan.compare(
        case(SET),
        async |_| socket.write(frames.next().ok_or(NONE_LEFT)?).await,
        async |_| {
            transport.write(vec![writes.next().ok_or(NONE_LEFT)?], None).await?;
            Ok(())
        },
    )
    .await?;

    let mut frames = sets(&mut socket)?;
    let edit = |n| page::ActiveModel { title: Set(title(n)), ..old(n).into_active_model() };
    let mut edits = (0..all).map(edit).collect::<Vec<_>>().into_iter();
    plan.compare(
        case(UPDATE),
        async |_| socket.write(frames.next().ok_or(NONE_LEFT)?).await,
        async |_| {
            repo.update(edits.next().ok_or(NONE_LEFT)?).await?;
            Ok(())
        },
    )
    .await?;

    let frames = (0..all).map(|n| socket.insert(&page(new(n))));
    let mut frames = frames.collect::<Result<Vec<_>>>()?.into_iter();
    let mut drafts = (0..all).map(|n| draft(new(n))).collect::<Vec<_>>().into_iter();
    plan.compare(
        case(INSERT),
        async |_| socket.write(frames.next().ok_or(NONE_LEFT)?).await,
        async |_| {
            repo.insert(drafts.next().ok_or(NONE_LEFT)?).await?;
            Ok(())
        },
    )
    .await?;
    server.check_twins()?;
    client.shutdown().await;
    Ok(())
}
