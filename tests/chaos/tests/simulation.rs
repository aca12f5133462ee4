//! Seeds, and whether the checks would notice.

use chaos::sim::{self, Mutation};
use chaos::violation::Promise;
use chaos::{seeds, sim::Report};

/// The seeds of every test run are the same, so that it fails for a reason and not by chance.
const FROM: u64 = 1;
const SEEDS: u64 = 2_000;

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
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
    // A fault that never happens, or a call that is never answered so, proves nothing.
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
fn a_seed_decides_everything() {
    for seed in [3, 17, 4_711] {
        let (one, two) = (sim::run_with(seed, None, true), sim::run_with(seed, None, true));
        assert!(one.trace.len() > 20);
        assert_eq!(one, two);
        // Looking changes nothing.
        assert_eq!(Report { trace: vec![], ..one }, sim::run(seed));
    }
    assert_ne!(sim::run_with(3, None, true).trace, sim::run_with(4, None, true).trace);
}

/// Every mutation is noticed soon, as what it is; and the trace leads there.
#[test]
fn what_is_wrong_is_noticed() {
    for mutation in Mutation::ALL {
        let expected: &[Promise] = match mutation {
            Mutation::ServerForgetsWrite => &[Promise::AcknowledgedIsKept],
            Mutation::ServerWritesTwice => &[Promise::WrittenOnce],
            Mutation::ClientSendsAgain | Mutation::FailoverSendsAgain => &[Promise::SentOnce],
            Mutation::ServerRefusesWhatItWrote | Mutation::ClientDeniesWrite => &[Promise::FailedIsAbsent],
            Mutation::ServerIgnoresFences => &[Promise::FencesHold],
            Mutation::ClientLosesOp
            | Mutation::ClientDeliversTwice
            | Mutation::ClientSwapsOps
            | Mutation::HubLosesOp
            | Mutation::HubForgetsReplace => &[Promise::OnceAndInOrder],
            Mutation::ClientLosesLeaf => &[Promise::MirrorIsExact, Promise::ReadsAreStates],
            Mutation::ClientForgetsCaller | Mutation::ClientAnswersTwice => &[Promise::EveryCallIsAnswered],
            Mutation::ClientAnswersEarly => &[Promise::OrderOfCalls],
            // Ops go on from those that are lost, reads show them, or they stay.
            Mutation::OpsShareTheirIds => {
                &[Promise::OnceAndInOrder, Promise::ReadsAreStates, Promise::MirrorIsExact, Promise::ComesToRest]
            }
            Mutation::ClientShowsUncommitted => &[Promise::ReadsAreStates, Promise::MirrorIsExact],
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
