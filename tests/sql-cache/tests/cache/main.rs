//! The realtime client with a cache in SQL, against the emulator.
//!
//! Every test runs on SQLite, and on PostgreSQL and MySQL when `DUST_TEST_POSTGRES_URL` and `DUST_TEST_MYSQL_URL` name
//! a database that the tests may write to. `DUST_TEST_KILLS` is the number of kills (default: 20).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test is the failure we want to see")]

mod configuration;
mod exact;
mod faults;
mod kill;
mod property;
mod restart;
mod sharing;
mod support;
