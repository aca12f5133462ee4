//! The keys that a `find` selects, as a range of paths.

use dust_protocol::path::{self, escape_into};
use dust_protocol::read::text_end;
use dust_protocol::{Order, Path, Selector};

/// The keys that a `find` selects below one path: those whose next part begins with a text, and that are between two
/// others.
///
/// Records are in the order of their leaves, which is that of their paths followed by `/`. A record is therefore behind
/// all records of which the key begins with its own key and a character below `/`, such as `-` or `.`.
#[derive(Clone, Debug)]
pub(in crate::repo) struct KeyRange {
    /// The path of the prefix of the entity and of the first parts of the keys.
    pub(in crate::repo) base: Path,
    pub(in crate::repo) starts_with: Option<String>,
    /// The position to begin after, in the order of the list.
    pub(super) after: Option<Position>,
    /// The position to end before, in the order of the list.
    pub(super) before: Option<Position>,
}

/// The place of a key among the others: the range of the leaves of its record.
#[derive(Clone, Debug)]
pub(super) struct Position {
    /// No leaf of the record is before this path.
    start: String,
    /// All leaves of the record are before this path.
    end: String,
}

impl Position {
    /// The position of the key with these parts below a path. An empty part, which no key has, is before all others.
    pub(super) fn of(base: &Path, parts: impl IntoIterator<Item = impl AsRef<str>>) -> Position {
        let mut rendered = base.as_str().to_owned();
        for part in parts {
            let part = part.as_ref();
            if part.is_empty() {
                let start = lowest_below(&rendered);
                return Position { end: start.clone(), start };
            }
            rendered.push('/');
            escape_into(part, &mut rendered);
        }
        Position { start: lowest_below(&rendered), end: behind(&rendered) }
    }
}

impl KeyRange {
    pub(in crate::repo) fn all_below(base: Path) -> KeyRange {
        KeyRange { base, starts_with: None, after: None, before: None }
    }

    /// The range of the leaves of the selected records; `None` if it is empty.
    pub(super) fn selector(&self, order: Order) -> Option<Selector> {
        let (mut from, mut to) = (lowest_below(self.base.as_str()), behind(self.base.as_str()));
        if let Some(start) = self.text_start() {
            to = text_end(&start).map_or(to.clone(), |end| end.min(to));
            from = start;
        }
        let (low, high) = match order {
            Order::Ascending => (&self.after, &self.before),
            Order::Descending => (&self.before, &self.after),
        };
        if let Some(Position { end, .. }) = low {
            from = from.max(end.clone());
        }
        if let Some(Position { start, .. }) = high {
            to = to.min(start.clone());
        }
        (from < to).then(|| Selector::Range { from: Path::from_trusted(&from), to: Path::from_trusted(&to) })
    }

    /// The beginning of the paths of the selected records; `None` if no text limits them.
    pub(in crate::repo) fn text_start(&self) -> Option<String> {
        let text = self.starts_with.as_deref().filter(|text| !text.is_empty())?;
        let mut start = self.base.descendant_prefix();
        escape_into(text, &mut start);
        Some(start)
    }

    /// True if the record at any path is selected. The positions that the list begins after and ends before do not
    /// count.
    pub(in crate::repo) fn covers(&self, record: &str) -> bool {
        let rest = record.strip_prefix(self.base.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && self.contains(record)
    }

    /// True if the record at a path of the range is selected: the range may have records at its end whose key begins
    /// otherwise.
    pub(super) fn contains(&self, record: &str) -> bool {
        let Some(text) = &self.starts_with else { return true };
        let next = record.strip_prefix(self.base.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        let part = next.split('/').next().unwrap_or_default();
        path::unescape(part).starts_with(text.as_str())
    }
}

/// The lowest path below a rendered one: no path has a NUL.
fn lowest_below(rendered: &str) -> String {
    format!("{rendered}/\u{1}")
}

/// The lowest path behind all that are below a rendered one: `0` follows `/`.
fn behind(rendered: &str) -> String {
    format!("{rendered}0")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dust_protocol::testing::segment;
    use proptest::prelude::*;

    use super::*;

    fn within(selector: Option<&Selector>, leaf: &str) -> bool {
        let Some(Selector::Range { from, to }) = selector else { return false };
        from.as_str() <= leaf && leaf < to.as_str()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn range_selects_the_keys_that_a_filter_selects(
            keys in prop::collection::btree_set(segment(), 1..12),
            near in prop::collection::vec((any::<prop::sample::Index>(), "[-./0~]{0,2}"), 0..6),
            text in prop_oneof![Just(String::new()), segment()],
            cut in 0..3_usize,
            (after, before) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            (has_after, has_before, descending) in any::<(bool, bool, bool)>(),
        ) {
            let mut keys: BTreeSet<String> = keys.into_iter().filter(|key| !key.contains('\0')).collect();
            prop_assume!(!keys.is_empty());
            let all: Vec<String> = keys.iter().cloned().collect();
            keys.extend(near.iter().map(|(index, tail)| format!("{}{tail}", index.get(&all))));
            let base = Path::parse("links").unwrap();
            let leaf = |key: &str| base.child(key).unwrap().child("t").unwrap().as_str().to_owned();
            let mut ordered: Vec<&String> = keys.iter().collect();
            ordered.sort_by_key(|key| leaf(key));
            if descending {
                ordered.reverse();
            }
            let text: String = text.chars().take(cut).filter(|character| *character != '\0').collect();
            let place = |key: &String| ordered.iter().position(|other| *other == key).unwrap();
            let (after, before) = (after.get(&all), before.get(&all));
            let expected: Vec<&String> = ordered.iter().copied().filter(|key| {
                key.starts_with(&text)
                    && (!has_after || place(key) > place(after))
                    && (!has_before || place(key) < place(before))
            }).collect();

            let position = |key: &String| Position::of(&base, [key]);
            let range = KeyRange {
                starts_with: Some(text.clone()),
                after: has_after.then(|| position(after)),
                before: has_before.then(|| position(before)),
                ..KeyRange::all_below(base.clone())
            };
            let order = if descending { Order::Descending } else { Order::Ascending };
            let selector = range.selector(order);
            let selected: Vec<&String> = ordered.iter().copied().filter(|key| {
                let record = base.child(key).unwrap();
                within(selector.as_ref(), &leaf(key)) && range.contains(record.as_str())
            }).collect();
            prop_assert_eq!(selected, expected);
            if let Some(Selector::Range { from, to }) = selector {
                prop_assert!(path::check(from.as_str()).is_ok() && path::check(to.as_str()).is_ok());
            }
        }
    }

    #[test]
    fn empty_part_is_before_all_keys() {
        let base = Path::parse("links").unwrap();
        let range = |after, before| KeyRange { after, before, ..KeyRange::all_below(base.clone()) };
        let first = || Some(Position::of(&base, [""]));
        assert_eq!(range(first(), None).selector(Order::Ascending), range(None, None).selector(Order::Ascending));
        assert_eq!(range(None, first()).selector(Order::Ascending), None);
        assert_eq!(range(first(), None).selector(Order::Descending), None);
        let Some(Selector::Range { from, .. }) =
            range(Some(Position::of(&base, ["ada", ""])), None).selector(Order::Ascending)
        else {
            panic!("a range")
        };
        assert_eq!(from.as_str(), "links/ada/\u{1}");
    }
}
