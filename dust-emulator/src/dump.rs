//! Stores as text: seeds, exports and imports.
//!
//! Two forms. An object of paths and values, `{"links/dust": {"title": "Dust"}}`, is for people: each member is one
//! `set`. And the server's own export, one JSON object a line: a header, then `{"path","type","value"}` for each leaf.

use std::collections::BTreeMap;

use dust_orm::protocol::{BatchOp, Entry, Glob, LeafKind, ListItem, ListRequest, Op, Path, RawJson, Write};
use dust_orm::store::{Origin, Store, StoreError};
use serde::Deserialize;

use crate::error::EmulatorError;
use crate::json::{self, Object};
use crate::time;

/// The version of the server's export that this reads and writes.
const PATH_SCHEMA_VERSION: u64 = 3;

/// Every leaf, decimals and datetimes as bare strings.
pub(crate) fn leaves(store: &Store) -> Result<Vec<Entry>, StoreError> {
    let mut leaves = Vec::new();
    // Cannot fail: `**` is a pattern.
    let Ok(everything) = Glob::parse("**") else { return Ok(leaves) };
    let mut request = ListRequest::pattern(everything);
    loop {
        let page = store.list(&request)?;
        leaves.extend(page.items.into_iter().filter_map(ListItem::into_entry));
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => return Ok(leaves),
        }
    }
}

/// A store as a server exports it.
pub(crate) fn export_lines(name: &str, store: &Store, now_ms: i64) -> Result<String, StoreError> {
    let seq = store.current_seq();
    let leaves = leaves(store)?;
    let mut text = Object::new()
        .raw("_header", "true")
        .number("entry_count", leaves.len() as u64)
        .string("exported_at", &time::iso(now_ms, 6))
        .number("path_schema_version", PATH_SCHEMA_VERSION)
        .number("seq", seq)
        .string("store", name)
        .end();
    text.push('\n');
    for leaf in leaves {
        let line = Object::new().string("path", leaf.path.as_str()).string("type", leaf.kind.name());
        text.push_str(&line.value("value", &leaf.value).end());
        text.push('\n');
    }
    Ok(text)
}

/// A store as an object of paths and leaf values, a line each.
pub(crate) fn export_object(store: &Store) -> Result<String, StoreError> {
    let members = leaves(store)?.into_iter().map(|leaf| {
        let mut line = format!("  {}: ", json::string(leaf.path.as_str()));
        json::push_value(&leaf.value, &mut line);
        line
    });
    let members: Vec<String> = members.collect();
    Ok(if members.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", members.join(",\n")) })
}

/// Writes what a text holds, in either form, and answers how many entries it held. An object is written as one batch
/// where it fits one.
pub(crate) fn import(store: &Store, text: &str) -> Result<usize, EmulatorError> {
    if text.trim().is_empty() {
        return Ok(0);
    }
    match RawJson::parse(text) {
        Ok(object) if object.is_object() && !is_line(&object) => import_object(store, &object),
        _ => {
            let done = import_lines(store, text, "import")?;
            match done.failed.first() {
                None => Ok(done.imported),
                Some(failed) => Err(EmulatorError::Import(format!("line {}: {}", failed.line, failed.reason))),
            }
        }
    }
}

/// Whether an object is a line of a server's export, which then has no other line.
fn is_line(object: &RawJson) -> bool {
    object.to::<BTreeMap<String, RawJson>>().is_ok_and(|members| {
        members.contains_key("_header") || (members.contains_key("path") && members.contains_key("value"))
    })
}

fn import_object(store: &Store, object: &RawJson) -> Result<usize, EmulatorError> {
    let members: BTreeMap<String, RawJson> =
        object.to().map_err(|error| EmulatorError::Import(format!("the seed is no object of paths: {error}")))?;
    let mut ops = Vec::with_capacity(members.len());
    for (path, value) in members {
        let path = Path::parse(&path).map_err(|error| EmulatorError::Import(format!("the path `{path}`: {error}")))?;
        ops.push(BatchOp::set(path, value));
    }
    let origin = Origin::new("system:import", "seed");
    for chunk in ops.chunks(1000) {
        store.batch_write(chunk.to_vec(), None, &origin)?;
    }
    Ok(ops.len())
}

/// What became of the lines of an import.
#[derive(Default)]
pub(crate) struct Imported {
    pub(crate) imported: usize,
    /// Headers and empty lines.
    pub(crate) skipped: usize,
    pub(crate) unparseable: usize,
    pub(crate) failed: Vec<FailedLine>,
}

/// A line that was not imported.
pub(crate) struct FailedLine {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) path: Option<String>,
    pub(crate) reason: String,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_header", default)]
    header: bool,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    value: Option<RawJson>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

/// Imports the server's form line by line; one that fails does not stop the others. What comes is written with `set`,
/// but for files and for counters that are not there yet, which keep their type.
pub(crate) fn import_lines(store: &Store, text: &str, device_id: &str) -> Result<Imported, StoreError> {
    let mut done = Imported::default();
    for (at, line) in text.split('\n').enumerate() {
        let line_number = at + 1;
        let mut fail = |path: Option<String>, reason: String| {
            done.failed.push(FailedLine { line: line_number, path, reason });
        };
        if line.trim().is_empty() {
            done.skipped += 1;
            continue;
        }
        let parsed: Option<Line> = serde_json::from_str(line.trim()).ok();
        match parsed {
            Some(Line { header: true, .. }) => done.skipped += 1,
            Some(Line { path: Some(path), value, kind, .. }) if !path.is_empty() => {
                let value = value.unwrap_or_else(RawJson::null);
                match import_leaf(store, &path, value, kind.as_deref(), device_id) {
                    Ok(()) => done.imported += 1,
                    Err(reason) => fail(Some(path), reason),
                }
            }
            _ => {
                fail(None, "unparseable".to_owned());
                done.unparseable += 1;
            }
        }
    }
    Ok(done)
}

fn import_leaf(store: &Store, path: &str, value: RawJson, kind: Option<&str>, device: &str) -> Result<(), String> {
    let at = Path::parse(path).map_err(|error| error.name().to_owned())?;
    let op = match kind.map(LeafKind::from_name) {
        Some(LeafKind::File) => Op::PutFile(value),
        Some(LeafKind::Counter) if store.get(&at).is_ok_and(|found| found.is_none()) => Op::Increment(value),
        _ => Op::Set(value),
    };
    let origin = Origin::new(device, format!("import:{path}"));
    store.write(Write::new(at, op), &origin).map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_comes_back() {
        let store = Store::in_memory().unwrap();
        let count = import(&store, r#"{"links/dust": {"title": "Dust", "n": 1e3}, "a~1b": [1]}"#).unwrap();
        assert_eq!(count, 2);
        let text = export_object(&store).unwrap();
        assert_eq!(text, "{\n  \"a~1b\": [1],\n  \"links/dust/n\": 1.0e3,\n  \"links/dust/title\": \"Dust\"\n}\n");
        let again = Store::in_memory().unwrap();
        import(&again, &text).unwrap();
        assert_eq!(export_object(&again).unwrap(), text);
        assert_eq!(export_object(&Store::in_memory().unwrap()).unwrap(), "{}\n");
        assert_eq!(import(&again, " \n").unwrap(), 0);
    }

    #[test]
    fn lines_keep_the_types_of_files_and_counters() {
        let lines = concat!(
            r#"{"_header":true,"entry_count":3,"path_schema_version":3,"seq":3,"store":"a/b"}"#,
            "\n\n",
            r#"{"path":"c","type":"counter","value":3}"#,
            "\n",
            r#"{"path":"f","type":"file","value":{"_type":"file","hash":"sha256:x"}}"#,
            "\n",
            r#"{"path":"t","type":"string","value":"x"}"#,
            "\n",
        );
        let store = Store::in_memory().unwrap();
        assert_eq!(import(&store, lines).unwrap(), 3);
        let kinds: Vec<_> = leaves(&store).unwrap().iter().map(|leaf| leaf.kind.name()).collect();
        assert_eq!(kinds, ["counter", "file", "string"]);
        let exported = export_lines("a/b", &store, 0).unwrap();
        let again = Store::in_memory().unwrap();
        import(&again, &exported).unwrap();
        assert_eq!(export_lines("a/b", &again, 0).unwrap(), exported);
    }

    #[test]
    fn what_cannot_be_imported_is_named() {
        let error = |text: &str| import(&Store::in_memory().unwrap(), text).unwrap_err().to_string();
        assert!(error(r#"{"a//b": 1}"#).contains("`a//b`"));
        assert!(error("{\"path\":\"ok\",\"value\":1}\nnonsense").contains("line 2"));
        assert!(error(r#"{"a": {"": 1}}"#).contains("empty_segment"));
    }

    #[test]
    fn one_bad_line_stops_no_other() {
        let store = Store::in_memory().unwrap();
        let text = "{\"path\":\"a\",\"value\":1}\n{\"value\":2}\n{\"path\":\"b/\",\"value\":2}\n{\"path\":\"c\"}\n";
        let done = import_lines(&store, text, "d").unwrap();
        assert_eq!((done.imported, done.skipped, done.unparseable), (2, 1, 1));
        let failed: Vec<_> = done.failed.iter().map(|f| (f.line, f.path.as_deref(), f.reason.as_str())).collect();
        assert_eq!(failed, [(2, None, "unparseable"), (3, Some("b/"), "empty_segment")]);
    }
}
