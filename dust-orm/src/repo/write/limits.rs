//! The limits of a record: a write creates no record that is too large for a read to return.

use dust_protocol::{Path, RawJson, flatten, value};

use crate::entity::{
    FieldState, Fields, MAX_RECORD_BYTES, MAX_RECORD_LEAVES, SizeLimit, StoredRecord, is_leaf, written_bytes,
};
use crate::error::DustErr;

/// The leaves of a record before a write, as far as they are known.
pub(in crate::repo) enum Kept<'k> {
    /// The record that was read for the write.
    Stored(Option<&'k StoredRecord>),
    /// The leaves that the condition names, with the size of their paths and values, in bytes.
    Read(Vec<(&'k Path, usize)>),
}

impl<'k> Kept<'k> {
    /// Creates the leaves of a condition. A condition has no values: those of the unchanged fields were read with it.
    pub(in crate::repo) fn read<A: Fields>(active: &A, record: &Path, leaves: &'k [(Path, u64)]) -> Kept<'k> {
        let mut kept: Vec<(&Path, usize)> = leaves.iter().map(|(path, _)| (path, path.as_str().len())).collect();
        for (position, field) in A::FIELDS.iter().enumerate() {
            if !is_leaf(field) || active.state(position) != FieldState::Unchanged {
                continue;
            }
            let Ok(path) = record.child(field.name) else { continue };
            if let Some((_, bytes)) = kept.iter_mut().find(|(leaf, _)| path.is_at_or_above(leaf.as_str())) {
                *bytes = bytes.saturating_add(written_bytes(active, position));
            }
        }
        Kept::Read(kept)
    }

    /// The number of leaves, and the size of their paths and values, in bytes.
    fn size(&self) -> (usize, usize) {
        match self {
            Kept::Stored(stored) => stored.map_or((0, 0), |stored| (stored.leaves.len(), stored.leaves.size())),
            Kept::Read(leaves) => (leaves.len(), leaves.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))),
        }
    }

    fn add_to(&self, total: &mut SizeLimit, stays: impl Fn(&str) -> bool) {
        match self {
            Kept::Stored(stored) => {
                let leaves = stored.iter().flat_map(|stored| stored.leaves.iter());
                leaves.filter(|leaf| stays(leaf.path)).for_each(|leaf| total.add((1, leaf.size())));
            }
            Kept::Read(leaves) => {
                let leaves = leaves.iter().filter(|(path, _)| stays(path.as_str()));
                leaves.for_each(|(_, bytes)| total.add((1, *bytes)));
            }
        }
    }
}

/// Rejects an object of fields that, together with the rest of the stored record, would be too large to read back.
pub(in crate::repo) fn check_object(
    record: &Path,
    object: &RawJson,
    stored: Option<&StoredRecord>,
) -> Result<(), DustErr> {
    let kept = Kept::Stored(stored);
    if is_small(record, object.as_str().len(), kept.size()) {
        return Ok(());
    }
    let members = value::members(object.as_str())?;
    check_limits(record, members.iter().map(|(name, value)| (&**name, value.get())), &kept)
}

/// Rejects fields that, together with the rest of the record, would be too large to read back.
pub(in crate::repo) fn check_limits<'v>(
    record: &Path,
    fields: impl Iterator<Item = (&'v str, &'v str)> + Clone,
    kept: &Kept<'_>,
) -> Result<(), DustErr> {
    if is_small(record, fields.clone().map(|(name, value)| name.len() + value.len()).sum(), kept.size()) {
        return Ok(());
    }
    let (mut total, mut largest) = (SizeLimit::default(), ("", 0));
    for (name, value) in fields.clone() {
        let path = record.child(name)?;
        let (leaves, bytes) = flatten::measure(path.as_str().len(), value)?;
        total.add((leaves, bytes));
        if bytes >= largest.1 {
            largest = (name, bytes);
        }
    }
    let written: Vec<Path> = fields.map(|(name, _)| record.child(name)).collect::<Result<_, _>>()?;
    kept.add_to(&mut total, |leaf| !written.iter().any(|path| path.is_at_or_above(leaf)));
    match total.excess() {
        None => Ok(()),
        Some(excess) => Err(too_large(record, largest.0, &excess)),
    }
}

/// Rejects adding `bytes` bytes to a field, or the field to its record, if the result would be too large to read back.
pub(in crate::repo) fn check_growth(record: &StoredRecord, field: &Path, bytes: usize) -> Result<(), DustErr> {
    let mut total = SizeLimit::default();
    total.add(Kept::Stored(Some(record)).size());
    let is_there = record.leaves.search(field.as_str()).is_ok();
    total.add(if is_there { (0, bytes) } else { (1, bytes.saturating_add(field.as_str().len())) });
    match total.excess() {
        None => Ok(()),
        Some(excess) => Err(too_large(&record.path, &field.segments().next_back().unwrap_or_default(), &excess)),
    }
}

fn too_large(record: &Path, field: &str, excess: &str) -> DustErr {
    DustErr::invalid_params(format!(
        "the field `{field}` of `{record}` cannot be written: the record would have {excess}; keep the value as a list \
         or a text, which is one leaf, or divide it among several records"
    ))
}

/// True if fields with a text of `text` bytes and the kept leaves are within the limits, for any split of the fields
/// into leaves: a leaf takes at least five bytes, and its path is no longer than the record's and the text together.
fn is_small(record: &Path, text: usize, (kept_leaves, kept_bytes): (usize, usize)) -> bool {
    let leaves = text / 5 + 1;
    let longest = record.as_str().len() * 2 + text * 2 + 8;
    leaves.max(kept_leaves) <= MAX_RECORD_LEAVES / 2
        && leaves.saturating_mul(longest).max(kept_bytes) <= MAX_RECORD_BYTES / 2
}

#[cfg(test)]
mod tests {
    use dust_protocol::{LeafKind, LeafRef, PackedLeaves};

    use super::*;

    fn object(leaves: usize) -> String {
        let members: Vec<String> = (0..leaves).map(|n| format!("\"k{n}\":1")).collect();
        format!("{{{}}}", members.join(","))
    }

    fn refusal(fields: &[(&str, &str)], stored: Option<&StoredRecord>) -> Option<String> {
        let record = Path::parse("docs/a").unwrap();
        check_limits(&record, fields.iter().copied(), &Kept::Stored(stored)).err().map(|error| error.to_string())
    }

    #[test]
    fn a_record_has_as_many_leaves_as_are_read_and_no_more() {
        let most = object(MAX_RECORD_LEAVES - 1);
        assert_eq!(refusal(&[("value", &most), ("maybe", "null")], None), None);
        let text = refusal(&[("other", "1"), ("value", &most), ("maybe", "null")], None).unwrap();
        assert!(text.contains("the field `value` of `docs/a`") && text.contains("100001 leaves"), "{text}");
        // In a list the object is one leaf.
        assert_eq!(refusal(&[("value", &format!("[{},1]", object(MAX_RECORD_LEAVES)))], None), None);
    }

    #[test]
    fn what_stays_of_a_record_counts_and_what_is_replaced_does_not() {
        let record = Path::parse("docs/a").unwrap();
        let mut leaves = PackedLeaves::default();
        for n in 0..60_000 {
            let path = format!("docs/a/value/k{n:05}");
            leaves.push(LeafRef { path: &path, value: "1", kind: LeafKind::Integer, revision: 1 });
        }
        let stored = StoredRecord { path: record, leaves };
        let half = object(60_000);
        assert!(refusal(&[("maybe", &half)], Some(&stored)).is_some_and(|text| text.contains("`maybe`")));
        assert_eq!(refusal(&[("value", &half)], Some(&stored)), None);
        assert_eq!(refusal(&[("maybe", "1")], Some(&stored)), None);
    }

    #[test]
    fn leaves_of_a_condition_count_as_far_as_they_are_kept() {
        let record = Path::parse("docs/a").unwrap();
        let paths: Vec<Path> = (0..60_000).map(|n| Path::parse(&format!("docs/a/value/k{n}")).unwrap()).collect();
        let kept = Kept::Read(paths.iter().map(|path| (path, 20)).collect());
        let half = object(60_000);
        let refused = |field| check_limits(&record, [(field, half.as_str())].into_iter(), &kept).is_err();
        assert!(refused("maybe") && !refused("value"));
    }

    #[test]
    fn growth_beyond_a_limit_is_refused() {
        let path = Path::parse("docs/a").unwrap();
        let mut leaves = PackedLeaves::default();
        for n in 0..MAX_RECORD_LEAVES {
            leaves.push(LeafRef { path: &format!("docs/a/k{n:06}"), value: "1", kind: LeafKind::Integer, revision: 1 });
        }
        let record = StoredRecord { path: path.clone(), leaves };
        let grows = |field: &str, bytes| check_growth(&record, &path.child(field).unwrap(), bytes);
        assert!(grows("k000000", 20).is_ok());
        assert!(grows("other", 1).is_err_and(|error| error.to_string().contains("the field `other` of `docs/a`")));
        assert!(grows("k000000", MAX_RECORD_BYTES).is_err());
    }
}
