//! Ranges of a list that fit into a URL.

use std::ops::Bound;

use dust_protocol::path::{check, percent_encoded_len};
use dust_protocol::{LeafPage, ListItem, PackedLeaves, Page};

use super::request::LONG_TARGET;

/// The most bytes of a bound that is cut, percent-encoded.
const CUT: usize = 500;
/// The most bytes of a cursor beside two such bounds.
const MAX_CURSOR: usize = LONG_TARGET - 3 * CUT;

/// A part of an ascending list, as it is asked for: from one path (included) to another (excluded), after a cursor.
///
/// Servers and proxies take a request line of some 8 kB. Where paths are longer, the window is a wider one with bounds
/// that are cut, and what lies outside of the list is dropped from the answer. A cursor that is too long becomes the
/// lower bound.
#[derive(Debug)]
pub(super) struct Window<'a> {
    /// The list as it is meant.
    list: (&'a str, &'a str),
    list_after: Option<&'a str>,
    /// The bounds to ask for, where they are others.
    cut: Option<(String, String)>,
    /// The cursor to ask for.
    after: Option<&'a str>,
}

impl<'a> Window<'a> {
    pub(super) fn new((from, to): (&'a str, &'a str), after: Option<&'a str>) -> Window<'a> {
        let length = [from, to].into_iter().chain(after).map(percent_encoded_len).sum::<usize>();
        let list = Window::exact((from, to), after);
        if length < LONG_TARGET {
            return list;
        }
        let low = cut_down(from);
        match after.filter(|after| percent_encoded_len(after) > MAX_CURSOR) {
            None => Window { cut: Some((low, cut_up(to))), ..list },
            Some(after) => Window { cut: Some((low.max(cut_down(after)), cut_up(to))), after: None, ..list },
        }
    }

    /// A window that is asked for as it is.
    pub(super) fn exact(list: (&'a str, &'a str), after: Option<&'a str>) -> Window<'a> {
        Window { list, list_after: after, cut: None, after }
    }

    /// The bounds to ask for.
    pub(super) fn bounds(&self) -> (&str, &str) {
        self.cut.as_ref().map_or(self.list, |(from, to)| (from, to))
    }

    /// The cursor to ask for.
    pub(super) fn after(&self) -> Option<&'a str> {
        self.after
    }

    /// The part of a page that belongs to the list; `None` where the page ends before the list goes on, so that no
    /// later page could be asked for.
    pub(super) fn leaves(&self, page: LeafPage) -> Option<LeafPage> {
        if !self.is_cut() {
            return Some(page);
        }
        let LeafPage { leaves, next_cursor, .. } = page;
        let within = leaves.range(self.within());
        let mut kept = PackedLeaves::default();
        kept.append(&leaves, within);
        Some(LeafPage::new(kept, self.next(next_cursor)?))
    }

    /// The same for a page of another list, which holds so many leaves at the most.
    pub(super) fn page(&self, mut page: Page, limit: usize) -> Option<Page> {
        if !self.is_cut() {
            return Some(page);
        }
        let (_, to) = self.list;
        page.items.retain(|item: &ListItem| self.is_ahead(item.path().as_str()) && item.path().as_str() < to);
        if page.items.len() > limit {
            page.items.truncate(limit);
            let next_cursor = page.items.last().map(|last| last.path().to_string());
            return Some(Page::new(page.items, next_cursor));
        }
        Some(Page::new(page.items, self.next(page.next_cursor)?))
    }

    /// Whether more is asked for than the list.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    fn within(&self) -> (Bound<&str>, Bound<&str>) {
        let (from, to) = self.list;
        let lower = match self.list_after {
            Some(after) if after >= from => Bound::Excluded(after),
            _ => Bound::Included(from),
        };
        (lower, Bound::Excluded(to))
    }

    fn is_ahead(&self, path: &str) -> bool {
        path >= self.list.0 && self.list_after.is_none_or(|after| path > after)
    }

    /// The cursor of the list, given that of the page; `None` where it does not lead on.
    fn next(&self, cursor: Option<String>) -> Option<Option<String>> {
        let (low, _) = self.bounds();
        match cursor {
            Some(cursor) if cursor.as_str() >= self.list.1 => Some(None),
            // The next window would be this one again.
            Some(cursor) if percent_encoded_len(&cursor) > MAX_CURSOR && cut_down(&cursor).as_str() <= low => None,
            cursor => Some(cursor),
        }
    }
}

/// A path that is not above the given one, and short.
fn cut_down(path: &str) -> String {
    let mut cut = path.to_owned();
    let mut length = percent_encoded_len(path);
    while length > CUT || check(&cut).is_err() {
        match cut.pop() {
            Some(character) => length -= percent_encoded_len(character.encode_utf8(&mut [0; 4])),
            // A path begins with a segment, of which one character is left at the least.
            None => return path.to_owned(),
        }
    }
    cut
}

/// A path that is above everything which begins as the given one does, and short; one that is short stays as it is.
fn cut_up(path: &str) -> String {
    if percent_encoded_len(path) <= CUT {
        return path.to_owned();
    }
    let mut cut = cut_down(path);
    while let Some(last) = cut.pop() {
        for next in (last..=char::MAX).skip(1).take(3) {
            cut.push(next);
            if check(&cut).is_ok() {
                return cut;
            }
            cut.pop();
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use dust_protocol::testing::segment;
    use dust_protocol::{Path, Selector};
    use proptest::prelude::*;

    use super::*;

    fn below(path: &Path) -> (String, String) {
        let Selector::Range { from, to } = Selector::below(path) else { panic!("a range") };
        (from.to_string(), to.to_string())
    }

    proptest! {
        #[test]
        fn the_range_below_a_path_holds_what_is_below_it_and_nothing_else(
            base in prop::collection::vec(segment(), 1..3),
            paths in prop::collection::vec(prop::collection::vec(segment(), 1..5), 0..20),
            tails in prop::collection::vec((prop::sample::select(vec!["", "-1", ".y", "0", "~0", "\u{1}", "/"]), segment()), 0..8),
        ) {
            let base = Path::from_segments(&base).unwrap();
            let near = tails.iter().filter_map(|(tail, segment)| {
                let rendered = format!("{base}{tail}{}", Path::from_segments([segment]).unwrap());
                Path::parse(&rendered).ok()
            });
            let paths = paths.iter().map(|segments| Path::from_segments(segments).unwrap()).chain(near);
            let (from, to) = below(&base);
            prop_assert!(check(&from).is_ok() && check(&to).is_ok());
            for path in paths.filter(|path| !path.as_str().contains('\0')) {
                let within = from.as_str() <= path.as_str() && path.as_str() < to.as_str();
                prop_assert_eq!(within, base.is_ancestor_of(&path), "{} below {}", path, base);
            }
        }

        #[test]
        fn bounds_that_are_cut_are_short_paths_around_the_list(
            start in prop::collection::vec(segment(), 1..4),
            filler in prop::sample::select(vec!["x", "é", "~1", "/a", ".", "}", "\u{10ffff}", "\u{d7ff}", "%"]),
            times in 700..3_000_usize,
        ) {
            let rendered = format!("{}{}", Path::from_segments(&start).unwrap(), filler.repeat(times));
            let path = Path::parse(&rendered).unwrap();
            let (from, to) = below(&path);
            let (low, high) = (cut_down(&from), cut_up(&to));
            prop_assert!(check(&low).is_ok() && check(&high).is_ok());
            prop_assert!(low <= from && high >= to, "{} {}", low, high);
            prop_assert!(percent_encoded_len(&low) <= CUT && percent_encoded_len(&high) <= CUT + 12);
        }
    }

    #[test]
    fn characters_without_a_path_behind_them_are_stepped_over() {
        let long = |last: &str| format!("{}{last}", "a".repeat(CUT - 3));
        for (last, next) in [("b", "c"), (".", "0"), ("}", "\u{7f}")] {
            assert_eq!(cut_up(&format!("{}é", long(last))), long(next));
        }
    }
}
