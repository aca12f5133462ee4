//! The message `write`: one op with its conditions.

use dust_protocol::{
    CommittedOp, Fence, Mutation, Op, OpError, OpKind, Path, PathError, Precondition, RawJson, ValueError,
};
use dust_store::{Origin, StoreError, StoreErrorKind};

use super::message_context::{Crash, Failure, MessageContext, Refused};
use crate::json::{self, Object};
use crate::uri::{self, Params};

/// The default duration of a lease, in milliseconds.
const DEFAULT_TTL_MS: i64 = 30_000;
/// The server's error for an operand that is not a number.
const ARITHMETIC: &str = r#"%ArithmeticError{message: "bad argument in arithmetic expression"}"#;
/// The server's error for an op without an id.
const NO_OP_ID: &str = r#"%MatchError{term: {:error, "NOT NULL constraint failed: store_ops.client_op_id"}}"#;

/// Applies a write, pushes its event and answers it.
pub(super) fn write(context: &MessageContext, payload: &Params, not_utf8: Option<&str>) -> Result<(), Failure> {
    context.authorise("entries:write")?;
    context.count()?;
    let (op, fence) = read(payload)?;
    if let Some(reason) = not_utf8 {
        return Err(Refused::because(reason).into());
    }
    let kind = op.kind();
    let client_op_id = client_op_id(payload)?;
    let _order = context.held.push_in_order();
    match commit(context, op, fence, &client_op_id)? {
        Some(op) => context.committed(&op, &client_op_id, &answer(kind, &op)),
        None => context.reply(true, r#"{"released":false}"#),
    }
    Ok(())
}

/// Writes to the store. The caller holds the lock that orders the pushes.
pub(super) fn commit(
    context: &MessageContext,
    op: Op,
    fence: Option<Fence>,
    client_op_id: &RawJson,
) -> Result<Option<CommittedOp>, Failure> {
    let kind = op.kind();
    context.held.store.write(op, fence, &origin(context, client_op_id)).map_err(|error| refused(kind, &error))
}

/// The origin of the write for the log.
pub(super) fn origin(context: &MessageContext, client_op_id: &RawJson) -> Origin {
    let logged = client_op_id.to::<String>().unwrap_or_else(|_| client_op_id.to_string());
    Origin::new(&*context.device_id, logged)
}

/// The sender's id for an op, which a live event returns as it was sent.
pub(super) fn client_op_id(payload: &Params) -> Result<RawJson, Refused> {
    match payload.get("client_op_id").filter(|id| !id.is_null()) {
        Some(id) => Ok(id.clone()),
        None => Err(Refused::because(NO_OP_ID)),
    }
}

pub(super) fn refused(kind: OpKind, error: &StoreError) -> Failure {
    let because = |reason: &str| Refused::because(reason).into();
    match error.kind() {
        StoreErrorKind::Op(OpError::Value(ValueError::EmptyKey(_))) => {
            Crash(format!("an object with an empty key crashes the channel: {error}")).into()
        }
        StoreErrorKind::Op(OpError::NotANumber(_)) => because(ARITHMETIC),
        // A text of the emulator, for a value that a server stores and fails to read.
        StoreErrorKind::Op(OpError::Value(_) | OpError::NumberOutOfRange | OpError::NotAFile) => {
            because(&error.to_string())
        }
        StoreErrorKind::IfMatchUnsupportedOp(_) | StoreErrorKind::IfAbsentUnsupportedOp(_) => {
            Refused(Object::new().string("op", kind.name()).string("reason", error.name()).end()).into()
        }
        StoreErrorKind::InvalidLeaseOp(_) => because(":invalid_lease_op"),
        StoreErrorKind::Storage(message) => {
            tracing::error!(target: "dust_emulator", %message, "the storage failed");
            because(&error.to_string())
        }
        _ => because(error.name()),
    }
}

/// The answer to an applied write; for a lease with the lease.
fn answer(kind: OpKind, op: &CommittedOp) -> String {
    let lease = matches!(kind, OpKind::Lease | OpKind::Renew).then(|| op.value.to::<Params>().ok()).flatten();
    match lease {
        Some(lease) => {
            let null = RawJson::null();
            let member = |name: &str| lease.get(name).unwrap_or(&null).clone();
            let object = Object::new().value("expires_at", &member("expires_at")).value("holder", &member("holder"));
            object.number("store_seq", op.store_seq).value("token", &member("token")).end()
        }
        None => Object::new().number("store_seq", op.store_seq).end(),
    }
}

/// The op of a message, and the lease that must be held.
fn read(payload: &Params) -> Result<(Op, Option<Fence>), Refused> {
    let kind = uri::text(payload, "op").and_then(|name| OpKind::from_name(&name));
    let kind = kind.ok_or_else(|| Refused::because("invalid op"))?;
    let path = path(payload)?;
    let mutation = mutation(kind, payload)?;
    let precondition = precondition(&mutation, payload)?;
    let fence = if kind.is_of_lease() { None } else { fence(payload)? };
    Ok((Op::new(path, mutation).on(precondition), fence))
}

/// `path_segments` takes precedence over `path`.
fn path(payload: &Params) -> Result<Path, Refused> {
    let invalid = |error: PathError| Refused::because(error.name());
    let segments = payload.get("path_segments").and_then(|segments| segments.to::<Vec<RawJson>>().ok());
    if let Some(segments) = segments {
        let segments: Result<Vec<String>, _> = segments.iter().map(RawJson::to).collect();
        let segments = segments.map_err(|_| Refused::because("not_a_string"))?;
        return Path::from_segments(segments).map_err(invalid);
    }
    let path = uri::text(payload, "path").ok_or_else(|| Refused::because("missing_path"))?;
    Path::parse(&path).map_err(invalid)
}

fn mutation(kind: OpKind, payload: &Params) -> Result<Mutation, Refused> {
    let value = payload.get("value").cloned().unwrap_or_else(RawJson::null);
    let because = |reason| Err(Refused::because(reason));
    Ok(match kind {
        OpKind::Set => Mutation::Set(value),
        OpKind::Delete => Mutation::Delete,
        OpKind::Merge if !value.is_object() => return because("merge_requires_map_value"),
        OpKind::Merge => Mutation::Merge(value),
        OpKind::Increment if !is_number(&value) => return because("increment_requires_number_value"),
        OpKind::Increment => Mutation::Increment(value),
        OpKind::Add if value.is_null() => return because("add_requires_value"),
        OpKind::Add => Mutation::Add(value),
        OpKind::Remove if value.is_null() => return because("remove_requires_value"),
        OpKind::Remove => Mutation::Remove(value),
        OpKind::Lease => Mutation::Lease { holder: holder(payload), ttl_ms: ttl_ms(payload)? },
        OpKind::Renew => {
            let ttl_ms = ttl_ms(payload)?;
            Mutation::Renew { token: token(payload)?, ttl_ms }
        }
        OpKind::Release => Mutation::Release { token: token(payload)? },
        OpKind::PutFile => Mutation::PutFile(value),
        _ => return because("invalid op"),
    })
}

fn is_number(value: &RawJson) -> bool {
    value.as_str().starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn holder(payload: &Params) -> Option<String> {
    let holder = payload.get("holder").filter(|holder| !holder.is_null())?;
    // A server keeps any value here; this store keeps a text.
    Some(holder.to().unwrap_or_else(|_| holder.to_string()))
}

/// A time in the past is replaced by now.
fn ttl_ms(payload: &Params) -> Result<i64, Refused> {
    match payload.get("ttl_ms").filter(|ttl| !matches!(ttl.as_str(), "null" | "false")) {
        None => Ok(DEFAULT_TTL_MS),
        Some(ttl) if is_number(ttl) => Ok(ttl.to::<f64>().map_or(i64::MAX, |ms| ms as i64).clamp(0, i64::MAX / 2)),
        Some(_) => Err(Refused::because(ARITHMETIC)),
    }
}

fn token(payload: &Params) -> Result<u64, Refused> {
    let token = payload.get("token").and_then(integer);
    token.ok_or_else(|| Refused::because(":invalid_lease_op"))
}

/// Parses a revision or a token. An integer out of range becomes 0 or the largest number, which equal none.
fn integer(value: &RawJson) -> Option<u64> {
    let text = value.as_str();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(u64::MAX) })
}

fn precondition(mutation: &Mutation, payload: &Params) -> Result<Option<Precondition>, Refused> {
    let if_match = payload.get("if_match").filter(|revision| !revision.is_null());
    let if_absent = payload.get("if_absent").is_some_and(|flag| flag.as_str() == "true");
    match (if_match, if_absent) {
        (None, false) => Ok(None),
        (None, true) => Ok(Some(Precondition::IfLeafAbsent)),
        (Some(_), true) => Err(Refused::because("invalid_precondition")),
        (Some(revision), false) => match integer(revision) {
            Some(revision) => Ok(Some(Precondition::IfMatch(revision))),
            None if matches!(mutation, Mutation::Set(_) | Mutation::Delete) => {
                Err(Refused::because(&format!("%CaseClauseError{{term: {}}}", json::inspect(revision))))
            }
            // The refusal of the op comes first.
            None => Ok(Some(Precondition::IfMatch(0))),
        },
    }
}

/// Parses a fence; an invalid one is ignored.
fn fence(payload: &Params) -> Result<Option<Fence>, Refused> {
    let Some(fence) = payload.get("fence").and_then(|fence| fence.to::<Params>().ok()) else { return Ok(None) };
    let (Some(key), Some(token)) = (uri::text(&fence, "key"), fence.get("token").and_then(integer)) else {
        return Ok(None);
    };
    // An invalid path holds no lease.
    let key = Path::parse(&key).map_err(|_| Refused::because("fenced"))?;
    Ok(Some(Fence { key, token }))
}
