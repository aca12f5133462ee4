//! Tests of the transport with a scripted peer and a runtime whose pauses end at once.

mod deadlines;
mod limits;
mod misdirected;
mod peer;
mod proxies;
mod ranges;
mod requests;
mod retries;
mod runtimes;
mod traces;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dust_protocol::{Path, RawJson};
use futures_core::future::BoxFuture;
use tokio::sync::watch;

use super::HttpTransport;
use crate::config::{DustConfig, DustConfigBuilder};
use crate::runtime::Runtime;
use peer::{Peer, Step};

const TOKEN: &str = "dust_tok_scripted";

/// A runtime whose pauses end at once and are recorded, whose time advances only by explicit calls, and whose random
/// numbers are equal.
#[derive(Debug)]
struct TestWorld {
    now: watch::Sender<Duration>,
    pauses: Mutex<Vec<Duration>>,
    random: u64,
}

impl TestWorld {
    /// A runtime whose random numbers are (nearly) the largest there are.
    fn new() -> Arc<TestWorld> {
        TestWorld::with_random(u64::MAX)
    }

    fn with_random(random: u64) -> Arc<TestWorld> {
        Arc::new(TestWorld { now: watch::Sender::new(Duration::ZERO), pauses: Mutex::default(), random })
    }

    fn advance(&self, duration: Duration) {
        self.now.send_modify(|now| *now += duration);
    }

    /// The pauses so far, in milliseconds.
    fn pauses(&self) -> Vec<u128> {
        self.pauses.lock().unwrap().iter().map(|pause| (*pause + Duration::from_micros(1)).as_millis()).collect()
    }
}

impl Runtime for TestWorld {
    fn now(&self) -> Duration {
        *self.now.borrow()
    }

    fn unix_time(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.now()
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pauses.lock().unwrap().push(duration);
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }

    fn limit(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let end = self.now().saturating_add(duration);
        let mut now = self.now.subscribe();
        Box::pin(async move {
            let _ = now.wait_for(|now| *now >= end).await;
        })
    }

    fn random(&self) -> u64 {
        self.random
    }
}

fn config(base_url: &str) -> DustConfigBuilder {
    DustConfig::builder().store("acme/reading").token(TOKEN).base_url(base_url)
}

/// A peer with a script, and a transport to it.
async fn scripted(steps: impl IntoIterator<Item = Step>) -> (Peer, HttpTransport, Arc<TestWorld>) {
    configured(steps, |config| config).await
}

async fn configured(
    steps: impl IntoIterator<Item = Step>,
    configure: impl FnOnce(DustConfigBuilder) -> DustConfigBuilder,
) -> (Peer, HttpTransport, Arc<TestWorld>) {
    let world = TestWorld::new();
    let peer = Peer::start(&world, steps).await;
    let config = configure(config(&peer.url())).build().unwrap();
    let transport = HttpTransport::in_world(config, world.clone()).unwrap();
    (peer, transport, world)
}

fn path(rendered: &str) -> Path {
    Path::parse(rendered).unwrap()
}

fn value(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}
