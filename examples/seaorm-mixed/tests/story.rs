//! Runs the example as a reader does, and checks its output.

use std::process::Command;

const STORY: &str = "
SQL: migrations make the tables; Dust needs none
  applied m20260101_000001_create_shop

Dust: a feature is turned on
  free-shipping from 20.00 EUR

One request: settings from Dust, order and link to SQL, the same link to Dust
  order 1: 8 stickers for 20.00 EUR
  order 2: 2 posters for 9.00 EUR
  the link of order 1 is the same in both: true
";

/// Runs the example on a database, and returns its output.
fn run(url: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaorm-mixed"));
    command.args(url).env_remove("DUST_STORE");
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// Checks the output. The third order has the number 4 on a database that does not reuse numbers after a rollback.
fn check(printed: &str, third: u8) {
    assert!(printed.starts_with(STORY), "{printed}");
    let late =
        format!("  order {third}: 1 stickers for 6.50 EUR\n  its link is not known to be in Dust: no clear answer");
    let newest =
        format!("  order-{third}  1 x stickers  https://shop.example/orders/{third}\n  order-1  8 x stickers  ");
    for passage in [
        &*late,
        &*newest,
        "{\"email\":[\"has invalid format\"],",
        "  {\"reference\":[\"has already been taken\"]}\n  links in Dust: 2\n",
        "  waiting in the outbox: 1\n  published later: 1\n  waiting in the outbox: 0\n",
        "  published: 1\n  the note of order 1 in Dust: on its way\n",
        "  3 orders; features that are on: free-shipping\n",
    ] {
        assert!(printed.contains(passage), "{passage}\nis not in\n{printed}");
    }
}

#[test]
fn example_runs_without_arguments() {
    check(&run(None), 3);
}

#[test]
fn example_runs_twice_on_same_database() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("shop.db").display());
    check(&run(Some(&url)), 3);
    check(&run(Some(&url)), 3);
}

#[test]
fn example_runs_on_postgresql() {
    match std::env::var("DUST_TEST_POSTGRES_URL") {
        Ok(url) => check(&run(Some(&url)), 4),
        Err(_) => eprintln!("SKIPPED: DUST_TEST_POSTGRES_URL names no database"),
    }
}
