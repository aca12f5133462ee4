//! Files: their bytes are kept by hash, and a leaf refers to them.

use bytes::Bytes;
use dust_orm::protocol::RawJson;

use crate::error::EmulatorError;
use crate::json::{self, Object};
use crate::state::State;
use crate::time;

/// A file that was kept.
pub(crate) struct Kept {
    /// What its bytes are asked for by.
    pub(crate) hash: String,
    /// The leaf that refers to it.
    pub(crate) reference: RawJson,
}

/// Keeps the bytes of a file.
pub(crate) fn keep(
    state: &State,
    content: Bytes,
    filename: Option<&str>,
    content_type: &str,
) -> Result<Kept, EmulatorError> {
    let size = content.len() as u64;
    let hash = state.stores.keep_file(content)?;
    let filename = filename.map_or_else(|| "null".to_owned(), json::string);
    let reference = Object::new()
        .string("_type", "file")
        .string("content_type", content_type)
        .raw("filename", &filename)
        .string("hash", &hash)
        .number("size", size)
        .string("uploaded_at", &time::iso(state.clock.wall_ms(), 6))
        .end();
    let reference = RawJson::parse(&reference).map_err(|error| EmulatorError::Import(error.to_string()))?;
    Ok(Kept { hash, reference })
}
