//! Leases and fences, where the transport has them.

use dust_orm::transport::Receipt;
use dust_orm::{DustErr, ErrKind};
use dust_protocol::{Fence, LeafKind, Mutation, Op, RawJson};
use serde_json::{Value, json};

use crate::context::{Context, path, set};

super::tests![
    a_lease_is_taken_once,
    a_released_lease_is_free_again,
    a_release_with_another_token_changes_nothing,
    only_the_holder_renews,
    a_value_that_is_no_lease_is_not_replaced,
    a_fenced_write_is_applied_while_the_lease_is_held,
    a_fenced_batch_is_all_or_nothing,
];

const LONG: i64 = 600_000;

/// Takes the lease `locks/r`; returns `None` on a transport without leases, after a check of the refusal.
async fn take(cx: &Context) -> Option<u64> {
    let taken = lease(cx, "me").await;
    if !cx.transport.capabilities().typed_ops {
        assert_eq!(taken.unwrap_err().kind(), ErrKind::NotSupported);
        return None;
    }
    let receipt = taken.unwrap();
    let token = receipt.store_seq.unwrap();
    let lease: Value = receipt.value.unwrap().to().unwrap();
    assert_eq!((&lease["holder"], &lease["token"]), (&json!("me"), &json!(token)));
    Some(token)
}

async fn lease(cx: &Context, holder: &str) -> Result<Receipt, DustErr> {
    lock(cx, Mutation::Lease { holder: Some(holder.to_owned()), ttl_ms: LONG }).await
}

async fn lock(cx: &Context, op: Mutation) -> Result<Receipt, DustErr> {
    cx.transport.write(vec![Op::new(path("locks/r"), op)], None).await
}

async fn a_lease_is_taken_once(cx: &Context) {
    let Some(_) = take(cx).await else { return };
    let error = lease(cx, "you").await.unwrap_err();
    assert!(matches!(&error, DustErr::LeaseHeld { key, .. } if key == "locks/r"), "{error:?}");
    assert_eq!(cx.entries("locks").await[0].kind, LeafKind::Lease);
}

async fn a_released_lease_is_free_again(cx: &Context) {
    let Some(token) = take(cx).await else { return };
    assert!(lock(cx, Mutation::Release { token }).await.unwrap().store_seq.is_some());
    lease(cx, "you").await.unwrap();
}

async fn a_release_with_another_token_changes_nothing(cx: &Context) {
    let Some(token) = take(cx).await else { return };
    assert_eq!(lock(cx, Mutation::Release { token: token + 1 }).await.unwrap().store_seq, None);
    assert_eq!(lease(cx, "you").await.unwrap_err().kind(), ErrKind::LeaseHeld);
}

async fn only_the_holder_renews(cx: &Context) {
    let Some(token) = take(cx).await else { return };
    let renewed = lock(cx, Mutation::Renew { token, ttl_ms: LONG }).await.unwrap();
    assert_eq!(renewed.value.unwrap().to::<Value>().unwrap()["token"], json!(token));
    let error = lock(cx, Mutation::Renew { token: token + 1, ttl_ms: LONG }).await.unwrap_err();
    assert!(matches!(&error, DustErr::LeaseLost { key, .. } if key == "locks/r"), "{error:?}");
}

async fn a_value_that_is_no_lease_is_not_replaced(cx: &Context) {
    cx.set("locks/r", json!("mine")).await;
    let error = lease(cx, "you").await.unwrap_err();
    if cx.transport.capabilities().typed_ops {
        assert!(matches!(&error, DustErr::NotALease { key, .. } if key == "locks/r"), "{error:?}");
    } else {
        assert_eq!(error.kind(), ErrKind::NotSupported);
    }
    assert_eq!(cx.value("locks/r").await, Some(json!("mine")));
}

async fn a_fenced_write_is_applied_while_the_lease_is_held(cx: &Context) {
    let Some(token) = take(cx).await else { return };
    let fence = || Some(Fence { key: path("locks/r"), token });
    cx.transport.write(vec![set("r/a", json!(1))], fence()).await.unwrap();
    lock(cx, Mutation::Release { token }).await.unwrap();
    let error = cx.transport.write(vec![set("r/a", json!(2))], fence()).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Fenced, "{error}");
    assert_eq!(cx.value("r/a").await, Some(json!(1)));
}

async fn a_fenced_batch_is_all_or_nothing(cx: &Context) {
    let ops = || vec![Op::set(path("r/a"), RawJson::null()), Op::set(path("r/b"), RawJson::null())];
    let lost = Some(Fence { key: path("locks/r"), token: 1 });
    let error = cx.transport.write(ops(), lost).await.unwrap_err();
    let fences = cx.transport.capabilities().fences;
    assert_eq!(error.kind(), if fences { ErrKind::Fenced } else { ErrKind::NotSupported }, "{error}");
    assert_eq!(cx.leaves("r").await, []);
    let Some(token) = take(cx).await else { return };
    let held = Some(Fence { key: path("locks/r"), token });
    match cx.transport.write(ops(), held).await {
        Ok(_) => assert_eq!(cx.leaves("r").await.len(), 2),
        // The realtime protocol has fences, and no batches.
        Err(error) => assert_eq!(error.kind(), ErrKind::NotSupported),
    }
}
