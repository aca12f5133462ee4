//! Every recorded refusal is an error of its kind.

use std::collections::BTreeMap;

use dust_protocol::channel::{Incoming, Message};

use super::*;
use crate::error::ErrKind;

fn refusal(reason: &str) -> Refusal {
    let mut refusal = Refusal::default();
    refusal.reason = reason.into();
    refusal
}

#[test]
fn every_recorded_refusal_is_an_error_of_its_kind() {
    let path = Path::parse("links/dust").unwrap();
    let lock = Path::parse("lock").unwrap();
    let attempt = Attempt { path: &path, op: OpKind::Set, fence: Some(&lock), current: Some(3) };
    let mut reasons: BTreeMap<String, (Refusal, ErrKind)> = BTreeMap::new();
    for text in recordings::received_frames() {
        if let Message::Reply { outcome: Err(refusal), .. } = Incoming::decode(&text).unwrap().message {
            let error = attempt.refused(&refusal);
            reasons.insert(refusal.reason.clone(), (refusal, error.kind()));
        }
    }
    let table = [
        ("conflict", ErrKind::Conflict),
        ("exists", ErrKind::Exists),
        ("fenced", ErrKind::Fenced),
        ("held", ErrKind::LeaseHeld),
        ("not_held", ErrKind::LeaseLost),
        ("occupied", ErrKind::NotALease),
        ("rate_limited", ErrKind::RateLimited),
        ("missing_scope", ErrKind::Unauthorized),
        ("store_not_allowed", ErrKind::Unauthorized),
        ("unauthorized", ErrKind::Unauthorized),
        ("unmatched topic", ErrKind::Network),
    ];
    for (reason, kind) in table {
        assert_eq!(reasons.get(reason).map(|(_, kind)| *kind), Some(kind), "{reason}");
    }
    for (reason, (refusal, kind)) in &reasons {
        if !table.iter().any(|(known, _)| known == reason) {
            assert_eq!(*kind, ErrKind::InvalidParams, "{reason}");
            assert!(attempt.refused(refusal).to_string().contains("links/dust"), "{reason}");
        }
    }

    let error = |reason: &str| attempt.refused(&reasons[reason].0);
    assert_eq!(error("fenced").to_string(), "fenced: the lease at `lock` is no longer held with this token");
    assert_eq!(error("rate_limited").retry_after(), Some(std::time::Duration::from_secs(60)));
    assert!(error("missing_scope").to_string().contains("the token lacks the scope `"));
    assert!(error("limit_exceeded").to_string().contains("the plan allows 1000 keys"));
    let unavailable = refusal("{:writer_unavailable, {:timeout, …}}");
    assert_eq!(attempt.refused(&unavailable).kind(), ErrKind::Timeout);
}

#[test]
fn a_refused_join_says_which_store() {
    let missing = join_refused(&refusal("unauthorized"), "acme/nosuch");
    assert_eq!(missing.to_string(), "the store `acme/nosuch` was not found");
    assert_eq!(join_refused(&refusal("store_not_allowed"), "acme/main").kind(), ErrKind::Unauthorized);
    assert!(refusal("store_not_allowed").is_final() && !refusal("join crashed").is_final());
    assert!(join_refused(&refusal("join crashed"), "acme/main").is_retryable());
}
