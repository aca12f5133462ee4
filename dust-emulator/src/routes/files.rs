//! The bytes of files.

use dust_orm::protocol::{Glob, LeafKind, ListItem, ListRequest, RawJson};
use dust_orm::store::{Store, StoreError};
use serde::Deserialize;

use super::Call;
use super::entries::refused;
use crate::http::{Answer, Reply};

/// What a leaf says of the file it refers to.
#[derive(Deserialize)]
struct Reference {
    hash: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    filename: Option<String>,
}

pub(super) fn get(call: &Call<'_>) -> Reply {
    let hash = call.matched.rest().first().map(String::as_str).unwrap_or_default();
    if !call.token.has_scope("files:read") {
        return Err(Answer::forbidden());
    }
    let mut reference = None;
    for held in call.state.stores.all() {
        if reference.is_none() && call.token.sees_org(held.name.org()) && call.token.reaches(&held.name) {
            reference = find(&held.store, hash).map_err(|error| refused(&error))?;
        }
    }
    let reference = reference.ok_or_else(Answer::forbidden)?;
    let content = call.state.stores.file(hash).ok_or_else(Answer::not_found)?;
    let content_type = reference.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let answer = Answer::bytes(&format!("{content_type}; charset=utf-8"), content);
    Ok(match reference.filename {
        Some(name) => answer.with("content-disposition", format!("inline; filename=\"{name}\"")),
        None => answer,
    })
}

/// The leaf that refers to a file.
fn find(store: &Store, hash: &str) -> Result<Option<Reference>, StoreError> {
    // Cannot fail: `**` is a pattern.
    let Ok(everything) = Glob::parse("**") else { return Ok(None) };
    let mut request = ListRequest::pattern(everything);
    loop {
        let page = store.list(&request)?;
        let found = page.items.into_iter().filter_map(ListItem::into_entry).find_map(|entry| {
            let may_be = matches!(entry.kind, LeafKind::File | LeafKind::Map);
            may_be.then(|| refers(&entry.value, hash)).flatten()
        });
        if found.is_some() || page.next_cursor.is_none() {
            return Ok(found);
        }
        request.after = page.next_cursor;
    }
}

fn refers(value: &RawJson, hash: &str) -> Option<Reference> {
    value.to::<Reference>().ok().filter(|reference| reference.hash == hash)
}
