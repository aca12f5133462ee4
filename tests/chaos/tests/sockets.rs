//! A short run on real sockets: `cargo run -p chaos -- --sockets --seconds 60` is a longer one.

use std::time::Duration;

use chaos::beside;
use chaos::sockets::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn promises_hold_on_real_sockets() {
    let options = Options { seed: 1, time: Duration::from_secs(5), program: env!("CARGO_BIN_EXE_chaos").into() };
    let outcomes = sockets::run(options).await.unwrap();
    println!("{outcomes}");
    assert!(outcomes.violations.is_empty(), "{outcomes}");
    assert!(outcomes.acknowledged > 0 && outcomes.reads > 0 && outcomes.heard > 0 && outcomes.kills > 0, "{outcomes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_writes_beside_http_writes_have_known_outcomes() {
    let options = beside::Options { time: Duration::from_secs(3), ..beside::Options::default() };
    let figures = beside::run(options).await.unwrap();
    println!("{figures}");
    assert_eq!((figures.timeouts, figures.failed.0), (0, 0), "{figures}");
    assert!(figures.writes.len() > 20 && figures.holes.len() > 5, "{figures}");
}
