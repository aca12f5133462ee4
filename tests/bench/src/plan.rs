//! The size of a measurement, and the selection of rows.

use crate::Result;
use crate::measure::{Cost, Turns};
use crate::table::{Aim, Row};

/// The size of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Rounds of each row.
    pub rounds: usize,
    /// Rounds of slow rows.
    pub few_rounds: usize,
    /// Divisor of the number of calls in a round.
    divisor: usize,
    /// Records of an ordinary store.
    pub records: usize,
    /// Records of a large store.
    pub many_records: usize,
    /// Records of a store that a client starts from.
    pub cold_records: usize,
    /// Subscribers.
    pub subscribers: usize,
}

impl Scale {
    /// The full size, to which the aims apply.
    pub const FULL: Scale = Scale {
        rounds: 21,
        few_rounds: 11,
        divisor: 1,
        records: 10_000,
        many_records: 100_000,
        cold_records: 25_000,
        subscribers: 10_000,
    };

    /// The minimum for every row to run, for tests. Its figures have no meaning.
    pub const QUICK: Scale = Scale {
        rounds: 1,
        few_rounds: 1,
        divisor: 100,
        records: 60,
        many_records: 600,
        cold_records: 60,
        subscribers: 20,
    };

    /// The calls of a round, from the number at full size.
    pub fn calls(&self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }
}

/// The selection of rows, their size, and the finished rows.
pub struct Plan {
    /// The size of a measurement.
    pub scale: Scale,
    wanted: String,
    report: Box<dyn FnMut(&Row)>,
    group: &'static str,
    rows: Vec<Row>,
}

impl Plan {
    /// Measures every row whose name, `group: what`, contains a text, and reports each when it is finished.
    pub fn new(scale: Scale, wanted: &str, report: impl FnMut(&Row) + 'static) -> Plan {
        Plan { scale, wanted: wanted.to_owned(), report: Box::new(report), group: "", rows: Vec::new() }
    }

    /// The rows so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Begins a family of rows.
    pub(crate) fn group(&mut self, group: &'static str) {
        self.group = group;
    }

    /// True if a row of this family is selected.
    pub(crate) fn wants(&self, what: &str) -> bool {
        format!("{}: {what}", self.group).contains(&self.wanted)
    }

    /// True if any of these rows is selected, so that their data must be prepared.
    pub(crate) fn wants_any(&self, what: &[&str]) -> bool {
        what.iter().any(|what| self.wants(what))
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: Row) {
        let row = Row { group: self.group, ..row };
        (self.report)(&row);
        self.rows.push(row);
    }

    /// Measures two implementations in turns, and adds the row, if it is selected.
    pub(crate) async fn compare(
        &mut self,
        case: Case<'_>,
        peer: impl AsyncFnMut(usize) -> Result<()>,
        dust: impl AsyncFnMut(usize) -> Result<()>,
    ) -> Result<()> {
        if !self.wants(case.what) {
            return Ok(());
        }
        let (peer, dust) = Turns::take(case.rounds, case.calls, peer, dust).await?.medians();
        let costs: (Cost, Cost) = (peer.per(case.things), dust.per(case.things));
        let row = if case.is_cpu { Row::of_cpu } else { Row::of_time }(case.what, case.with, costs);
        let row = if case.is_alone { row } else { row.on_many_threads() };
        self.add(row.aims(case.aims));
        Ok(())
    }
}

/// A row to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    what: &'a str,
    with: &'a str,
    rounds: usize,
    calls: usize,
    things: usize,
    is_cpu: bool,
    is_alone: bool,
    aims: &'a [Aim],
}

impl<'a> Case<'a> {
    /// Makes a row from its name, its peer, and the numbers of rounds and calls.
    pub(crate) fn new(what: &'a str, with: &'a str, rounds: usize, calls: usize) -> Case<'a> {
        Case { what, with, rounds, calls, things: 1, is_cpu: false, is_alone: true, aims: &[] }
    }

    /// Sets the aims.
    pub(crate) fn aims(self, aims: &'a [Aim]) -> Case<'a> {
        Case { aims, ..self }
    }

    /// Sets the number of operations of a call; the figures are those of one operation.
    pub(crate) fn per(self, things: usize) -> Case<'a> {
        Case { things, ..self }
    }

    /// Uses CPU time as the figures.
    pub(crate) fn cpu(self) -> Case<'a> {
        Case { is_cpu: true, ..self }
    }

    /// Leaves out CPU and allocations, since other threads take part.
    pub(crate) fn on_many_threads(self) -> Case<'a> {
        Case { is_alone: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_wanted_by_a_part_of_their_names() {
        let mut plan = Plan::new(Scale::QUICK, "http: get", |_| {});
        plan.group("http");
        assert!(plan.wants("get") && !plan.wants("all of 10,000"));
        assert!(plan.wants_any(&["insert", "get"]));
        plan.group("mirror");
        assert!(!plan.wants("get"));
        let mut all = Plan::new(Scale::QUICK, "", |_| {});
        all.group("mirror");
        assert!(all.wants("get"));
    }

    #[test]
    fn quick_rounds_have_a_call_at_least() {
        assert_eq!((Scale::FULL.calls(200), Scale::QUICK.calls(200), Scale::QUICK.calls(1)), (200, 2, 1));
    }
}
