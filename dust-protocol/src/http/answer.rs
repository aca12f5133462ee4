//! Parsers of answers. The text of a value stays as it is, so that no digit is lost.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::excerpt::excerpt;
use crate::read::{Listing, PageFault};
use crate::{
    Entry, JsonObject, LeafKind, LeafPage, LeafRef, ListItem, ListRequest, PackedLeaves, Page, Path, RawJson, Select,
    path,
};

/// The reason why a body is not the expected answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", excerpt(text))]
pub struct Unreadable {
    text: String,
    is_of_others: bool,
}

impl Unreadable {
    fn new(text: impl Into<String>) -> Unreadable {
        Unreadable { text: text.into(), is_of_others: false }
    }

    /// True for a page with leaves outside the selection, which an older server returns for a list that it does not
    /// know.
    pub fn is_of_others(&self) -> bool {
        self.is_of_others
    }

    /// The same with the text changed by a function, which gets the whole text, as it may quote the body.
    pub fn map(self, change: impl FnOnce(String) -> String) -> Unreadable {
        Unreadable { text: change(self.text), ..self }
    }
}

impl From<PageFault> for Unreadable {
    fn from(PageFault { text, is_of_others }: PageFault) -> Unreadable {
        Unreadable { text, is_of_others }
    }
}

#[derive(Deserialize)]
struct EntryBody<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    revision: u64,
}

#[derive(Deserialize)]
struct LeafBody<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    revision: u64,
}

/// A string that is borrowed from the body unless it has an escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct EntriesBody<'a> {
    #[serde(borrow)]
    items: Vec<JsonObject<EntryBody<'a>>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct PathsBody<'a> {
    #[serde(borrow)]
    items: Vec<Text<'a>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct LeavesBody<'a> {
    #[serde(borrow)]
    entries: HashMap<String, JsonObject<LeafBody<'a>>>,
}

#[derive(Deserialize)]
struct SeqBody {
    store_seq: u64,
}

/// Parses the answer to `GET entries/<path>` for that path.
pub fn entry(body: &[u8], path: &Path) -> Result<Entry, Unreadable> {
    let entry = read::<EntryBody<'_>>(body)?.into_entry()?;
    let is_asked_for = entry.path == *path;
    is_asked_for.then_some(entry).ok_or_else(|| Unreadable::new("it is about another path"))
}

/// Parses the answer to `GET entries`. Checks that it has selected paths only, in order, and a cursor that advances.
pub fn page(body: &[u8], request: &ListRequest) -> Result<Page, Unreadable> {
    let page = match request.select {
        Select::Entries => {
            let EntriesBody { items, next_cursor } = read(body)?;
            let items = items.into_iter().map(|JsonObject(item)| item.into_entry().map(ListItem::Entry));
            Page { items: items.collect::<Result<_, _>>()?, next_cursor }
        }
        Select::Keys | Select::Prefixes => {
            let PathsBody { items, next_cursor } = read(body)?;
            let items = items.iter().map(|Text(path)| parse_path(path).map(ListItem::Path));
            Page { items: items.collect::<Result<_, _>>()?, next_cursor }
        }
    };
    check(request, page.items.iter().map(|item| item.path().as_str()), page.next_cursor.as_deref())?;
    Ok(page)
}

/// Parses the answer to `GET entries` for whole leaves: as [`page`], but packs the leaves directly from the body.
pub fn leaf_page(body: &[u8], request: &ListRequest) -> Result<LeafPage, Unreadable> {
    let EntriesBody { items, next_cursor } = read(body)?;
    items.iter().try_for_each(|JsonObject(item)| check_path(&item.path))?;
    check(request, items.iter().map(|JsonObject(item)| &*item.path), next_cursor.as_deref())?;
    Ok(LeafPage { leaves: PackedLeaves::of(items.iter().map(|JsonObject(item)| item.leaf())), next_cursor })
}

/// Refuses a page with a path outside the selection, paths out of order, or a cursor that does not advance.
fn check<'p>(
    request: &ListRequest,
    mut paths: impl Iterator<Item = &'p str>,
    next_cursor: Option<&str>,
) -> Result<(), Unreadable> {
    let fault = match Listing::of(request) {
        Ok(Some(listing)) => listing.fault(paths, next_cursor),
        // No path can match.
        Ok(None) => (paths.next().is_some() || next_cursor.is_some())
            .then(|| PageFault { text: "there is something, where nothing can match".to_owned(), is_of_others: true }),
        // The server refuses such a list.
        Err(_) => None,
    };
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}

/// Parses the answer to `POST entries/batch`, in the order of the requested paths.
pub fn leaves(body: &[u8], paths: &[Path]) -> Result<Vec<Option<Entry>>, Unreadable> {
    let LeavesBody { entries } = read(body)?;
    let entry = |path: &Path| {
        let JsonObject(leaf) = entries.get(path.as_str())?;
        Some(leaf_entry(path.clone(), leaf.value, &leaf.kind, leaf.revision))
    };
    Ok(paths.iter().map(entry).collect())
}

/// Parses the answer to a write: the `store_seq` of its last op.
pub fn store_seq(body: &[u8]) -> Result<u64, Unreadable> {
    Ok(read::<SeqBody>(body)?.store_seq)
}

/// The answer to a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteAnswer {
    /// The `store_seq` of the last op.
    pub store_seq: u64,
    /// The revision of each op of a batch, in their order; empty if the answer does not list them.
    pub revisions: Vec<u64>,
}

#[derive(Deserialize)]
struct WriteBody {
    store_seq: u64,
    #[serde(default)]
    ops: Vec<JsonObject<WrittenOp>>,
}

#[derive(Deserialize)]
struct WrittenOp {
    revision: u64,
}

/// Parses the answer to a write.
///
/// ```
/// use dust_protocol::http::write_answer;
///
/// let body = br#"{"ops":[{"path":"a","revision":1,"store_seq":1},{"path":"b","revision":2,"store_seq":2}],"store_seq":2}"#;
/// assert_eq!(write_answer(body)?.revisions, [1, 2]);
/// assert_eq!(write_answer(br#"{"revision":3,"store_seq":3}"#)?.store_seq, 3);
/// # Ok::<(), dust_protocol::http::Unreadable>(())
/// ```
pub fn write_answer(body: &[u8]) -> Result<WriteAnswer, Unreadable> {
    let WriteBody { store_seq, ops } = read(body)?;
    Ok(WriteAnswer { store_seq, revisions: ops.into_iter().map(|JsonObject(op)| op.revision).collect() })
}

impl EntryBody<'_> {
    fn into_entry(self) -> Result<Entry, Unreadable> {
        Ok(leaf_entry(parse_path(&self.path)?, self.value, &self.kind, self.revision))
    }

    fn leaf(&self) -> LeafRef<'_> {
        let kind = LeafKind::from_name(&self.kind);
        LeafRef { path: &self.path, value: self.value.get(), kind, revision: self.revision }
    }
}

fn leaf_entry(path: Path, value: &RawValue, kind: &str, revision: u64) -> Entry {
    Entry { path, value: RawJson::from_trusted(value.get()), kind: LeafKind::from_name(kind), revision }
}

fn parse_path(path: &str) -> Result<Path, Unreadable> {
    check_path(path)?;
    Ok(Path::from_trusted(path))
}

fn check_path(path: &str) -> Result<(), Unreadable> {
    path::check(path).map_err(|error| Unreadable::new(format!("the path {path:?}: {error}")))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    // One check of the whole text is faster than a check of every value.
    let text = str::from_utf8(body).map_err(|error| not_json(body, &error.to_string()))?;
    serde_json::from_str(text).map(|JsonObject(answer)| answer).map_err(|error| {
        let why = match error.classify() {
            Category::Eof => "it is cut off".to_owned(),
            Category::Syntax => format!("it is not JSON: {error}"),
            Category::Data | Category::Io => return Unreadable::new(error.to_string()),
        };
        not_json(body, &why)
    })
}

/// The reason why a body is not JSON. A page of a proxy may be in any encoding.
fn not_json(body: &[u8], otherwise: &str) -> Unreadable {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    Unreadable::new(match body.first() {
        None => "it is empty",
        Some(b'<') => {
            "it is an HTML page and not JSON, as the sign-in page of a network or a proxy gives; check the network and \
             the base URL"
        }
        // The first two bytes of every gzip stream.
        Some(0x1f) if body.get(1) == Some(&0x8b) => "it is compressed without `Content-Encoding: gzip`",
        _ => otherwise,
    })
}
