//! Ranges of a list that fit into a URL.

use std::ops::Bound;

use dust_protocol::path::{check, percent_encoded_len};
use dust_protocol::{LeafPage, ListItem, PackedLeaves, Page};

/// Length in bytes from which a path is not part of a URL: servers and proxies limit the request line to 8 or 10 kB.
pub(super) const LONG_TARGET: usize = 7_000;
/// Maximum bytes of a bound that is cut, percent-encoded.
const CUT: usize = 500;
/// Maximum bytes of a cursor beside two such bounds, percent-encoded.
const MAX_CURSOR: usize = LONG_TARGET - 3 * CUT;

/// A requested part of an ascending list: from one path (included) to another (excluded), after a cursor.
///
/// Servers and proxies accept a request line of about 8 kB. For longer paths the window is a wider one with bounds that
/// are cut, and the leaves outside of the list are dropped from the answer. A cursor that is too long becomes the lower
/// bound.
#[derive(Debug)]
pub(super) struct Window<'a> {
    /// The bounds of the list itself.
    list: (&'a str, &'a str),
    list_after: Option<&'a str>,
    /// The bounds to request, if they differ from those of the list.
    cut: Option<(String, String)>,
    /// The cursor to request.
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

    /// A window whose request has the bounds and the cursor of the list itself.
    pub(super) fn exact(list: (&'a str, &'a str), after: Option<&'a str>) -> Window<'a> {
        Window { list, list_after: after, cut: None, after }
    }

    /// The bounds to request.
    pub(super) fn bounds(&self) -> (&str, &str) {
        self.cut.as_ref().map_or(self.list, |(from, to)| (from, to))
    }

    /// The cursor to request.
    pub(super) fn after(&self) -> Option<&'a str> {
        self.after
    }

    /// The part of a page that belongs to the list. `None` if the page ends before the list continues, so that no later
    /// page could be requested.
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

    /// The part, as of [`leaves`](Window::leaves), of a page of another list, with at most `limit` items.
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

    /// True if the request covers more than the list.
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

    /// The cursor of the list, from the cursor of the page. `None` if the list cannot continue from it.
    fn next(&self, cursor: Option<String>) -> Option<Option<String>> {
        let (low, _) = self.bounds();
        match cursor {
            Some(cursor) if cursor.as_str() >= self.list.1 => Some(None),
            // The next window would be the same as this one.
            Some(cursor) if percent_encoded_len(&cursor) > MAX_CURSOR && cut_down(&cursor).as_str() <= low => None,
            cursor => Some(cursor),
        }
    }
}

/// A short path that is not above the given one in the order of paths.
fn cut_down(path: &str) -> String {
    let mut cut = path.to_owned();
    let mut length = percent_encoded_len(path);
    while length > CUT || check(&cut).is_err() {
        match cut.pop() {
            Some(character) => length -= percent_encoded_len(character.encode_utf8(&mut [0; 4])),
            // A path begins with a segment, of which at least one character is left.
            None => return path.to_owned(),
        }
    }
    cut
}

/// A short path that is above every path with the given prefix. A prefix that is short is returned unchanged.
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
            tails in prop::collection::vec(
                (prop::sample::select(vec!["", "-1", ".y", "0", "~0", "\u{1}", "/"]), segment()),
                0..8,
            ),
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
