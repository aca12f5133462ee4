//! The bytes of files.

use serde::Deserialize;

use super::Call;
use super::entries::refused;
use crate::http::{Answer, Reply};

/// What a leaf says of the file it refers to.
#[derive(Deserialize)]
struct Reference {
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
            reference = held.store.file_reference(hash).map_err(|error| refused(&error))?;
        }
    }
    let reference = reference.and_then(|reference| reference.to::<Reference>().ok()).ok_or_else(Answer::forbidden)?;
    let content = call.state.stores.file_content(hash).map_err(|error| refused(&error))?;
    let content = content.ok_or_else(Answer::not_found)?;
    let content_type = reference.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let answer = Answer::bytes(&format!("{content_type}; charset=utf-8"), content);
    Ok(match reference.filename {
        Some(name) => answer.with("content-disposition", format!("inline; filename=\"{name}\"")),
        None => answer,
    })
}
