//! Routes for several entries: read by their paths, or written all or none.

use std::collections::BTreeMap;

use dust_protocol::list::{MAX_BATCH_OPS, MAX_GET_MANY_PATHS};
use dust_protocol::{Op, Path, Precondition, RawJson};

use super::Call;
use super::entries::{refused, revision};
use crate::http::{Answer, Reply};
use crate::json::{self, Object};

pub(super) fn read(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let texts: Vec<RawJson> =
        params.get("paths").and_then(|paths| paths.to().ok()).ok_or_else(|| Answer::invalid("paths required"))?;
    if texts.len() > MAX_GET_MANY_PATHS {
        return Err(Answer::invalid("maximum 1000 paths per batch"));
    }
    let texts: Vec<String> = texts
        .iter()
        .map(|text| text.to().map_err(|_| Answer::invalid("paths must be strings")))
        .collect::<Result<_, _>>()?;
    let paths: Vec<Path> = texts
        .iter()
        .map(|text| {
            Path::parse(text).map_err(|_| {
                let mut detail = String::from("invalid path: ");
                json::inspect_string(text, &mut detail);
                Answer::invalid(&detail)
            })
        })
        .collect::<Result<_, _>>()?;
    let found = call.readable()?.get_many(&paths).map_err(|error| refused(&error))?;
    let mut entries = BTreeMap::new();
    let mut missing = Vec::new();
    for (path, entry) in paths.iter().zip(found) {
        match entry {
            Some(entry) => {
                let object = Object::new()
                    .number("revision", entry.revision)
                    .string("type", entry.kind.name())
                    .value("value", &entry.value);
                entries.insert(path.as_str(), object.end());
            }
            None => missing.push(json::string(path.as_str())),
        }
    }
    let entries = entries.iter().fold(Object::new(), |object, (path, entry)| object.raw(path, entry)).end();
    Ok(Answer::ok(Object::new().raw("entries", &entries).raw("missing", &json::array(missing)).end()))
}

pub(super) fn write(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let raw: Vec<RawJson> =
        params.get("ops").and_then(|ops| ops.to().ok()).ok_or_else(|| Answer::invalid("ops array required"))?;
    if raw.is_empty() {
        return Err(Answer::invalid("ops cannot be empty"));
    }
    if raw.len() > MAX_BATCH_OPS {
        return Err(Answer::invalid("maximum 1000 ops per batch"));
    }
    let ops: Vec<Op> = raw.iter().enumerate().map(|(index, op)| batch_op(index, op)).collect::<Result<_, _>>()?;
    let store = call.writable()?;
    let committed = store.batch_write(ops, None, &call.origin()).map_err(|error| refused(&error))?;
    let last = committed.last().map_or(0, |op| op.store_seq);
    let ops = committed.iter().map(|op| {
        let object = Object::new().string("path", op.path.as_str());
        object.number("revision", op.store_seq).number("store_seq", op.store_seq).end()
    });
    Ok(Answer::ok(Object::new().raw("ops", &json::array(ops)).number("store_seq", last).end()))
}

/// One op of a batch. Unknown members, also `if_absent`, are ignored, as by a server.
fn batch_op(index: usize, op: &RawJson) -> Result<Op, Answer> {
    let wrong = |detail: &str| Answer::invalid(&format!("op {index}{detail}"));
    let members: BTreeMap<String, RawJson> = op.to().map_err(|_| wrong(" must be an object"))?;
    let kind = members.get("op").ok_or_else(|| wrong(": missing 'op' field"))?;
    let is_set = match kind.as_str() {
        "\"set\"" => true,
        "\"delete\"" => false,
        _ => return Err(wrong(&format!(": unknown op {}", json::inspect(kind)))),
    };
    let path: Option<String> = members.get("path").and_then(|path| path.to().ok());
    let path = path.ok_or_else(|| wrong(": 'path' required and must be a string"))?;
    let path = Path::parse(&path).map_err(|error| wrong(&format!(": invalid path ({})", error.name())))?;
    let op = match (is_set, members.get("value")) {
        (true, Some(value)) => Op::set(path, value.clone()),
        (true, None) => return Err(wrong(": 'value' required for set")),
        (false, _) => Op::delete(path),
    };
    let precondition = match members.get("if_match") {
        None => None,
        Some(given) => match revision(given) {
            Some(revision) => Some(Precondition::IfMatch(revision)),
            None => {
                let shown = json::inspect(given);
                return Err(wrong(&format!(": if_match must be a positive integer (got {shown})")));
            }
        },
    };
    Ok(op.on(precondition))
}
