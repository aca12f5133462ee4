//! The message `rollback`, which restores a path or the whole store by new ops.

use std::sync::Arc;

use dust_protocol::{CommittedOp, Mutation, Op, OpKind, Path, RawJson};
use dust_store::{Origin, Store, StoreError};

use super::message_context::{Crash, Failure, MessageContext, Refused};
use super::write;
use crate::history::History;
use crate::json::{self, Object};
use crate::uri::{self, Params};

const DEVICE: &str = "system:rollback";

/// Unlike a write it does not count for the rate limit, and a rollback of a whole store is not pushed.
pub(super) fn rollback(context: &MessageContext, payload: &Params) -> Result<(), Failure> {
    let to_seq =
        payload.get("to_seq").ok_or_else(|| Crash("rollback without `to_seq` crashes the channel".to_owned()))?;
    // The refusals for a missing scope and for a missing store are the same here.
    if context.authorise("entries:write").is_err() {
        let message = "Token is missing entries:write scope";
        let body = Object::new().string("message", message).string("reason", "missing_scope");
        return Err(Refused(body.string("scope", "entries:write").end()).into());
    }
    let to_seq: i64 = to_seq.to().map_err(|_| Refused::because("to_seq must be an integer"))?;
    let failed = |error: StoreError| write::refused(OpKind::Set, &error);
    let Target { store, path } = Target::of(context, payload)?;
    let _order = context.held.push_in_order();
    retained(store, to_seq).map_err(failed)??;
    let history = History::at(store, u64::try_from(to_seq).unwrap_or(0)).map_err(failed)?;
    match path {
        Some(path) => one(context, &history, &path, to_seq).map_err(failed),
        None => {
            let written = all(store, &history, to_seq).map_err(failed)?;
            context.reply(true, &Object::new().number("ops_written", written).end());
            Ok(())
        }
    }
}

struct Target<'s> {
    store: &'s Store,
    path: Option<Path>,
}

impl Target<'_> {
    fn of<'s>(context: &'s MessageContext, payload: &Params) -> Result<Target<'s>, Refused> {
        let store = &context.held.store;
        if !payload.contains_key("path") {
            return Ok(Target { store, path: None });
        }
        let path = uri::text(payload, "path").ok_or_else(|| Refused::because("invalid_path"))?;
        let path = Path::parse(&path).map_err(|error| Refused::because(error.name()))?;
        Ok(Target { store, path: Some(path) })
    }
}

/// True if the log reaches back to the op.
fn retained(store: &Store, to_seq: i64) -> Result<Result<(), Refused>, StoreError> {
    let at_least = |seq: u64| to_seq >= i64::try_from(seq).unwrap_or(i64::MAX);
    let reason = match (store.snapshot()?, store.earliest_op_seq()?) {
        (Some(snapshot), _) if !at_least(snapshot.seq) => "beyond_retention",
        (Some(_), _) => return Ok(Ok(())),
        (None, None) => "no_ops",
        (None, Some(earliest)) if !at_least(earliest) => "beyond_retention",
        (None, Some(_)) => return Ok(Ok(())),
    };
    Ok(Err(Refused::because(reason)))
}

fn one(context: &MessageContext, history: &History, path: &Path, to_seq: i64) -> Result<(), StoreError> {
    let store = &context.held.store;
    let (before, now) = (history.assembled(path), History::at(store, store.current_seq())?.assembled(path));
    if before == now {
        let answer = Object::new().raw("noop", "true").number("store_seq", store.current_seq());
        context.reply(true, &answer.end());
    } else if let Some(op) = restore(store, path, before, to_seq)? {
        let client_op_id = json::text(&op.client_op_id);
        context.committed(&op, &client_op_id, &Object::new().number("store_seq", op.store_seq).end());
    }
    Ok(())
}

/// Removes the leaves that did not exist, then sets those that had another value.
fn all(store: &Store, history: &History, to_seq: i64) -> Result<u64, StoreError> {
    let now = History::at(store, store.current_seq())?;
    let gone = now.leaves.keys().filter(|path| !history.leaves.contains_key(*path));
    let changed =
        history.leaves.iter().filter(|(path, leaf)| now.leaves.get(*path).map(|now| &now.value) != Some(&leaf.value));
    let mut written = 0;
    for (path, value) in
        gone.map(|path| (path, None)).chain(changed.map(|(path, leaf)| (path, Some(leaf.value.clone()))))
    {
        restore(store, path, value, to_seq)?;
        written += 1;
    }
    Ok(written)
}

fn restore(store: &Store, path: &Path, value: Option<RawJson>, to_seq: i64) -> Result<Option<CommittedOp>, StoreError> {
    let origin = Origin { device_id: Arc::from(DEVICE), client_op_id: format!("rollback:{to_seq}:{path}").into() };
    store.write(Op::new(path.clone(), value.map_or(Mutation::Delete, Mutation::Set)), None, &origin)
}
