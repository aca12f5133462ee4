//! Causes and statuses.

use std::error::Error;
use std::io;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

use super::*;

fn io_error() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionRefused)
}

#[test]
fn cause_is_the_error_itself_in_every_variant_that_keeps_one() {
    for error in [
        DustErr::network("get"),
        DustErr::http(502, "bad gateway"),
        DustErr::timeout("set"),
        DustErr::invalid_params("no"),
        DustErr::storage("full"),
    ] {
        assert!(error.source().is_none(), "{error:?}");
        let error = error.with_source(io_error()).clone();
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::ConnectionRefused), "{error:?}");
    }
    assert!(DustErr::conflict("links/dust", None).with_source(io_error()).source().is_none());
}

#[test]
fn cause_of_a_database_error_is_the_error_of_sea_orm() {
    let error = DustErr::from(DbErr::Conn(RuntimeErr::Internal("gone".to_owned())));
    assert!(matches!(error.source().unwrap().downcast_ref::<DbErr>(), Some(DbErr::Conn(_))));
    assert!(matches!(DbErr::from(error), DbErr::Conn(_)));
}

#[test]
fn cause_of_a_partial_write_is_the_error_of_the_next_record() {
    let source = Box::new(DustErr::network("post").with_source(io_error()));
    let error = DustErr::PartiallyWritten { done: 1000, requests: 2, source };
    let next = error.source().unwrap().downcast_ref::<DustErr>().unwrap();
    assert_eq!(next.kind(), ErrKind::Network);
    assert!(next.source().unwrap().is::<io::Error>());
}

#[test]
fn cause_of_a_record_that_does_not_fit_is_the_error_of_serde() {
    let serde = serde_json::from_str::<u32>("\"one\"").unwrap_err();
    let record = InvalidRecord::undecodable("links/dust", Undecodable::new("hits", "no").with_source(serde));
    assert_eq!(record.source().unwrap().to_string(), DustErr::from(record.clone()).source().unwrap().to_string());
    assert!(DustErr::from(record).source().unwrap().is::<serde_json::Error>());
}

#[test]
fn status_tells_the_client_whose_fault_an_error_is() {
    let database = |error: DbErr| DustErr::from(error);
    let key = || "locks/a".to_owned();
    let partial = DustErr::PartiallyWritten { done: 1, requests: 0, source: Box::new(DustErr::network("cut")) };
    let table = [
        (DustErr::invalid_params("limit"), 400),
        (DustErr::NothingToWrite { what: "a record".into(), hint: "set a field".into() }, 400),
        (DustErr::not_found("the record"), 404),
        (database(DbErr::RecordNotFound("a record".into())), 404),
        (DustErr::exists("a", Some(1)), 409),
        (DustErr::fenced(key()), 409),
        (DustErr::lease_lost(key()), 409),
        (DustErr::conflict("a", Some(1)), 412),
        (Errors::default().into(), 422),
        (DustErr::rate_limited(Duration::from_secs(1), "writes"), 429),
        (DustErr::unauthorized("revoked", None), 500),
        (DustErr::not_supported("lease", "http", "no"), 500),
        (DustErr::not_implemented("batch_write"), 500),
        (DustErr::not_a_lease(key()), 500),
        (DustErr::too_large("an answer"), 500),
        (DustErr::storage("full"), 500),
        (InvalidRecord::default().into(), 500),
        (database(DbErr::Custom("no".into())), 500),
        (partial, 500),
        (DustErr::http(302, "elsewhere"), 502),
        (DustErr::ChecksumMismatch { what: "a file".into() }, 502),
        (DustErr::http(500, "broken"), 503),
        (DustErr::network("cut"), 503),
        (DustErr::lease_held(key()), 503),
        (DustErr::timeout("a write"), 504),
    ];
    for (error, status) in table {
        assert_eq!(error.http_status(), status, "{error:?}");
        assert_eq!(error.is_retryable(), matches!(status, 429 | 503), "{error:?}");
    }
}
