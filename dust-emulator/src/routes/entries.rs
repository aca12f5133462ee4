//! Routes for one entry: read, write and remove, with the path in the address or in the body.

use dust_protocol::{Mutation, Op, Path, PathError, Precondition, RawJson};
use dust_store::{Store, StoreError, StoreErrorKind};

use super::Call;
use crate::http::{Answer, Reply};
use crate::json::{self, Object};
use crate::uri::{self, Params, positive};

pub(super) fn get(call: &Call<'_>) -> Reply {
    let path = address_path(call)?;
    let entry = call.readable()?.get(&path).map_err(|error| refused(&error))?.ok_or_else(Answer::not_found)?;
    let body = Object::new()
        .string("path", entry.path.as_str())
        .number("revision", entry.revision)
        .string("type", entry.kind.name())
        .value("value", &entry.value);
    Ok(Answer::ok(body.end()).with("etag", format!("\"{}\"", entry.revision)))
}

pub(super) fn put(call: &Call<'_>) -> Reply {
    let path = address_path(call)?;
    let value = call.body.value()?;
    let store = call.writable()?;
    let precondition = match (call.request.header("if-none-match"), call.request.header("if-match")) {
        (Some(_), Some(_)) => return Err(Answer::invalid("If-Match and If-None-Match are mutually exclusive")),
        (Some("*"), None) => Some(Precondition::IfLeafAbsent),
        (Some(_), None) => return Err(Answer::invalid("If-None-Match only supports \"*\"")),
        (None, if_match) => header_if_match(if_match)?,
    };
    write(call, &store, path, Mutation::Set(value), precondition)
}

pub(super) fn delete(call: &Call<'_>) -> Reply {
    let path = address_path(call)?;
    let store = call.writable()?;
    let precondition = header_if_match(call.request.header("if-match"))?;
    write(call, &store, path, Mutation::Delete, precondition)
}

pub(super) fn create(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let path = body_path(&params)?;
    let missing = "'value' field required in body. To remove an entry use DELETE /entries with the path in the body.";
    let value = params.get("value").cloned().ok_or_else(|| Answer::invalid(missing))?;
    let store = call.writable()?;
    let if_absent = params.get("if_absent").is_some_and(|flag| flag.as_str() == "true");
    let precondition = match (body_if_match(&params)?, if_absent) {
        (Some(_), true) => return Err(Answer::invalid("if_match and if_absent are mutually exclusive")),
        (None, true) => Some(Precondition::IfLeafAbsent),
        (if_match, false) => if_match,
    };
    write(call, &store, path, Mutation::Set(value), precondition)
}

pub(super) fn destroy(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let path = body_path(&params)?;
    let store = call.writable()?;
    let precondition = body_if_match(&params)?;
    write(call, &store, path, Mutation::Delete, precondition)
}

fn write(call: &Call<'_>, store: &Store, path: Path, mutation: Mutation, precondition: Option<Precondition>) -> Reply {
    let op = Op::new(path, mutation).on(precondition);
    let committed = store.write(op, None, &call.origin()).map_err(|error| refused(&error))?;
    // Only a release may commit nothing, and HTTP has none.
    let seq = committed.map_or(0, |op| op.store_seq);
    Ok(Answer::ok(Object::new().number("revision", seq).number("store_seq", seq).end()))
}

fn address_path(call: &Call<'_>) -> Result<Path, Answer> {
    Path::parse(&call.matched.rest().join("/")).map_err(|error| {
        Answer::invalid(match error {
            PathError::EmptyPath => "path is required",
            PathError::EmptySegment => "path cannot contain empty segments",
            other => other.name(),
        })
    })
}

fn body_path(params: &Params) -> Result<Path, Answer> {
    let path = uri::text(params, "path").filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| Answer::invalid("'path' field required in body (non-empty string)"))?;
    Path::parse(&path).map_err(|error| Answer::invalid(&format!("invalid path ({})", error.name())))
}

fn header_if_match(header: Option<&str>) -> Result<Option<Precondition>, Answer> {
    let Some(text) = header else { return Ok(None) };
    let revision = positive(text).ok_or_else(|| Answer::invalid("If-Match must be a positive integer"))?;
    Ok(Some(Precondition::IfMatch(revision)))
}

fn body_if_match(params: &Params) -> Result<Option<Precondition>, Answer> {
    let Some(value) = params.get("if_match") else { return Ok(None) };
    match revision(value) {
        Some(revision) => Ok(Some(Precondition::IfMatch(revision))),
        None => Err(Answer::invalid(&format!("if_match must be a positive integer (got {})", json::inspect(value)))),
    }
}

/// A revision given in JSON: a positive integer.
pub(super) fn revision(value: &RawJson) -> Option<u64> {
    positive(value.as_str())
}

/// The answer for the refusal of a store, with the index of the op if it is one of a batch.
pub(super) fn refused(error: &StoreError) -> Answer {
    let in_batch = |object: Object| match (error.op_index(), error.path()) {
        (Some(index), Some(path)) => object.number("op_index", index as u64).string("path", path.as_str()),
        _ => object,
    };
    let detailed = |detail: &str| {
        let object = Object::new().string("detail", detail).string("error", error.name());
        Answer::json(400, in_batch(object).end())
    };
    match error.kind() {
        StoreErrorKind::Conflict { current_revision } | StoreErrorKind::Exists { current_revision } => {
            let revision = json::number_or_null(*current_revision);
            let object = Object::new().raw("current_revision", &revision).string("error", error.name());
            Answer::json(412, in_batch(object).end())
        }
        StoreErrorKind::IfMatchMultiLeaf => detailed("If-Match requires a leaf value, not a map/dict"),
        StoreErrorKind::IfAbsentMultiLeaf => detailed("If-None-Match requires a leaf value, not a map/dict"),
        StoreErrorKind::Op(op) if op.name() == "empty_segment" => {
            Answer::invalid("%MatchError{term: {:error, :empty_segment}}")
        }
        StoreErrorKind::Storage(message) => {
            tracing::error!(target: "dust_emulator", %message, "the storage failed");
            Answer::broken(500)
        }
        _ => Answer::invalid(&error.to_string()),
    }
}
