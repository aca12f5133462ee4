//! Measures every row with few calls on small stores, to test that each row runs. Figures are not checked.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;

use bench::{Figure, Plan, Scale};

#[test]
fn every_row_is_measured() {
    let mut plan = Plan::new(Scale::QUICK, "", |_| {});
    bench::run(&mut plan).unwrap();
    let names: BTreeSet<String> = plan.rows().iter().map(|row| format!("{}: {}", row.group, row.what)).collect();
    assert_eq!(names.len(), plan.rows().len(), "each has a name of its own");
    let groups: BTreeSet<&str> = plan.rows().iter().map(|row| row.group).collect();
    let expected = ["cold start", "embedded", "find", "http", "mirror", "realtime", "subscriptions", "values"];
    assert_eq!(groups, BTreeSet::from(expected));
    for row in plan.rows() {
        for figure in [row.peer, row.dust] {
            let (Figure::Time(number) | Figure::Memory(number)) = figure;
            assert!(number.is_finite() && number > 0.0, "{row}");
        }
    }
}
