//! Runs of seeds, and runs with mutations that the checks have to detect.

use chaos::sim::{self, Defect};
use chaos::violation::Promise;
use chaos::{seeds, sim::Report};

/// Every test run has the same seeds, so that a failure is reproducible.
const FROM: u64 = 1;
const SEEDS: u64 = 2_000;

#[test]
fn promises_hold_under_faults() {
    let count = std::env::var("DUST_CHAOS_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS);
    println!("{count} seeds from {FROM} on");
    let summary = seeds::run(FROM, count, None);
    let failures: Vec<String> = summary.failures.iter().map(seeds::explain).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(summary.runs, count);
    println!("{}", summary.counts);
    if count < 500 {
        return;
    }
    // Every kind of fault and of answer has to occur.
    for what in [
        "HTTP write",
        "cache saved",
        "caller cancelled",
        "compaction",
        "connection refused",
        "event lost",
        "event twice",
        "fault: HTTP writes",
        "fault: an old connection lingers",
        "fault: black hole",
        "fault: channel crash",
        "fault: channel hangs",
        "fault: channel is mute",
        "fault: client dies",
        "fault: client stopped",
        "fault: clock leap",
        "fault: compaction",
        "fault: cut",
        "fault: cut after it was read",
        "fault: server restart",
        "fault: server restored",
        "fault: server's clock set",
        "fault: stall",
        "join not answered",
        "mirror replaced",
        "other call done",
        "other call timed out",
        "read",
        "catch-up stalled",
        "status not answered",
        "reply before event",
        "reply lost",
        "restore noticed",
        "restore passed over by a snapshot",
        "store restored",
        "subscriber reads again",
        "write acknowledged",
        "write failed",
        "write failed over to HTTP",
        "write unknown, was done",
        "write unknown, was not done",
    ] {
        assert!(summary.counts.of(what) >= 20, "it happened {} times: {what}", summary.counts.of(what));
    }
}

#[test]
fn same_seed_gives_same_run() {
    for seed in [3, 17, 4_711] {
        let (one, two) = (sim::run_with(seed, None, true), sim::run_with(seed, None, true));
        assert!(one.trace.len() > 20);
        assert_eq!(one, two);
        // A trace changes nothing.
        assert_eq!(Report { trace: vec![], ..one }, sim::run(seed));
    }
    assert_ne!(sim::run_with(3, None, true).trace, sim::run_with(4, None, true).trace);
}

/// Every mutation is detected within a few seeds, as the promise that it breaks, with a trace.
#[test]
fn mutations_are_detected() {
    for mutation in Defect::ALL {
        let expected: &[Promise] = match mutation {
            Defect::ServerForgetsWrite => &[Promise::AcknowledgedIsKept],
            Defect::ServerWritesTwice => &[Promise::WrittenOnce],
            Defect::ClientSendsAgain | Defect::FailoverSendsAgain => &[Promise::SentOnce],
            Defect::ServerRefusesWhatItWrote | Defect::ClientDeniesWrite => &[Promise::FailedIsAbsent],
            Defect::ServerIgnoresFences => &[Promise::FencesHold],
            Defect::ClientLosesOp
            | Defect::ClientDeliversTwice
            | Defect::ClientSwapsOps
            | Defect::HubLosesOp
            | Defect::HubForgetsReplace => &[Promise::OnceAndInOrder],
            Defect::ClientLosesLeaf => &[Promise::MirrorIsExact, Promise::ReadsAreStates],
            Defect::ClientForgetsCaller | Defect::ClientAnswersTwice => &[Promise::EveryCallIsAnswered],
            Defect::ClientAnswersEarly => &[Promise::OrderOfCalls],
            // Ops follow lost ones, reads show lost ones, or lost ones stay.
            Defect::OpsShareTheirIds => {
                &[Promise::OnceAndInOrder, Promise::ReadsAreStates, Promise::MirrorIsExact, Promise::ComesToRest]
            }
            Defect::ClientShowsUncommitted => &[Promise::ReadsAreStates, Promise::MirrorIsExact],
        };
        let found: Vec<Report> = seeds::run(1, 300, Some(mutation)).failures;
        assert!(!found.is_empty(), "{mutation:?} is not noticed");
        let first = found.iter().find_map(|report| Some((report.violation.as_ref()?, &report.trace)));
        let (violation, trace) = first.unwrap();
        assert!(!trace.is_empty());
        let promises: Vec<Promise> =
            found.iter().filter_map(|report| Some(report.violation.as_ref()?.promise)).collect();
        assert!(promises.iter().any(|promise| expected.contains(promise)), "{mutation:?} is taken for {violation}");
    }
}
