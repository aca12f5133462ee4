//! The calls of a caller, and their answers.

use std::time::Duration;

use dust_orm::internals::CommandKind;
use dust_protocol::{Fence, Mutation, Op, OpKind, Path, PathError, Precondition, RawJson};

use crate::dice::Dice;

/// Paths that overlap: parents, children, and the same in other case.
const PATHS: [&str; 8] = ["a", "a/x", "a/y", "A/x", "b", "b/x/y", "b/X", "e~1f/é"];
const COUNTERS: [&str; 2] = ["c/n", "c/m"];
const SETS: [&str; 1] = ["d/s"];
const LEASES: [&str; 2] = ["l/1", "l/2"];

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Applied, with the number of its op, if it has one.
    Done(Option<u64>),
    /// Not applied.
    Failed(String),
    /// Unknown.
    Unknown,
    /// The caller gave up.
    Cancelled,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: usize,
    pub(super) client: usize,
    /// The number of the client's start, and of its command, from 1 on.
    pub(super) start: u64,
    pub(super) number: u64,
    pub(super) store: usize,
    /// Its write, if it is one.
    pub(super) target: Option<(Path, OpKind, Option<Fence>)>,
    /// The write, if HTTP supports it as well.
    pub(super) plain: Option<Op>,
    /// The op of the store at its beginning.
    pub(super) since: u64,
    /// Its deadline, on the clock of its client.
    pub(super) due: Duration,
    pub(super) outcome: Option<Outcome>,
    /// Its op in the log.
    pub(super) found: Option<u64>,
    /// The era of this op.
    pub(super) found_era: usize,
}

/// The next step of a caller.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Calls its client.
    Ask(CommandKind),
    /// Reads the mirror.
    Read(&'static str),
    /// Writes over HTTP, and waits until the mirror has it.
    Http(Vec<Op>),
}

/// Values of earlier answers that a caller uses for its next step.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    /// Leases that it received, the last one last.
    pub(super) leases: Vec<Fence>,
    /// Revisions that it has read.
    pub(super) revisions: Vec<u64>,
}

/// Generates a step. Values contain the number of the call, so that each is unique.
pub(super) fn step(dice: &mut Dice, knowledge: &Knowledge, number: usize) -> Result<Step, String> {
    let kind = dice.pick(&[(60, 'w'), (20, 'r'), (8, 'f'), (8, 'h'), (4, 'c')]);
    Ok(match kind {
        Some('r') => Step::Read(["**", "a/**", "*/x", "c/*", "b/**"][dice.index(5)]),
        Some('f') => Step::Ask(CommandKind::Refresh),
        Some('c') => Step::Ask(CommandKind::CatchUp(0)),
        Some('h') => {
            let writes = dice.within(1, 4);
            Step::Http((0..writes).map(|_| plain_write(dice, number)).collect::<Result<_, _>>()?)
        }
        _ => {
            let (op, fence) = write(dice, knowledge, number)?;
            Step::Ask(CommandKind::Write { op, fence })
        }
    })
}

fn path(dice: &mut Dice, among: &[&str]) -> Result<Path, String> {
    Path::parse(among[dice.index(among.len())]).map_err(|error: PathError| error.to_string())
}

fn raw(text: &str) -> Result<RawJson, String> {
    RawJson::parse(text).map_err(|error| error.to_string())
}

/// A `set` or `delete` without conditions.
pub(super) fn plain_write(dice: &mut Dice, number: usize) -> Result<Op, String> {
    let op = match dice.below(5) {
        0 => Mutation::Delete,
        1 => Mutation::Set(raw(&format!(r#"{{"x":"v{number}","y":{{"z":{number}}}}}"#))?),
        2 => Mutation::Set(raw([
            r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05+02:00"}"#,
            r#"{"_type":"decimal","_typed":"1.20"}"#,
            "[1,{}]",
            "null",
        ][dice.index(4)])?),
        _ => Mutation::Set(raw(&format!(r#""v{number}""#))?),
    };
    Ok(Op::new(path(dice, &PATHS)?, op))
}

fn write(dice: &mut Dice, knowledge: &Knowledge, number: usize) -> Result<(Op, Option<Fence>), String> {
    let mut write = match dice.pick(&[(50, 'p'), (14, 'm'), (10, 'i'), (10, 's'), (16, 'l')]) {
        Some('m') => {
            let object = raw(&format!(r#"{{"x":"m{number}","y":{{"w":{number}}}}}"#))?;
            Op::new(path(dice, &PATHS)?, Mutation::Merge(object))
        }
        Some('i') => Op::new(path(dice, &COUNTERS)?, Mutation::Increment(raw(&dice.within(1, 9).to_string())?)),
        Some('s') => {
            let member = raw(&dice.below(3).to_string())?;
            let op = if dice.percent(70) { Mutation::Add(member) } else { Mutation::Remove(member) };
            Op::new(path(dice, &SETS)?, op)
        }
        Some('l') => lease(dice, knowledge, number)?,
        _ => plain_write(dice, number)?,
    };
    let is_lease_op = write.kind().is_of_lease();
    if matches!(write.mutation, Mutation::Set(_) | Mutation::Delete) && dice.percent(25) {
        let seen = knowledge.revisions.len();
        write.precondition = match dice.below(3) {
            0 if matches!(write.mutation, Mutation::Set(_)) => Some(Precondition::IfLeafAbsent),
            _ if seen > 0 => Some(Precondition::IfMatch(knowledge.revisions[dice.index(seen)])),
            _ => Some(Precondition::IfMatch(1)),
        };
    }
    if !is_lease_op && !knowledge.leases.is_empty() && dice.percent(40) {
        return Ok((write, Some(knowledge.leases[dice.index(knowledge.leases.len())].clone())));
    }
    Ok((write, None))
}

fn lease(dice: &mut Dice, knowledge: &Knowledge, number: usize) -> Result<Op, String> {
    let ttl_ms = dice.pick(&[(3, 30_000), (2, 400), (1, 20)]).unwrap_or(400);
    let held = knowledge.leases.last().filter(|_| dice.percent(50));
    Ok(match held {
        Some(Fence { key, token }) if dice.percent(50) => {
            Op::new(key.clone(), Mutation::Renew { token: *token, ttl_ms })
        }
        Some(Fence { key, token }) => Op::new(key.clone(), Mutation::Release { token: *token }),
        None => Op::new(path(dice, &LEASES)?, Mutation::Lease { holder: Some(format!("h{number}")), ttl_ms }),
    })
}
