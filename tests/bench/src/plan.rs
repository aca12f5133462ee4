//! How much is measured, and which rows.

use crate::Result;
use crate::measure::{Cost, Turns};
use crate::table::{Aim, Row};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Rounds of each row.
    pub rounds: usize,
    /// Rounds of rows that take long.
    pub few_rounds: usize,
    /// A call in rounds of many is made once for so many.
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
    /// What the aims are about.
    pub const FULL: Scale = Scale {
        rounds: 21,
        few_rounds: 11,
        divisor: 1,
        records: 10_000,
        many_records: 100_000,
        cold_records: 25_000,
        subscribers: 10_000,
    };

    /// Just enough for every row to do what it does: for a test, and to see whether a change still runs. Its figures say
    /// nothing.
    pub const QUICK: Scale = Scale {
        rounds: 1,
        few_rounds: 1,
        divisor: 100,
        records: 60,
        many_records: 600,
        cold_records: 60,
        subscribers: 20,
    };

    /// The calls of a round, of so many in full.
    pub fn calls(&self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }
}

/// Which rows are made, how, and those that have been made.
pub struct Plan {
    /// How much is measured.
    pub scale: Scale,
    wanted: String,
    report: Box<dyn FnMut(&Row)>,
    group: &'static str,
    rows: Vec<Row>,
}

impl Plan {
    /// Makes every row whose name, `group: what`, contains a text, and reports each as soon as it is there.
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

    /// Whether a row of this family is wanted.
    pub(crate) fn wants(&self, what: &str) -> bool {
        format!("{}: {what}", self.group).contains(&self.wanted)
    }

    /// Whether any of these rows is wanted, so that what they need is made ready.
    pub(crate) fn wants_any(&self, what: &[&str]) -> bool {
        what.iter().any(|what| self.wants(what))
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: Row) {
        let row = Row { group: self.group, ..row };
        (self.report)(&row);
        self.rows.push(row);
    }

    /// Measures two ways to do the same in turns, and adds the row, if it is wanted.
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

/// A row to be measured.
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
    /// What dust-orm does, with what it is compared, and so many rounds of so many calls.
    pub(crate) fn new(what: &'a str, with: &'a str, rounds: usize, calls: usize) -> Case<'a> {
        Case { what, with, rounds, calls, things: 1, is_cpu: false, is_alone: true, aims: &[] }
    }

    /// With these aims.
    pub(crate) fn aims(self, aims: &'a [Aim]) -> Case<'a> {
        Case { aims, ..self }
    }

    /// Each call does so many things, and the figures are those of one.
    pub(crate) fn per(self, things: usize) -> Case<'a> {
        Case { things, ..self }
    }

    /// The figures are CPU.
    pub(crate) fn cpu(self) -> Case<'a> {
        Case { is_cpu: true, ..self }
    }

    /// Other threads take part, so that CPU and allocations of this one say nothing.
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
