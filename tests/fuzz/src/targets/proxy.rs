//! A repo and a realtime client behind a proxy that changes bytes, and then does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chaos::dice::Dice;
use dust_emulator::Emulator;
use dust_orm::entity::prelude::{NotSet, Set};
use dust_orm::realtime::{SyncClient, Timing};
use dust_orm::tests_cfg::link;
use dust_orm::{DustConfig, DustRepo, RetryPolicy, transport::RealtimeTransport};
use dust_protocol::{ListItem, ListRequest, Pattern};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::mutate::mutate;
use crate::recordings::Recordings;

/// Time limit for operations with a deadline of a second.
const HANG: Duration = Duration::from_secs(60);

pub(super) fn run(_: &Recordings, seed: u64) -> Result<(), String> {
    super::block_on(async {
        match tokio::time::timeout(HANG, go(seed)).await {
            Ok(result) => result,
            Err(_) => Err("it hangs, or does not recover".to_owned()),
        }
    })
}

async fn go(seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let emulator = Emulator::start().await.map_err(|error| error.to_string())?;
    let is_well = Arc::new(AtomicBool::new(false));
    let url = proxy(&emulator, dice.roll(), Arc::clone(&is_well)).await?;

    let config = DustConfig::builder()
        .store(emulator.store())
        .token(emulator.token())
        .base_url(&url)
        .request_timeout(Duration::from_millis(200))
        .deadline(Duration::from_secs(1))
        .retry(RetryPolicy::default().with_base_delay(Duration::from_millis(1)));
    let http =
        DustRepo::connect(config.build().map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let mut timing = Timing::default();
    timing.heartbeat = Duration::from_millis(100);
    timing.silence = Duration::from_millis(200);
    timing.status = Duration::from_millis(50);
    timing.max_pause = Duration::from_millis(50);
    timing.deadline = Duration::from_secs(1);
    timing.join = Duration::from_millis(200);
    timing.refused = Duration::from_millis(50);
    let builder = || {
        let builder = SyncClient::builder().store(emulator.store()).token(emulator.token());
        builder.base_url(&url).timing(timing.clone())
    };
    // The proxy may turn an answer into a refusal, after which the client does not start: start it again.
    let client = loop {
        match tokio::time::timeout(Duration::from_secs(1), builder().start()).await {
            Ok(Ok(client)) => break client,
            Ok(Err(_)) => {}
            Err(_) => is_well.store(true, Ordering::SeqCst),
        }
    };
    let transport = RealtimeTransport::new(&client, &emulator.store()).map_err(|error| error.to_string())?;
    let realtime = DustRepo::with_transport(Arc::new(transport));
    for number in 0..12 {
        let repo = if dice.percent(50) { &http } else { &realtime };
        let text = |text: String| Set(text);
        let link = link::ActiveModel {
            slug: text(format!("k{}", dice.below(5))),
            title: text(format!("title {number}")),
            url: text("https://dustlayer.io".to_owned()),
            note: NotSet,
        };
        // The result may be success or any error; the call only has to end.
        match dice.below(4) {
            0 => drop(repo.insert(link).await),
            1 => drop(repo.all::<link::Entity>().await),
            2 => drop(repo.find_versioned::<link::Entity>("k1").await),
            _ => drop(repo.delete_by_id::<link::Entity>("k2").await),
        }
    }
    is_well.store(true, Ordering::SeqCst);
    for repo in [&http, &realtime] {
        works_again(repo).await?;
    }
    let stray = leaves(&emulator)?.into_iter().find(|path| !path.starts_with("links/"));
    client.shutdown().await;
    stray.map_or(Ok(()), |stray| Err(format!("`{stray}` was written without a request")))
}

/// Repeats a write and a read until they succeed; the caller limits the time.
async fn works_again(repo: &DustRepo) -> Result<(), String> {
    loop {
        let text = |text: &str| Set(text.to_owned());
        let link =
            link::ActiveModel { slug: text("well"), title: text("Well"), url: text("https://dust"), note: NotSet };
        if repo.insert(link).await.is_ok()
            && let Ok(Some(read)) = repo.find_by_id::<link::Entity>("well").await
            && read.title == "Well"
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The leaves in the store of the server.
fn leaves(emulator: &Emulator) -> Result<Vec<String>, String> {
    let store = emulator.store_handle(&emulator.store()).map_err(|error| error.to_string())?;
    let request = ListRequest::pattern(Pattern::parse("**").map_err(|error| error.to_string())?).limit(1_000);
    let page = store.list(&request).map_err(|error| error.to_string())?;
    Ok(page.items.into_iter().filter_map(ListItem::into_entry).map(|entry| entry.path.to_string()).collect())
}

/// Starts a proxy that changes the bytes of the server until `is_well` is set; returns its address.
async fn proxy(emulator: &Emulator, seed: u64, is_well: Arc<AtomicBool>) -> Result<String, String> {
    let server = emulator.url().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        let mut dice = Dice::new(seed);
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { return };
            let (dice, is_well) = (Dice::new(dice.roll()), Arc::clone(&is_well));
            tokio::spawn(pass(client, server, dice, is_well));
        }
    });
    Ok(format!("http://{address}"))
}

async fn pass(client: TcpStream, server: TcpStream, mut dice: Dice, is_well: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let down = async move {
        let mut buffer = vec![0; 4096];
        loop {
            let Ok(count @ 1..) = from_server.read(&mut buffer).await else { return };
            let is_spared = is_well.load(Ordering::SeqCst) || dice.percent(60);
            let bytes =
                if is_spared { buffer[..count].to_vec() } else { mutate(&mut dice, &buffer[..count], b"HTTP/1.1 ") };
            if to_client.write_all(&bytes).await.is_err() || (!is_spared && dice.percent(10)) {
                return;
            }
        }
    };
    futures_util::future::select(up.boxed(), down.boxed()).await;
}
