//! The binary as a process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use dust_store::Store;

/// Starts the emulator, and waits until it listens.
fn start(arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dust-emulator"))
        .args(["--listen", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Open ") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the emulator has ended");
    }
    (child, out)
}

fn terminate(child: &Child) {
    let done = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(done.success());
}

#[test]
fn sigterm_stops_process_and_closes_stores() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let seed = directory.path().join("seed.json");
    std::fs::write(&seed, r#"{"links/dust": {"title": "Dust"}}"#).unwrap();
    let arguments = ["--data", data.to_str().unwrap(), "--seed", seed.to_str().unwrap()];
    let (mut child, mut out) = start(&arguments);
    terminate(&child);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success() && rest.contains("Stopped."), "{rest}");
    let file = data.join("local").join("dev.redb");
    assert_eq!(Store::open(&file).unwrap().current_seq(), 1);

    // At the second start the store is not empty.
    let (mut child, _out) = start(&arguments);
    terminate(&child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("seed.json was skipped, because local/dev is not empty"), "{said}");
}

#[test]
fn public_address_causes_warning() {
    let (mut child, _out) = start(&["--listen", "0.0.0.0:0"]);
    terminate(&child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("Warning: 0.0.0.0:") && said.contains("can be reached from other machines"), "{said}");
}
