//! The checks against the log after a run.

use std::collections::{BTreeMap, HashMap};

use dust_orm::internals::Mirror;
use dust_protocol::{CommittedOp, OpKind};

use super::load::{COUNTER, History, Outcome, Read, Written, lock};
use crate::ledger;
use crate::violation::{Promise, Violation};

/// Checks all answers against the log.
pub(super) fn check(history: &History, log: &[CommittedOp]) -> Vec<Violation> {
    let mut violations = std::mem::take(&mut *lock(&history.violations));
    for (at, op) in (1..).zip(log) {
        if op.store_seq != at {
            let what = format!("the log has op {} where {at} is next", op.store_seq);
            violations.push(Violation::new(Promise::AcknowledgedIsKept, what));
            return violations;
        }
    }
    let written = lock(&history.written);
    writes(&written, log, &mut violations);
    counts(&written, log, &mut violations);
    reads(std::mem::take(&mut *lock(&history.reads)), log, &mut violations);
    for heard in lock(&history.heard).iter() {
        in_order(heard, &mut violations);
    }
    violations
}

/// The markers in an op's value, such as `c0w1.17:2`.
fn markers(op: &CommittedOp) -> Vec<String> {
    fn find(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) if text.contains(':') => found.push(text.clone()),
            serde_json::Value::Object(members) => members.values().for_each(|value| find(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if op.op == OpKind::Set
        && let Ok(value) = op.value.to()
    {
        find(&value, &mut found);
    }
    found
}

fn writes(written: &[Written], log: &[CommittedOp], violations: &mut Vec<Violation>) {
    let mut by_marker: HashMap<String, Vec<u64>> = HashMap::new();
    let mut by_id: HashMap<(&str, &str), u64> = HashMap::new();
    for op in log {
        for marker in markers(op) {
            by_marker.entry(marker).or_default().push(op.store_seq);
        }
        if let Some(before) = by_id.insert((&op.device_id, &op.client_op_id), op.store_seq) {
            let what = format!("op {} is op {before} again: {}", op.store_seq, op.client_op_id);
            violations.push(Violation::new(Promise::WrittenOnce, what));
        }
    }
    for Written { marker, ops, floor, outcome } in written {
        if let Outcome::Done(seq) = outcome
            && seq <= floor
        {
            let what =
                format!("{marker:?} was acknowledged as op {seq}, but op {floor} was there before it was asked for");
            violations.push(Violation::new(Promise::OrderOfCalls, what));
        }
        let Some(marker) = marker else { continue };
        let found: Vec<&[u64]> =
            (0..*ops).map(|at| by_marker.get(&format!("{marker}:{at}")).map_or(&[][..], Vec::as_slice)).collect();
        if found.iter().any(|found| found.len() > 1) {
            violations.push(Violation::new(Promise::WrittenOnce, format!("{marker} is in the log as {found:?}")));
        }
        let found: Vec<u64> = found.concat();
        let is_whole = found.len() as u64 == *ops && found.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        match outcome {
            Outcome::Done(seq) if !is_whole || found.last() != Some(seq) => {
                let what = format!("{marker} was acknowledged as op {seq}, and is in the log as {found:?}");
                violations.push(Violation::new(Promise::AcknowledgedIsKept, what));
            }
            Outcome::Failed(error) if !found.is_empty() => {
                let what = format!("{marker} was answered as failed ({error}), and is in the log as {found:?}");
                violations.push(Violation::new(Promise::FailedIsAbsent, what));
            }
            Outcome::Unknown if !found.is_empty() && !is_whole => {
                let what = format!("{marker} is in the log by halves: {found:?}");
                violations.push(Violation::new(Promise::AcknowledgedIsKept, what));
            }
            _ => {}
        }
        if found.first().is_some_and(|first| first <= floor) {
            let what = format!("{marker} is op {found:?}, but op {floor} was there before it was asked for");
            violations.push(Violation::new(Promise::OrderOfCalls, what));
        }
    }
    let known: HashMap<&str, ()> = written.iter().filter_map(|write| Some((write.marker.as_deref()?, ()))).collect();
    let strange =
        by_marker.keys().filter(|marker| marker.split(':').next().is_none_or(|marker| !known.contains_key(marker)));
    for marker in strange {
        violations.push(Violation::new(
            Promise::EveryCallIsAnswered,
            format!("{marker} is in the log, and was never answered"),
        ));
    }
}

/// Finds a counting write by its number.
fn counts(written: &[Written], log: &[CommittedOp], violations: &mut Vec<Violation>) {
    let counted = |op: &&CommittedOp| op.op == OpKind::Increment && op.path.as_str() == COUNTER;
    let in_log = log.iter().filter(counted).count();
    let mut by_seq: BTreeMap<u64, usize> = BTreeMap::new();
    let (mut done, mut unknown) = (0, 0);
    for write in written.iter().filter(|write| write.marker.is_none()) {
        match write.outcome {
            Outcome::Done(seq) => {
                done += 1;
                *by_seq.entry(seq).or_default() += 1;
            }
            Outcome::Unknown => unknown += 1,
            Outcome::Failed(_) => {}
        }
    }
    for (seq, times) in by_seq {
        let op = usize::try_from(seq - 1).ok().and_then(|at| log.get(at));
        if times > 1 || !op.as_ref().is_some_and(counted) {
            let what = format!("{times} increments were acknowledged as op {seq}, which is {op:?}");
            violations.push(Violation::new(Promise::AcknowledgedIsKept, what));
        }
    }
    if !(done..=done + unknown).contains(&in_log) {
        let what = format!("{done} increments were acknowledged and {unknown} are unknown; the log has {in_log}");
        violations.push(Violation::new(Promise::WrittenOnce, what));
    }
}

/// Checks that every read is the state at some op that it may see.
fn reads(mut reads: Vec<Read>, log: &[CommittedOp], violations: &mut Vec<Violation>) {
    reads.sort_by_key(|read| read.from);
    let mut coming = reads.into_iter().peekable();
    let mut open: Vec<Read> = Vec::new();
    let mut state = Mirror::default();
    for seq in 0..=log.len() as u64 {
        if let Some(op) = usize::try_from(seq).ok().and_then(|seq| log.get(seq.checked_sub(1)?)) {
            state.apply(op);
        }
        while let Some(read) = coming.next_if(|read| read.from <= seq) {
            open.push(read);
        }
        open.retain(|read| {
            let expected = ledger::shown(&state, &read.pattern);
            // A snapshot, which has no revisions, may have been in between.
            if expected.is_ok_and(|expected| ledger::same(&read.shown, &expected, seq).is_ok()) {
                return false;
            }
            if read.to <= seq {
                let Read { client, pattern, from, to, shown } = read;
                let what = format!("client {client} read {} between ops {from} and {to}: {shown:?}", pattern.as_str());
                violations.push(Violation::new(Promise::ReadsAreStates, what));
            }
            seq < read.to
        });
    }
    for read in open.into_iter().chain(coming) {
        let what = format!("client {} was at op {}, and the log has {}", read.client, read.to, log.len());
        violations.push(Violation::new(Promise::ReadsAreStates, what));
    }
}

/// Checks that between two resyncs of a subscriber no op is missing, repeated or out of order.
fn in_order(heard: &[Option<u64>], violations: &mut Vec<Violation>) {
    let mut last = 0;
    for pair in heard.windows(2) {
        last = pair[0].unwrap_or(last).max(last);
        let fits = match pair {
            [Some(before), Some(after)] => *after == before + 1,
            [None, Some(after)] => *after > last,
            _ => true,
        };
        if !fits {
            violations.push(Violation::new(
                Promise::OnceAndInOrder,
                format!("a subscriber received {pair:?} after op {last}"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Path, Pattern, RawJson};

    use super::*;

    fn op(store_seq: u64, op: OpKind, path: &str, value: &str) -> CommittedOp {
        CommittedOp::new(store_seq, op, Path::parse(path).unwrap(), RawJson::parse(value).unwrap())
            .written_by("d".into(), store_seq.to_string().into())
    }

    fn log() -> Vec<CommittedOp> {
        vec![
            op(1, OpKind::Set, "a/x", r#""w.1:0""#),
            op(2, OpKind::Set, "b", r#"{"x":"w.2:0","z":{"y":1}}"#),
            op(3, OpKind::Increment, COUNTER, "1"),
            op(4, OpKind::Set, "a/x", r#""w.3:0""#),
            op(5, OpKind::Set, "b", r#""w.3:1""#),
        ]
    }

    fn written(marker: Option<&str>, ops: u64, floor: u64, outcome: Outcome) -> Written {
        Written { marker: marker.map(str::to_owned), ops, floor, outcome }
    }

    fn told() -> Vec<Written> {
        vec![
            written(Some("w.1"), 1, 0, Outcome::Done(1)),
            written(Some("w.2"), 1, 1, Outcome::Done(2)),
            written(None, 1, 2, Outcome::Done(3)),
            written(Some("w.3"), 2, 3, Outcome::Unknown),
            written(Some("w.4"), 1, 3, Outcome::Failed("no connection".to_owned())),
        ]
    }

    fn broken(log: &[CommittedOp], told: Vec<Written>, reads: Vec<Read>, heard: Vec<Option<u64>>) -> Vec<Promise> {
        let history = History::default();
        *lock(&history.written) = told;
        *lock(&history.reads) = reads;
        *lock(&history.heard) = vec![heard];
        check(&history, log).into_iter().map(|violation| violation.promise).collect()
    }

    fn of_writes(change: impl FnOnce(&mut Vec<CommittedOp>, &mut Vec<Written>)) -> Vec<Promise> {
        let (mut log, mut told) = (log(), told());
        change(&mut log, &mut told);
        (1..).zip(&mut log).for_each(|(seq, op)| op.store_seq = seq);
        broken(&log, told, vec![], vec![])
    }

    #[test]
    fn writes_are_what_was_told_of_them() {
        assert_eq!(of_writes(|_, _| {}), []);
        let finds = |promise, change: fn(&mut Vec<CommittedOp>, &mut Vec<Written>)| {
            let found = of_writes(change);
            assert!(found.contains(&promise), "{found:?}");
        };
        finds(Promise::AcknowledgedIsKept, |log, _| drop(log.remove(0)));
        finds(Promise::AcknowledgedIsKept, |log, _| drop(log.remove(2)));
        finds(Promise::AcknowledgedIsKept, |log, _| log.truncate(4));
        finds(Promise::AcknowledgedIsKept, |_, told| told[1].outcome = Outcome::Done(4));
        finds(Promise::AcknowledgedIsKept, |_, told| told[2].outcome = Outcome::Done(5));
        finds(Promise::WrittenOnce, |log, _| log.push(log[0].clone()));
        finds(Promise::WrittenOnce, |log, _| log.push(log[0].clone().written_by("d".into(), "7".into())));
        finds(Promise::WrittenOnce, |log, _| log.push(op(6, OpKind::Increment, COUNTER, "2")));
        finds(Promise::EveryCallIsAnswered, |_, told| drop(told.remove(0)));
        finds(Promise::FailedIsAbsent, |_, told| told[1].outcome = Outcome::Failed(String::new()));
        finds(Promise::FailedIsAbsent, |log, _| log.push(op(6, OpKind::Set, "a/x", r#""w.4:0""#)));
        finds(Promise::OrderOfCalls, |_, told| told[1].floor = 2);
        finds(Promise::OrderOfCalls, |_, told| told[2].floor = 3);
    }

    #[test]
    fn reads_are_states() {
        let read = |from, to, value: &str, revision| {
            let shown = vec![("a/x".to_owned(), RawJson::parse(value).unwrap(), revision)];
            broken(
                &log(),
                told(),
                vec![Read { client: 0, pattern: Pattern::parse("a/*").unwrap(), from, to, shown }],
                vec![],
            )
        };
        assert_eq!(read(1, 3, r#""w.1:0""#, 1), []);
        assert_eq!(read(3, 4, r#""w.3:0""#, 4), []);
        // Older than it may be, newer, of another revision, never there.
        assert_eq!(read(4, 5, r#""w.1:0""#, 1), [Promise::ReadsAreStates]);
        assert_eq!(read(1, 3, r#""w.3:0""#, 4), [Promise::ReadsAreStates]);
        assert_eq!(read(1, 1, r#""w.1:0""#, 2), [Promise::ReadsAreStates]);
        assert_eq!(read(0, 5, r#""w.9:0""#, 4), [Promise::ReadsAreStates]);
        assert_eq!(read(7, 8, r#""w.3:0""#, 4), [Promise::ReadsAreStates]);
    }

    #[test]
    fn subscribers_hear_every_op_once_and_in_order() {
        let hear = |heard: &[Option<u64>]| broken(&log(), told(), vec![], heard.to_vec());
        assert_eq!(hear(&[Some(1), Some(2), None, Some(4), Some(5), None, None]), []);
        for wrong in [[Some(1), Some(3)], [Some(2), Some(1)], [Some(2), Some(2)]] {
            assert_eq!(hear(&wrong), [Promise::OnceAndInOrder]);
        }
        assert_eq!(hear(&[Some(3), None, Some(2)]), [Promise::OnceAndInOrder]);
    }
}
