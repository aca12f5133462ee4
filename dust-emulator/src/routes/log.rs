//! The routes for the log of a store, and for the differences between two ops of it.

use std::collections::BTreeSet;

use dust_protocol::{CommittedOp, Path, Pattern, RawJson, envelope};
use dust_store::{Store, StoreError};

use super::Call;
use super::entries::refused;
use crate::history::History;
use crate::http::{Answer, Reply};
use crate::json::{self, Object};
use crate::uri::{self, Params, positive};

const DEFAULT_LIMIT: u64 = 50;
/// The number of ops to read at a time.
const CHUNK: usize = 1000;

pub(super) fn log(call: &Call<'_>) -> Reply {
    let store = call.store("audit:read")?.store;
    let number = |name: &str, default: u64| leading_number(uri::text(call.query, name)).unwrap_or(default);
    let (limit, page) = (number("limit", DEFAULT_LIMIT), number("page", 1));
    let filter = Filter::of(call.query);
    let (ops, total) = filter.page(&store, limit, (page - 1).saturating_mul(limit)).map_err(|error| refused(&error))?;
    let rendered: Vec<String> =
        ops.iter().map(|op| rendered(&store, op)).collect::<Result<_, _>>().map_err(|error| refused(&error))?;
    let pagination = Object::new()
        .number("limit", limit)
        .number("page", page)
        .number("total", total)
        .number("total_pages", total.div_ceil(limit).max(1));
    Ok(Answer::ok(Object::new().raw("ops", &json::array(rendered)).raw("pagination", &pagination.end()).end()))
}

/// Parses the positive number at the beginning of a text.
fn leading_number(text: Option<String>) -> Option<u64> {
    let text = text?;
    let unsigned = text.strip_prefix('+').unwrap_or(&text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    positive(&unsigned[..digits])
}

fn rendered(store: &Store, op: &CommittedOp) -> Result<String, StoreError> {
    let at = store.committed_at(op.store_seq)?.unwrap_or_default();
    let value = if op.value.is_null() { RawJson::null() } else { envelope::to_snapshot_leaf(&op.value) };
    Ok(Object::new()
        .string("device_id", &op.device_id)
        .string("inserted_at", &envelope::iso(at, 3))
        .string("op", op.op.name())
        .string("path", op.path.as_str())
        .number("store_seq", op.store_seq)
        .value("value", &value)
        .end())
}

/// The filter of the ops of the log.
struct Filter {
    path: Option<PathFilter>,
    device_id: Option<String>,
    op: Option<String>,
}

enum PathFilter {
    Exactly(String),
    Pattern(Pattern),
}

impl Filter {
    fn of(params: &Params) -> Filter {
        let text = |name: &str| uri::text(params, name).filter(|text| !text.is_empty());
        let path = text("path").map(|path| match Pattern::parse(&path) {
            Ok(pattern) if pattern.has_star() => PathFilter::Pattern(pattern),
            _ => PathFilter::Exactly(path),
        });
        Filter { path, device_id: text("device_id"), op: text("op") }
    }

    fn takes_all(&self) -> bool {
        self.path.is_none() && self.device_id.is_none() && self.op.is_none()
    }

    fn takes(&self, op: &CommittedOp) -> bool {
        let path = match &self.path {
            None => true,
            Some(PathFilter::Exactly(path)) => op.path.as_str() == path,
            Some(PathFilter::Pattern(pattern)) => pattern.matches(&op.path),
        };
        path && self.device_id.as_ref().is_none_or(|id| **id == *op.device_id)
            && self.op.as_ref().is_none_or(|name| name == op.op.name())
    }

    /// One page, newest first, and the number of ops on all pages.
    fn page(&self, store: &Store, limit: u64, offset: u64) -> Result<(Vec<CommittedOp>, u64), StoreError> {
        let last = store.current_seq();
        let Some(first) = store.earliest_op_seq()? else { return Ok((Vec::new(), 0)) };
        let take = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.takes_all() {
            // The log has no holes, so that the position of every op is known.
            let total = last + 1 - first;
            let Some(newest) = total.checked_sub(offset).filter(|left| *left > 0).map(|left| first + left - 1) else {
                return Ok((Vec::new(), total));
            };
            let oldest = newest.saturating_sub(limit - 1).max(first);
            let count = usize::try_from(newest + 1 - oldest).unwrap_or(usize::MAX);
            let mut ops = store.ops_since(oldest - 1, count)?;
            ops.reverse();
            return Ok((ops, total));
        }
        let mut matching = Vec::new();
        let mut seq = first - 1;
        loop {
            let ops = store.ops_since(seq, CHUNK)?;
            let Some(op) = ops.last() else { break };
            seq = op.store_seq;
            matching.extend(ops.into_iter().filter(|op| self.takes(op)));
        }
        let total = matching.len() as u64;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok((matching.into_iter().rev().skip(skip).take(take).collect(), total))
    }
}

pub(super) fn diff(call: &Call<'_>) -> Reply {
    let store = call.readable()?;
    let from = match call.query.get("from_seq") {
        None => return Err(Answer::invalid("from_seq is required")),
        Some(_) => uri::text(call.query, "from_seq")
            .and_then(|text| integer(&text))
            .ok_or_else(|| Answer::invalid("from_seq must be an integer"))?,
    };
    let to = uri::text(call.query, "to_seq").and_then(|text| integer(&text));
    let to = to.unwrap_or_else(|| i64::try_from(store.current_seq()).unwrap_or(i64::MAX));
    changes(&store, from, to).map_err(|error| refused(&error))?
}

/// Parses an integer as a server does.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn changes(store: &Store, from: i64, to: i64) -> Result<Reply, StoreError> {
    let from_seq = u64::try_from(from).unwrap_or(0);
    let snapshot_seq = store.snapshot()?.map_or(0, |snapshot| snapshot.seq);
    let earliest = store.earliest_op_seq()?.unwrap_or(0).saturating_sub(1).max(snapshot_seq);
    if from_seq > 0 && from_seq < earliest {
        let body = Object::new().number("earliest_available", earliest).string("error", "compacted");
        return Ok(Err(Answer::json(409, body.end())));
    }
    let before = if from_seq == 0 { History::default() } else { History::at(store, from_seq)? };
    let after = History::at(store, u64::try_from(to).unwrap_or(0))?;
    let paths: BTreeSet<&Path> = before.leaves.keys().chain(after.leaves.keys()).collect();
    let changes = paths.into_iter().filter_map(|path| {
        let (before, after) = (before.value(path), after.value(path));
        let differs = before != after;
        differs.then(|| {
            let object = Object::new().value("after", &after).value("before", &before);
            object.string("path", path.as_str()).end()
        })
    });
    let changes = json::array(changes);
    let body = Object::new().raw("changes", &changes).raw("from_seq", &from.to_string()).raw("to_seq", &to.to_string());
    Ok(Ok(Answer::ok(body.end())))
}
