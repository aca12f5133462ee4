//! Seeds and imports.
//!
//! There are two forms. An object of paths and values, `{"links/dust": {"title": "Dust"}}`, is for people: each member
//! is one `set`. The export of a server has one JSON object per line: a header, then `{"path","type","value"}` for each
//! leaf. A text of one object is an export only if the object is a header.

use std::collections::{HashMap, HashSet};

use dust_protocol::{JsonObject, LeafKind, Mutation, Op, Path, RawJson, SeedCheck, path, seed_entries, value};
use dust_store::{Origin, Store, StoreError};
use serde::{Deserialize, Deserializer};

use crate::error::EmulatorError;
use crate::export;

/// The largest number of lines of an import over HTTP that share a commit.
const CHUNK: usize = 1000;

/// A write of an import, with its offset in the text.
struct Placed {
    write: Op,
    offset: usize,
}

/// Imports a text in either form, all or nothing, in one commit. Returns the number of entries.
pub(crate) fn import(store: &Store, text: &str) -> Result<usize, EmulatorError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(0);
    }
    let mut check = SeedCheck::default();
    if store.current_seq() > 0 {
        export::leaves(store)?.iter().for_each(|leaf| check.existing(&leaf.path));
    }
    let placed = if is_lines(text) { lines(store, text, &mut check)? } else { members(text, &mut check)? };
    let offsets: Vec<usize> = placed.iter().map(|placed| placed.offset).collect();
    let writes: Vec<Op> = placed.into_iter().map(|placed| placed.write).collect();
    let refused = |error: StoreError| match error.op_index().and_then(|index| offsets.get(index)) {
        Some(offset) => at(text, *offset, &error.without_index().to_string()),
        None => error.into(),
    };
    store.write_all(writes, &Origin::new("system:import", "seed")).map_err(refused)?;
    Ok(offsets.len())
}

/// True if a text is the export of a server: its first line is a whole object, which is a header or not the last.
fn is_lines(text: &str) -> bool {
    let start = text.trim_start();
    let (first, rest) = start.split_once('\n').unwrap_or((start, ""));
    let Ok(line) = RawJson::parse(first.trim()) else { return false };
    line.is_object() && (!rest.trim().is_empty() || line.to().is_ok_and(|JsonObject(Line { header, .. })| header))
}

/// Makes an error with line and column.
fn at(text: &str, offset: usize, reason: &str) -> EmulatorError {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    EmulatorError::Import(format!("line {line}, column {column}: {reason}"))
}

/// Makes the error of a text that is not JSON, `offset` bytes into a larger one.
fn not_json(text: &str, offset: usize, error: &serde_json::Error) -> EmulatorError {
    let said = error.to_string();
    let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason);
    let part = text.get(offset..).unwrap_or_default();
    let lines: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    // Column 0 is the preceding line break.
    let place = (offset + lines + error.column()).saturating_sub(1);
    at(text, place.clamp(offset, text.len()), reason)
}

/// The entries of an object, each of which is one `set`. Upper paths come before those below them, in any order of the
/// text.
fn members(text: &str, check: &mut SeedCheck) -> Result<Vec<Placed>, EmulatorError> {
    let entries = seed_entries(text).map_err(|error| not_json(text, 0, &error))?;
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = Path::parse(&entry.path)
            .map_err(|error| at(text, entry.offset, &format!("the path `{}`: {error}", entry.path)))?;
        check.entry(&path, &entry.value).map_err(|error| at(text, entry.offset, &error.to_string()))?;
        placed.push(Placed { write: Op::set(path, entry.value), offset: entry.offset });
    }
    in_order(text, placed)
}

/// Brings upper paths before those below them, whose `set` would remove these. Refuses an entry that is in another one
/// too, of which the `set` would remove a part.
fn in_order(text: &str, mut placed: Vec<Placed>) -> Result<Vec<Placed>, EmulatorError> {
    placed.sort_by(|left, right| left.write.path.cmp(&right.write.path));
    let mut objects: HashMap<&str, &str> = HashMap::new();
    for Placed { write, offset } in &placed {
        let path = write.path.as_str();
        for (end, _) in path.match_indices('/') {
            let (above, below) = (&path[..end], &path[end + 1..]);
            if objects.get(above).is_some_and(|object| has_member(object, below)) {
                let reason =
                    format!("`{path}` is in the entry `{above}` too, and would remove a part of it; join them");
                return Err(at(text, *offset, &reason));
            }
        }
        if let Mutation::Set(value) = &write.mutation
            && value.is_object()
        {
            objects.insert(path, value.as_str());
        }
    }
    Ok(placed)
}

/// Tests if an object has a member at a path below its own.
fn has_member(object: &str, below: &str) -> bool {
    let (key, rest) = below.split_once('/').map_or((below, None), |(key, rest)| (key, Some(rest)));
    let members = if object.starts_with('{') { value::members(object).ok() } else { None };
    let member = members.as_ref().and_then(|members| members.get(&*path::unescape(key)));
    member.is_some_and(|member| rest.is_none_or(|rest| has_member(member.get(), rest)))
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_header", default)]
    header: bool,
    #[serde(default)]
    path: Option<String>,
    /// Also of a leaf that is `null`.
    #[serde(default, deserialize_with = "some")]
    value: Option<RawJson>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    RawJson::deserialize(deserializer).map(Some)
}

fn lines(store: &Store, text: &str, check: &mut SeedCheck) -> Result<Vec<Placed>, EmulatorError> {
    let mut placed = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let here = offset + (line.len() - line.trim_start().len());
        offset += line.len();
        if line.trim().is_empty() {
            continue;
        }
        let JsonObject(parsed): JsonObject<Line> =
            serde_json::from_str(line.trim()).map_err(|error| not_json(text, here, &error))?;
        if parsed.header {
            continue;
        }
        let (Some(path), Some(value)) = (parsed.path, parsed.value) else {
            return Err(at(text, here, "a line of an export has a `path` and a `value`"));
        };
        let fails = |reason: String| at(text, here, &reason);
        let path = Path::parse(&path).map_err(|error| fails(format!("the path `{path}`: {error}")))?;
        check.entry(&path, &value).map_err(|error| fails(error.to_string()))?;
        let op = leaf_op(store, &path, value, parsed.kind.as_deref());
        placed.push(Placed { write: Op::new(path, op), offset: here });
    }
    in_order(text, placed)
}

/// The write that restores a leaf: `set`, except for files and for new counters, which keep their type.
fn leaf_op(store: &Store, path: &Path, value: RawJson, kind: Option<&str>) -> Mutation {
    match kind.map(LeafKind::from_name) {
        Some(LeafKind::File) => Mutation::PutFile(value),
        Some(LeafKind::Counter) if store.get(path).is_ok_and(|found| found.is_none()) => Mutation::Increment(value),
        _ => Mutation::Set(value),
    }
}

/// The results of the lines of an import.
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

/// Imports the export format as a server does, line by line: a line that fails does not stop the others.
pub(crate) fn import_lines(store: &Store, text: &str, device_id: &str) -> Imported {
    let mut done = Imported::default();
    let mut chunk = Chunk::new(store, device_id);
    for (line, text) in (1..).zip(text.split('\n')) {
        if text.trim().is_empty() {
            done.skipped += 1;
            continue;
        }
        match serde_json::from_str(text.trim()) {
            Ok(JsonObject(Line { header: true, .. })) => done.skipped += 1,
            Ok(JsonObject(Line { path: Some(path), value, kind, .. })) if !path.is_empty() => {
                chunk.add(line, path, value.unwrap_or_else(RawJson::null), kind.as_deref(), &mut done);
            }
            _ => {
                done.failed.push(FailedLine { line, path: None, reason: "unparseable".to_owned() });
                done.unparseable += 1;
            }
        }
    }
    chunk.write(&mut done);
    done.failed.sort_by_key(|failed| failed.line);
    done
}

/// Lines that are written in one commit.
struct Chunk<'s> {
    store: &'s Store,
    device_id: &'s str,
    lines: Vec<(usize, String)>,
    writes: Vec<(Op, Origin)>,
    /// Its paths and their ancestors, in lower case: a counter at one of these begins a new commit.
    paths: HashSet<String>,
}

impl<'s> Chunk<'s> {
    fn new(store: &'s Store, device_id: &'s str) -> Chunk<'s> {
        Chunk { store, device_id, lines: Vec::new(), writes: Vec::new(), paths: HashSet::new() }
    }

    fn add(&mut self, line: usize, path: String, value: RawJson, kind: Option<&str>, done: &mut Imported) {
        let at = match Path::parse(&path) {
            Ok(at) => at,
            Err(error) => {
                let reason = error.name().to_owned();
                done.failed.push(FailedLine { line, path: Some(path), reason });
                return;
            }
        };
        let folded = at.as_str().to_ascii_lowercase();
        // An earlier line may have made the counter.
        if self.writes.len() == CHUNK || (kind == Some("counter") && self.paths.contains(&folded)) {
            self.write(done);
        }
        let op = leaf_op(self.store, &at, value, kind);
        let ends = folded.match_indices('/').map(|(end, _)| end).chain([folded.len()]);
        self.paths.extend(ends.map(|end| folded[..end].to_owned()));
        self.writes.push((Op::new(at, op), Origin::new(self.device_id, format!("import:{path}"))));
        self.lines.push((line, path));
    }

    fn write(&mut self, done: &mut Imported) {
        self.paths.clear();
        let answers = self.store.write_each(std::mem::take(&mut self.writes));
        for ((line, path), answer) in self.lines.drain(..).zip(answers) {
            match answer {
                Ok(_) => done.imported += 1,
                Err(error) => done.failed.push(FailedLine { line, path: Some(path), reason: error.to_string() }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
