//! Files: bytes that are kept under their hash, and the leaves that refer to them.

use sha2::{Digest, Sha256};

use super::json::RawJson;
use super::path::Path;
use super::value::push_string;

/// A file to be stored.
///
/// ```
/// use dust_protocol::{FileUpload, Path};
///
/// let file = FileUpload::new(Path::parse("covers/dust")?, b"GIF89a".to_vec()).with_filename("dust.gif".to_owned());
/// assert_eq!((file.filename.as_deref(), file.content_type), (Some("dust.gif"), None));
/// # Ok::<(), dust_protocol::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileUpload {
    /// The path of the reference.
    pub path: Path,
    /// The bytes.
    pub content: Vec<u8>,
    /// The file's name, if it has one.
    pub filename: Option<String>,
    /// Its media type, if it is known.
    pub content_type: Option<String>,
}

/// The media type of a file that was stored without one.
const UNKNOWN_TYPE: &str = "application/octet-stream";

impl FileUpload {
    /// A file without a name and a media type.
    pub fn new(path: Path, content: Vec<u8>) -> FileUpload {
        FileUpload { path, content, filename: None, content_type: None }
    }

    /// Sets the file's name.
    #[must_use]
    pub fn with_filename(self, filename: impl Into<Option<String>>) -> FileUpload {
        FileUpload { filename: filename.into(), ..self }
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(self, content_type: impl Into<Option<String>>) -> FileUpload {
        FileUpload { content_type: content_type.into(), ..self }
    }

    /// The reference that a server writes for the file. `uploaded_at` is ISO 8601 in UTC.
    pub fn reference(&self, uploaded_at: &str) -> RawJson {
        let text = |text: &str| {
            let mut out = String::with_capacity(text.len() + 2);
            push_string(text, &mut out);
            out
        };
        RawJson::from_trusted(format!(
            r#"{{"_type":"file","content_type":{},"filename":{},"hash":{},"size":{},"uploaded_at":{}}}"#,
            text(self.content_type.as_deref().unwrap_or(UNKNOWN_TYPE)),
            self.filename.as_deref().map_or("null".to_owned(), text),
            text(&content_hash(&self.content)),
            self.content.len(),
            text(uploaded_at),
        ))
    }
}

/// The hash by which a file is fetched: `sha256:` and the hexadecimal digits of the SHA-256 of its bytes.
///
/// ```
/// use dust_protocol::content_hash;
///
/// let hash = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// assert_eq!(content_hash(b"hello"), hash);
/// ```
pub fn content_hash(content: &[u8]) -> String {
    use std::fmt::Write;

    let mut hash = String::with_capacity(71);
    hash.push_str("sha256:");
    for byte in Sha256::digest(content) {
        // Cannot fail: writing to a String succeeds.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

/// True if a text has the form of a [`content_hash`], which needs no escape in a URL.
///
/// ```
/// use dust_protocol::{content_hash, file::is_content_hash};
///
/// assert!(is_content_hash(&content_hash(b"")) && !is_content_hash("sha256:../stores"));
/// ```
pub fn is_content_hash(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(digit))
}
