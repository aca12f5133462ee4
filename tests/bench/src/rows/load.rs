//! Concurrent writes of many tasks over one WebSocket.

use dust_orm::transport::{RealtimeTransport, Transport};
use dust_protocol::{Op, Path, RawJson};
use tokio::task::JoinSet;

use crate::Result;
use crate::plan::{Case, Plan};
use crate::server::{OTHER, STORE, Server};
use crate::table::Aim;

/// Measures the time of a write with few and with many tasks.
const SAME: &[Aim] = &[Aim::Ratio(1.15)];
const MANY_TASKS: &str = "set of a leaf, by 20,000 tasks";
const LARGE: &str = "set of 200 kB, by 80 tasks";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("realtime");
    let scale = plan.scale;
    if plan.wants(MANY_TASKS) {
        let (few, many) = (scale.calls(1_000), scale.calls(20_000));
        let (peer, dust) = (Writer::start(OTHER).await?, Writer::start(STORE).await?);
        let case = Case::new(MANY_TASKS, "as many writes, by 1,000 tasks", scale.few_rounds, 1);
        plan.compare(
            case.per(many).aims(SAME).on_many_threads(),
            async |_| peer.write(few, many / few, 20).await,
            async |_| dust.write(many, 1, 20).await,
        )
        .await?;
    }
    if plan.wants(LARGE) {
        let count = scale.calls(80);
        let (peer, dust) = (Writer::start(OTHER).await?, Writer::start(STORE).await?);
        let case = Case::new(LARGE, "as many writes, by one task", scale.few_rounds, 1);
        plan.compare(
            case.per(count).aims(SAME).on_many_threads(),
            async |_| peer.write(1, count, 200_000).await,
            async |_| dust.write(count, 1, 200_000).await,
        )
        .await?;
    }
    Ok(())
}

/// A client of a store without other users.
struct Writer {
    transport: RealtimeTransport,
    _server: Server,
}

impl Writer {
    async fn start(store: &str) -> Result<Writer> {
        let server = Server::twins("{}").await?;
        let client = server.client(store).start().await?;
        Ok(Writer { transport: RealtimeTransport::new(&client, store)?, _server: server })
    }

    /// Lets several tasks set a leaf of their own, each several times.
    async fn write(&self, tasks: usize, times: usize, bytes: usize) -> Result<()> {
        let value = RawJson::parse(&format!("\"{}\"", "x".repeat(bytes)))?;
        let mut writers = JoinSet::new();
        for task in 0..tasks {
            let (transport, value) = (self.transport.clone(), value.clone());
            let path = Path::parse(&format!("load/{task}"))?;
            writers.spawn(async move {
                for _ in 0..times {
                    transport.write(vec![Op::set(path.clone(), value.clone())], None).await?;
                }
                Ok::<_, dust_orm::DustErr>(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        Ok(())
    }
}
