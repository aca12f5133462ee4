//! The table: its rows, its aims, and its layout.

use std::fmt;

use crate::measure::Cost;

/// A row: dust-orm and a peer.
#[derive(Clone, Debug)]
pub struct Row {
    /// The family of rows.
    pub group: &'static str,
    /// The measured operation.
    pub what: String,
    /// The peer.
    pub with: String,
    /// The peer's figure.
    pub peer: Figure,
    /// dust-orm's figure.
    pub dust: Figure,
    /// Additional CPU time of a call of dust-orm in nanoseconds, if one thread runs both.
    pub cpu: Option<f64>,
    /// Additional allocations of a call of dust-orm, if one thread runs both.
    pub allocations: Option<f64>,
    /// The aims, all of which must be met. A row without aims is context.
    pub aims: Vec<Aim>,
}

/// The unit of a row's figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// In nanoseconds.
    Time(f64),
    /// In bytes.
    Memory(f64),
}

/// An aim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// Maximum ratio of dust-orm's figure to the peer's.
    Ratio(f64),
    /// Maximum figure of dust-orm.
    Most(Figure),
    /// Maximum additional CPU time, in microseconds.
    Cpu(f64),
    /// Maximum number of additional allocations.
    Allocations(f64),
}

impl Figure {
    fn number(self) -> f64 {
        match self {
            Figure::Time(number) | Figure::Memory(number) => number,
        }
    }
}

impl Row {
    /// A row about the time of calls.
    pub fn of_time(what: &str, with: &str, (peer, dust): (Cost, Cost)) -> Row {
        Row {
            cpu: Some(dust.cpu - peer.cpu),
            allocations: Some(dust.allocations - peer.allocations),
            ..Row::of(what, with, Figure::Time(peer.wall), Figure::Time(dust.wall))
        }
    }

    /// A row about the CPU of calls.
    pub fn of_cpu(what: &str, with: &str, (peer, dust): (Cost, Cost)) -> Row {
        Row { peer: Figure::Time(peer.cpu), dust: Figure::Time(dust.cpu), ..Row::of_time(what, with, (peer, dust)) }
    }

    /// A row about figures alone.
    pub fn of(what: &str, with: &str, peer: Figure, dust: Figure) -> Row {
        let (what, with) = (what.to_owned(), with.to_owned());
        Row { group: "", what, with, peer, dust, cpu: None, allocations: None, aims: Vec::new() }
    }

    /// Sets the aims.
    #[must_use]
    pub fn aims(self, aims: &[Aim]) -> Row {
        Row { aims: aims.to_vec(), ..self }
    }

    /// Leaves out CPU and allocations, since other threads take part.
    #[must_use]
    pub fn on_many_threads(self) -> Row {
        Row { cpu: None, allocations: None, ..self }
    }

    /// The ratio of dust-orm's figure to the peer's.
    pub fn ratio(&self) -> f64 {
        self.dust.number() / self.peer.number()
    }

    /// True if an aim is met; a figure that was not measured does not meet its aim.
    pub fn meets(&self, aim: Aim) -> bool {
        match aim {
            Aim::Ratio(most) => self.ratio() <= most,
            Aim::Most(most) => self.dust.number() <= most.number(),
            Aim::Cpu(most) => self.cpu.is_some_and(|more| more / 1e3 <= most),
            Aim::Allocations(most) => self.allocations.is_some_and(|more| more <= most),
        }
    }

    /// The text about the aims: empty, `yes`, or the missed ones.
    pub fn verdict(&self) -> String {
        let missed: Vec<&str> = self.aims.iter().filter(|aim| !self.meets(**aim)).map(|aim| aim.name()).collect();
        match (self.aims.as_slice(), missed.as_slice()) {
            ([], _) => String::new(),
            (_, []) => "yes".to_owned(),
            (_, missed) => format!("no: {}", missed.join(", ")),
        }
    }
}

impl Aim {
    fn name(self) -> &'static str {
        match self {
            Aim::Ratio(_) => "ratio",
            Aim::Most(Figure::Time(_)) => "time",
            Aim::Most(Figure::Memory(_)) => "memory",
            Aim::Cpu(_) => "CPU",
            Aim::Allocations(_) => "allocations",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, units) = match self {
            Figure::Time(number) => (*number, [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")]),
            Figure::Memory(number) => (*number, [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]),
        };
        let (size, unit) = units.into_iter().find(|(size, _)| number >= *size).unwrap_or((1.0, units[3].1));
        let number = number / size;
        // Three digits are the precision of the measurement.
        let decimals = if number >= 99.5 || (size == 1.0 && number.fract() == 0.0) {
            0
        } else if number >= 9.95 {
            1
        } else {
            2
        };
        f.pad(&format!("{number:.decimals$} {unit}"))
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aim::Ratio(most) => write!(f, "ratio {most:.2}"),
            // Aims are shown without decimals.
            Aim::Most(most) => f.write_str(&most.to_string().replace(".00 ", " ").replace(".0 ", " ")),
            Aim::Cpu(most) => write!(f, "+{most:.0} µs"),
            Aim::Allocations(most) => write!(f, "+{most:.0} allocations"),
        }
    }
}

/// The widths of the columns. The output is also a Markdown table.
const HEADER: &str = "\
| what                                                   | beside                        | its figure | dust-orm |  ratio |  CPU, µs | allocations | aim                                 | met                          |
|--------------------------------------------------------|-------------------------------|-----------:|---------:|-------:|---------:|------------:|-------------------------------------|------------------------------|";

/// The lines above the rows.
pub fn header() -> &'static str {
    HEADER
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = format!("{}: {}", self.group, self.what);
        let (peer, dust) = (self.peer.to_string(), self.dust.to_string());
        let cpu = self.cpu.map(|more| format!("{:+.1}", more / 1e3)).unwrap_or_default();
        let allocations = self.allocations.map(|more| format!("{more:+.0}")).unwrap_or_default();
        let aims: Vec<String> = self.aims.iter().map(Aim::to_string).collect();
        let (with, ratio, aims, met) = (&self.with, self.ratio(), aims.join(", "), self.verdict());
        write!(
            f,
            "| {what:<54} | {with:<29} | {peer:>10} | {dust:>8} | {ratio:>6.2} | \
             {cpu:>8} | {allocations:>11} | {aims:<35} | {met:<28} |"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let peer = Cost { wall: 100_000.0, cpu: 50_000.0, allocations: 10.0 };
        let dust = Cost { wall: 104_000.0, cpu: 53_500.0, allocations: 30.0 };
        Row { group: "http", ..Row::of_time("get", "reqwest", (peer, dust)) }
    }

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let shown = [
            (Figure::Time(0.25), "0.25 ns"),
            (Figure::Time(9.0), "9 ns"),
            (Figure::Time(42.25), "42.2 ns"),
            (Figure::Time(1_000.0), "1.00 µs"),
            (Figure::Time(163_400.0), "163 µs"),
            (Figure::Time(81_240_000.0), "81.2 ms"),
            (Figure::Memory(224.0), "224 B"),
            (Figure::Memory(1_234_567.0), "1.23 MB"),
        ];
        for (figure, text) in shown {
            assert_eq!(figure.to_string(), text);
        }
        assert_eq!(Aim::Most(Figure::Time(5e6)).to_string(), "5 ms");
        assert_eq!(Aim::Most(Figure::Time(100.0)).to_string(), "100 ns");
    }

    #[test]
    fn row_names_missed_aims() {
        let aims = [Aim::Ratio(1.03), Aim::Cpu(10.0), Aim::Allocations(15.0)];
        assert_eq!(row().verdict(), "");
        assert_eq!(row().aims(&aims[1..2]).verdict(), "yes");
        assert_eq!(row().aims(&aims).verdict(), "no: ratio, allocations");
        assert_eq!(row().on_many_threads().aims(&aims[1..2]).verdict(), "no: CPU", "what is not known is not met");
        assert_eq!(row().aims(&[Aim::Most(Figure::Time(1e5))]).verdict(), "no: time");
    }

    #[test]
    fn rows_have_as_many_columns_as_the_header() {
        let shown = row().aims(&[Aim::Ratio(1.03), Aim::Cpu(10.0), Aim::Allocations(15.0)]).to_string();
        let columns = |line: &str| line.chars().filter(|character| *character == '|').count();
        for line in header().lines() {
            assert_eq!(columns(&shown), columns(line));
            assert_eq!(shown.chars().count(), line.chars().count());
        }
        assert!(shown.contains("|   1.04 |     +3.5 |         +20 |"), "{shown}");
    }
}
