//! The chaos run on real sockets: clients write, read and subscribe through proxies that cut, stall and truncate, with
//! a server that is killed and started again on its file.
//!
//! Only the plan of the faults depends on a seed; time is real.

mod check;
mod child;
mod load;
mod proxy;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use child::{ARGUMENT, serve};
use dust_orm::Transport;
use dust_orm::realtime::SyncClient;
use dust_orm::realtime::Timing;
use dust_orm::transport::RealtimeTransport;
use dust_protocol::{CommittedOp, ListRequest, Op, Pattern, RawJson};
use dust_store::Store;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::ledger;
use crate::violation::{Promise, Violation};
use child::Server;
use load::{History, Outcome, PATIENCE, Subject, lock};
use proxy::Proxy;

const CLIENTS: usize = 3;
/// Writers of each client.
const WRITERS: usize = 2;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of the faults and the writes.
    pub seed: u64,
    /// Duration of the faults.
    pub time: Duration,
    /// The program that runs an emulator, with [`ARGUMENT`] and a directory as its arguments.
    pub program: PathBuf,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Ops in the log.
    pub ops: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes that failed.
    pub failed: usize,
    /// Writes with an unknown outcome.
    pub unknown: usize,
    /// Number of these whose caller gave up.
    pub cancelled: u64,
    /// Reads.
    pub reads: usize,
    /// Ops that subscribers received.
    pub heard: usize,
    /// Number of kills of the server.
    pub kills: usize,
    /// Number of cut, stalled or truncated connections.
    pub faults: usize,
    /// Promises that were broken.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes { ops, acknowledged, failed, unknown, cancelled, reads, heard, kills, faults, violations } = self;
        for violation in violations.iter().take(20) {
            writeln!(f, "{violation}")?;
        }
        write!(
            f,
            "{ops} ops; writes: {acknowledged} acknowledged, {failed} failed, {unknown} unknown \
             ({cancelled} cancelled); \
             {reads} reads; {heard} ops received; {kills} kills, {faults} other faults; {} promises broken",
            violations.len()
        )
    }
}

/// The server's file, and all ops of its log, which a compaction empties.
struct File {
    path: PathBuf,
    log: Vec<CommittedOp>,
}

impl File {
    /// Reads the committed ops while no server has the store open.
    fn read(&mut self) -> Result<Store, String> {
        let store = Store::open(&self.path).map_err(|error| format!("after the kill: {error}"))?;
        while (self.log.len() as u64) < store.current_seq() {
            let page = store.ops_since(self.log.len() as u64, 1000).map_err(|error| error.to_string())?;
            if page.is_empty() {
                return Err(format!("the log ends at op {} of {}", self.log.len(), store.current_seq()));
            }
            self.log.extend(page);
        }
        Ok(store)
    }
}

/// Injects faults, then waits until all activity has ended, and checks the promises. An error is one of the run itself.
pub async fn run(options: Options) -> Result<Outcomes, String> {
    let Options { seed, time, program } = options;
    let mut dice = Dice::new(seed);
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = directory.path();
    let mut file = File { path: data.join(format!("{}.redb", child::STORE)), log: Vec::new() };
    let mut server = Server::start(&program, data).await?;
    let history = Arc::new(History::default());
    let mut outcomes = Outcomes::default();

    let (mut proxies, mut subjects, mut tasks, mut listeners) = (vec![], vec![], vec![], vec![]);
    for index in 0..CLIENTS {
        let proxy = Proxy::start().await.map_err(|error| error.to_string())?;
        proxy.lead_to(Some(server.address));
        let subject = connect(index, &proxy).await?;
        for writer in 0..WRITERS {
            let name = format!("c{index}w{writer}");
            tasks.push(tokio::spawn(load::write(subject.clone(), Arc::clone(&history), name, dice.roll())));
        }
        tasks.push(tokio::spawn(load::read(subject.clone(), Arc::clone(&history), dice.roll())));
        listeners.push(tokio::spawn(load::listen(subject.clone(), Arc::clone(&history))));
        proxies.push(proxy);
        subjects.push(subject);
    }

    let end = Instant::now() + time;
    let mut next_kill = Instant::now() + Duration::from_millis(dice.within(500, 1_500));
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(dice.within(10, 200))).await;
        let proxy = &proxies[dice.index(proxies.len())];
        outcomes.faults += 1;
        match dice.below(4) {
            0 => proxy.cut(),
            1 => proxy.stall(Duration::from_millis(dice.within(1, 1_500))),
            _ => proxy.truncate(dice.index(3_000)),
        }
        if next_kill <= Instant::now() {
            server.kill().await?;
            outcomes.kills += 1;
            let store = file.read()?;
            if dice.percent(40) {
                store.compact().map_err(|error| error.to_string())?;
            }
            drop(store);
            server = restart(&program, data, &proxies).await?;
            next_kill = Instant::now() + Duration::from_millis(dice.within(500, 2_500));
        }
    }

    // The writers end, then the running calls: a last kill, and a last write by each client.
    history.stops.store(true, Ordering::SeqCst);
    proxies.iter().for_each(Proxy::calm);
    for task in tasks {
        let ended = tokio::time::timeout(2 * PATIENCE, task).await;
        match ended {
            Ok(joined) => joined.map_err(|error| error.to_string())??,
            Err(_) => {
                let what = "a caller waits for ever".to_owned();
                outcomes.violations.push(Violation::new(Promise::EveryCallIsAnswered, what));
            }
        }
    }
    server.kill().await?;
    drop(file.read()?);
    server = restart(&program, data, &proxies).await?;
    let last = settle(&subjects).await;
    let shown = match last {
        Ok(()) => mirrors(&subjects).await?,
        Err(violation) => {
            outcomes.violations.push(violation);
            Vec::new()
        }
    };
    for subject in &subjects {
        subject.client.shutdown().await;
    }
    for listener in listeners {
        listener.await.map_err(|error| error.to_string())??;
    }
    server.kill().await?;
    let store = file.read()?;

    let everything = everything()?;
    let stored = ledger::stored(&store, &everything)?;
    for (client, shown) in shown.iter().enumerate() {
        // A snapshot has no revisions.
        if let Err(what) = ledger::same(shown, &stored, store.current_seq()) {
            let what = format!("client {client}: {what}");
            outcomes.violations.push(Violation::new(Promise::MirrorIsExact, what));
        }
    }
    outcomes.ops = file.log.len();
    outcomes.cancelled = history.cancelled.load(Ordering::SeqCst);
    outcomes.reads = lock(&history.reads).len();
    outcomes.heard = lock(&history.heard).iter().map(|heard| heard.iter().flatten().count()).sum();
    for write in lock(&history.written).iter() {
        match write.outcome {
            Outcome::Done(_) => outcomes.acknowledged += 1,
            Outcome::Failed(_) => outcomes.failed += 1,
            Outcome::Unknown => outcomes.unknown += 1,
        }
    }
    outcomes.violations.extend(check::check(&history, &file.log));
    Ok(outcomes)
}

fn everything() -> Result<Pattern, String> {
    Pattern::parse("**").map_err(|error| error.to_string())
}

/// A client behind a proxy, with short time limits, so that a short run covers many cases.
async fn connect(index: usize, proxy: &Proxy) -> Result<Subject, String> {
    let mut timing = Timing::default();
    timing.heartbeat = Duration::from_millis(500);
    timing.silence = Duration::from_millis(500);
    timing.status = Duration::from_millis(300);
    timing.max_pause = Duration::from_millis(200);
    timing.deadline = Duration::from_secs(5);
    timing.join = Duration::from_secs(2);
    let builder = SyncClient::builder().store(child::STORE).token(child::TOKEN).timing(timing);
    let client = builder.base_url(format!("http://{}", proxy.address)).device_id(format!("client-{index}")).start();
    let client = client.await.map_err(|error| error.to_string())?;
    let transport = RealtimeTransport::new(&client, child::STORE).map_err(|error| error.to_string())?;
    Ok(Subject { index, client, transport: Arc::new(transport), told: Arc::new(AtomicU64::new(0)) })
}

async fn restart(program: &Path, data: &Path, proxies: &[Proxy]) -> Result<Server, String> {
    let server = Server::start(program, data).await?;
    proxies.iter().for_each(|proxy| proxy.lead_to(Some(server.address)));
    Ok(server)
}

/// Writes once more by each client, and waits until all have the last of these ops.
async fn settle(subjects: &[Subject]) -> Result<(), Violation> {
    let violation = |what: String| Violation::new(Promise::ComesToRest, what);
    let until = Instant::now() + PATIENCE;
    let mut last = 0;
    for Subject { index, transport, .. } in subjects {
        loop {
            let path = dust_protocol::Path::parse("last").map_err(|error| violation(error.to_string()))?;
            match transport.write(vec![Op::set(path, RawJson::null())], None).await {
                Ok(receipt) => break last = receipt.store_seq.unwrap_or(last),
                Err(error) if Instant::now() >= until => {
                    return Err(violation(format!("client {index} cannot write any more: {error}")));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
    while let Some(subject) = subjects.iter().find(|subject| subject.seq() < last) {
        if Instant::now() >= until {
            let (index, seq) = (subject.index, subject.seq());
            return Err(violation(format!("the mirror of client {index} stays at op {seq} of {last}")));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The leaves of each mirror.
async fn mirrors(subjects: &[Subject]) -> Result<Vec<Vec<ledger::Shown>>, String> {
    let mut shown = Vec::new();
    for subject in subjects {
        let page = subject.transport.list(&ListRequest::pattern(everything()?)).await;
        shown.push(ledger::page(page.map_err(|error| error.to_string())?));
    }
    Ok(shown)
}
