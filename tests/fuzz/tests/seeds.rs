//! Some seeds of each target: `cargo run --release -p fuzz -- --seconds 600` runs more.

use std::time::Duration;

/// Every test run has the same seeds, so that a failure is reproducible.
fn seeds(name: &str, count: u64) {
    let target = fuzz::by_name(name);
    assert!(target.is_some(), "there is no target {name}");
    let done = fuzz::run::run(target.as_slice(), 1, count, Duration::from_secs(600));
    assert_eq!(done, Ok(count));
}

#[test]
fn parsers() {
    seeds("parsers", 300);
}

#[test]
fn input() {
    seeds("input", 100);
}

#[test]
fn session() {
    seeds("session", 300);
}

#[test]
fn pages() {
    seeds("pages", 100);
}

#[test]
fn http() {
    seeds("http", 15);
}

#[test]
fn proxy() {
    seeds("proxy", 4);
}
