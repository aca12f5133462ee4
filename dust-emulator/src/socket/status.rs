//! The members of answers about a store and a token.

use dust_protocol::{JsonObject, LeafKind, ListRequest, Pattern, envelope};
use dust_store::{Store, StoreError};

use super::message_context::MessageContext;
use crate::auth::{Access, Token};
use crate::json::{self, Object};
use crate::state::State;
use crate::stores::Held;

/// The number of ops in `status`.
const RECENT: usize = 5;

/// Adds the permissions of a token, in the order of the members' names.
pub(super) struct Capabilities {
    pub(super) permissions: String,
    pub(super) scopes: String,
    pub(super) store_access: String,
}

impl Capabilities {
    pub(super) fn of(state: &State, token: &Token) -> Capabilities {
        let permission = |scope: &str| token.has_scope(scope).to_string();
        let (mode, ids) = match &token.access {
            Access::All => ("all", Vec::new()),
            Access::Selected(names) => {
                let held = names.iter().filter_map(|name| state.stores.get(name.org(), name.name()));
                ("selected", held.map(|held| json::string(&held.id)).collect())
            }
        };
        Capabilities {
            permissions: Object::new()
                .raw("read", &permission("entries:read"))
                .raw("write", &permission("entries:write"))
                .end(),
            scopes: json::array(token.scopes.iter().map(|scope| json::string(scope))),
            store_access: Object::new().string("mode", mode).raw("store_ids", &json::array(ids)).end(),
        }
    }
}

/// The answer to `status`. The size of the database and the time of the last snapshot are not known here.
pub(super) fn status(context: &MessageContext) -> Result<String, StoreError> {
    let Held { store, .. } = &context.held;
    let current_seq = store.current_seq();
    let snapshot = store.snapshot()?.map(|snapshot| snapshot.seq);
    let mut recent = store.ops_since(current_seq.saturating_sub(RECENT as u64), RECENT)?;
    recent.reverse();
    let recent = recent.iter().map(|op| {
        let at = store.committed_at(op.store_seq)?.unwrap_or_default();
        let shown = Object::new()
            .string("inserted_at", &envelope::iso(at, 3))
            .string("op", op.op.name())
            .string("path", op.path.as_str())
            .number("store_seq", op.store_seq);
        Ok(shown.end())
    });
    let recent = recent.collect::<Result<Vec<String>, StoreError>>()?;
    let Capabilities { permissions, scopes, store_access } = Capabilities::of(&context.state, &context.token);
    let status = Object::new()
        .number("current_seq", current_seq)
        .number("db_size_bytes", 0)
        .number("entry_count", store.entry_count()?)
        .raw("expires_at", "null")
        .number("file_storage_bytes", files(store)?.map_or(0, |files| files.bytes))
        .raw("latest_snapshot_at", "null")
        .raw("latest_snapshot_seq", &json::number_or_null(snapshot))
        .number("op_count", current_seq)
        .raw("permissions", &permissions)
        .raw("recent_ops", &json::array(recent))
        .raw("scopes", &scopes)
        .raw("store_access", &store_access);
    Ok(status.end())
}

/// The files of a store.
#[derive(Clone, Copy, Default)]
pub(super) struct Files {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// The number and bytes of the files of a store; `None` if a reference has no size.
pub(super) fn files(store: &Store) -> Result<Option<Files>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Reference {
        size: u64,
    }
    // Cannot fail: `**` is a pattern.
    let Ok(everything) = Pattern::parse("**") else { return Ok(None) };
    let mut request = ListRequest::pattern(everything);
    let mut files = Files::default();
    loop {
        let page = store.list(&request)?;
        for entry in page.items.into_iter().filter_map(|item| item.into_entry()) {
            if entry.kind == LeafKind::File {
                let Ok(JsonObject(Reference { size })) = entry.value.to() else { return Ok(None) };
                files.count += 1;
                files.bytes = files.bytes.saturating_add(size);
            }
        }
        match page.next_cursor {
            None => return Ok(Some(files)),
            next => request.after = next,
        }
    }
}
