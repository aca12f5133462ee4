//! Runs the example as a reader would, and holds it to its word.

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

/// The story on a database; everything that is printed.
fn run(url: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaorm-mixed"));
    command.args(url).env_remove("DUST_STORE");
    let output = command.output().unwrap();
    let (told, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complaints}");
    told
}

fn check(told: &str) {
    assert!(told.starts_with(STORY), "{told}");
    for passage in [
        "{\"email\":[\"has invalid format\"],",
        "  {\"reference\":[\"has already been taken\"]}\n  links in Dust: 2\n",
        "  order 3: 1 stickers for 6.50 EUR\n  its link is not known to be in Dust: no clear answer",
        "  waiting in the outbox: 1\n  published later: 1\n  waiting in the outbox: 0\n",
        "  order-3  1 x stickers  https://shop.example/orders/3\n  order-1  8 x stickers  https://shop.example/orders/1\n",
        "  3 orders; features that are on: free-shipping\n",
    ] {
        assert!(told.contains(passage), "{passage}\nis not in\n{told}");
    }
}

#[test]
fn is_told_with_nothing_given() {
    check(&run(None));
}

#[test]
fn is_told_again_on_a_database_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("shop.db").display());
    check(&run(Some(&url)));
    check(&run(Some(&url)));
}
