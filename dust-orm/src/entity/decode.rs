//! Decodes the leaves of a record into a Model.

use std::borrow::Cow;

use dust_protocol::value::is_claim;
use dust_protocol::{LeafRef, Path, RawJson, envelope, flatten, path};
use sea_orm::{ActiveModelTrait, TryIntoModel};

use super::encode::is_leaf;
use super::escape::unescape;
use super::key::set_key;
use super::leaf::LeafText;
use super::record::RecordRef;
use super::{DustEntity, FieldState, Fields};
use crate::error::{InvalidRecord, Undecodable};

/// Decodes a record. It ignores leaves that belong to no field.
///
/// # Errors
///
/// A required field without a leaf, a value that its field cannot hold, and a record beyond the limits of its size.
pub(crate) fn decode<'a, E: DustEntity>(record: impl Into<RecordRef<'a>>) -> Result<E::Model, InvalidRecord> {
    let record = record.into();
    if let Some(excess) = record.size().excess() {
        return Err(InvalidRecord::undecodable(record.path, Undecodable::new("record", format!("it has {excess}"))));
    }
    decode_active::<E>(record)?.try_into_model().map_err(|error| {
        InvalidRecord::undecodable(record.path, Undecodable::new("model", error.to_string()).with_source(error))
    })
}

/// Decodes a record into an ActiveModel whose fields are all `Unchanged`.
fn decode_active<E: DustEntity>(record: RecordRef<'_>) -> Result<E::ActiveModel, InvalidRecord> {
    let mut active = <E::ActiveModel as ActiveModelTrait>::default();
    let key = set_key::<E>(&mut active, record.key(E::KEY_PARTS));
    let mut invalid = fill(&mut active, Some(record));
    if let Err(undecodable) = key {
        invalid.path = record.path.to_owned();
        invalid.undecodable.insert(0, undecodable);
    }
    invalid.into_result().map(|()| active)
}

/// Completes an ActiveModel from the stored record, so that it converts to a Model. Fields that are `Set` stay as they
/// are. `NotSet` fields get the stored value, or the value of an absent leaf. `Unchanged` fields get the stored value.
/// Returns the fields that could not be filled.
pub(crate) fn fill<A: Fields>(active: &mut A, record: Option<RecordRef<'_>>) -> InvalidRecord {
    let mut invalid = InvalidRecord::default();
    let mut sources: Vec<Source<'_>> = A::FIELDS.iter().map(|_| Source::Absent).collect();
    if let Some(record) = record {
        find_sources::<A>(record, &mut sources, &mut invalid);
    }
    for (position, field) in A::FIELDS.iter().enumerate() {
        let state = active.state(position);
        // Without a record there is no newer value for an unchanged field.
        if field.key || state == FieldState::Set || (state == FieldState::Unchanged && record.is_none()) {
            continue;
        }
        let read = match (&sources[position], record) {
            (Source::Leaf(leaf), _) => read_field(active, position, leaf.value),
            (Source::Subtree(leaves), Some(record)) => read_field(active, position, assemble(record, leaves).as_str()),
            _ => Ok(false),
        };
        match read {
            Ok(true) => {}
            // The value of an absent field is `None`, or the default of `#[serde(default)]`.
            Ok(false) if !field.required && active.set_absent(position) => {}
            Ok(false) => invalid.missing.push(field.name.to_owned()),
            Err(error) => {
                let number = match &sources[position] {
                    Source::Leaf(leaf)
                        if leaf.value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) =>
                    {
                        format!("; the leaf holds the number {}", leaf.value)
                    }
                    _ => String::new(),
                };
                let undecodable = Undecodable::new(field.name, format!("{error}{number}")).with_source(error);
                invalid.undecodable.push(undecodable);
            }
        }
        active.set_state(position, FieldState::Unchanged);
    }
    if let Some(record) = record.filter(|_| invalid.is_invalid()) {
        invalid.path = record.path.to_owned();
    }
    invalid
}

/// The stored leaves that hold the value of a field.
enum Source<'a> {
    Absent,
    Leaf(LeafRef<'a>),
    /// An object, as the leaves below the field.
    Subtree(Vec<LeafRef<'a>>),
}

/// Finds the source of each field, by position. Among the names of a field, the first one with a leaf counts.
///
/// For a field `title` with the alias `name`:
///
/// | leaves of the record | source |
/// |---|---|
/// | `title`, `name` | `title` |
/// | `name` | `name` |
/// | `title` at revision 3, `title/en` at revision 4 | the subtree `title/en` |
/// | `title` at revision 4, `title/en` at revision 3 | the leaf `title` |
fn find_sources<'a, A: Fields>(record: RecordRef<'a>, sources: &mut [Source<'a>], invalid: &mut InvalidRecord) {
    // For each field with aliases that was found: its position, and the rank of the name under which it was found.
    let mut ranks: Vec<(usize, usize)> = Vec::new();
    // A claim is written before the record, and is not a value.
    for leaf in record.leaves().filter(|leaf| !is_claim(leaf.value)) {
        let (head, is_below) = first_segment(record.name(leaf));
        let Some((position, rank)) = find_field::<A>(&head) else {
            // Other clients also write the key as a field of the record.
            let is_key = A::FIELDS.iter().any(|field| field.key && field.rank(&head).is_some());
            if !is_key && invalid.unrecognised.last().is_none_or(|last| *last != head) {
                invalid.unrecognised.push(head.into_owned());
            }
            continue;
        };
        if !A::FIELDS[position].aliases.is_empty() {
            match ranks.iter_mut().find(|(known, _)| *known == position) {
                None => ranks.push((position, rank)),
                Some((_, found)) if *found < rank => continue,
                Some((_, found)) if *found > rank => {
                    *found = rank;
                    sources[position] = Source::Absent;
                }
                Some(_) => {}
            }
        }
        match &mut sources[position] {
            Source::Subtree(leaves) => leaves.push(leaf),
            // The leaf at the field's own path precedes its children. If both exist, the newer revision counts.
            Source::Leaf(exact) if is_below && exact.revision >= leaf.revision => {}
            source if is_below => *source = Source::Subtree(vec![leaf]),
            source => *source = Source::Leaf(leaf),
        }
    }
}

/// The position of the field that a leaf of this name belongs to, and the rank of the name among the field's names.
fn find_field<A: Fields>(name: &str) -> Option<(usize, usize)> {
    let by_name = A::FIELDS.iter().position(|field| field.name == name && is_leaf(field));
    let by_alias = || {
        let mut fields = A::FIELDS.iter().enumerate().filter(|(_, field)| !field.aliases.is_empty() && is_leaf(field));
        fields.find_map(|(position, field)| Some((position, field.rank(name)?)))
    };
    by_name.map(|position| (position, 0)).or_else(by_alias)
}

/// The first segment of a leaf's name, unescaped, and `true` if further segments follow.
#[inline]
fn first_segment(name: &str) -> (Cow<'_, str>, bool) {
    if !name.bytes().any(|byte| matches!(byte, b'/' | b'~')) {
        return (Cow::Borrowed(name), false);
    }
    let (head, is_below) = name.split_once('/').map_or((name, false), |(head, _)| (head, true));
    (path::unescape(head), is_below)
}

/// Decodes one field. Returns `false` if the leaf is `null` and the field must have a value.
fn read_field<A: Fields>(active: &mut A, position: usize, leaf: &str) -> Result<bool, serde_json::Error> {
    let field = &A::FIELDS[position];
    let value = unescape(leaf);
    if field.nullable && field.required && value == "null" {
        return Ok(false);
    }
    let text = LeafText::new(&value);
    match active.deserialize_field(position, text) {
        Ok(()) => Ok(true),
        Err(_) if value == "null" => Ok(false),
        // This second reading gives the error its position in the text.
        Err(_) => active.deserialize_field(position, text.exact()).map(|()| true),
    }
}

/// Assembles the leaves below a field into one object.
fn assemble(record: RecordRef<'_>, leaves: &[LeafRef<'_>]) -> RawJson {
    let to_plain = |leaf: &LeafRef<'_>| envelope::to_plain(&RawJson::from_trusted(leaf.value));
    let leaves = leaves.iter().map(|leaf| (Path::from_trusted(leaf.path), to_plain(leaf)));
    flatten::assemble(Path::from_trusted(record.path).depth() + 1, leaves)
}
