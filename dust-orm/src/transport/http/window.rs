//! Ranges of a list that fit into a URL.

use std::borrow::Cow;

use dust_protocol::path::{check, percent_encoded_len};
use dust_protocol::read::text_end;
use dust_protocol::{LeafPage, Order, PackedLeaves, Page, Path, Selector};

/// Length in bytes from which a path is not part of a URL: servers and proxies limit the request line to 8 or 10 kB.
pub(super) const LONG_TARGET: usize = 7_000;
/// Maximum bytes of a bound that is cut, percent-encoded.
const CUT: usize = 500;
/// Maximum bytes of a cursor beside two such bounds, percent-encoded.
const MAX_CURSOR: usize = LONG_TARGET - 3 * CUT;

/// A requested part of a list: from one path (included) to another (excluded), after a cursor.
///
/// Servers and proxies accept a request line of about 8 kB. For longer paths the window is a wider one with bounds that
/// are cut, and the leaves outside of the list are dropped from the answer. A cursor that is too long becomes a bound.
#[derive(Debug)]
pub(super) struct Window<'a> {
    /// The bounds of the list itself.
    list: (&'a str, &'a str),
    list_after: Option<&'a str>,
    order: Order,
    request: Requested<'a>,
}

/// The list to request.
#[derive(Debug)]
enum Requested<'a> {
    /// The list itself.
    Exact,
    /// A range that contains the list, and the cursor of the list unless that is too long.
    Around { low: String, high: String, after: Option<&'a str> },
    /// The leaves of a subtree that contains the list, after a cursor that is not behind the start of the list.
    Subtree { after: Option<Cow<'a, str>> },
}

impl<'a> Window<'a> {
    pub(super) fn new((from, to): (&'a str, &'a str), after: Option<&'a str>, order: Order) -> Window<'a> {
        let length = [from, to].into_iter().chain(after).map(percent_encoded_len).sum::<usize>();
        let mut window = Window { list: (from, to), list_after: after, order, request: Requested::Exact };
        if length < LONG_TARGET {
            return window;
        }
        let (mut low, mut high, mut cursor) = (cut_down(from), cut_up(to), after);
        if let Some(after) = after.filter(|after| percent_encoded_len(after) > MAX_CURSOR) {
            cursor = None;
            match order {
                Order::Ascending => low = low.max(cut_down(after)),
                Order::Descending => high = high.min(cut_up(after)),
            }
        }
        window.request = Requested::Around { low, high, after: cursor };
        window
    }

    /// A window of a list that is requested by the pattern of the subtree at `base`, which contains the list.
    pub(super) fn in_subtree(
        base: Option<&Path>,
        (from, to): (&'a str, &'a str),
        after: Option<&'a str>,
        order: Order,
    ) -> Window<'a> {
        let base = base.map_or("", Path::as_str);
        let start = match order {
            Order::Ascending => Some(Cow::Owned(path_before(from))).filter(|start| !base.starts_with(&**start)),
            Order::Descending => Some(Cow::Borrowed(to)).filter(|to| to.strip_suffix('0') != Some(base)),
        };
        let request = Requested::Subtree { after: after.map(Cow::Borrowed).or(start) };
        Window { list: (from, to), list_after: after, order, request }
    }

    /// The range to request.
    pub(super) fn range(&self) -> Selector {
        let (from, to) = match &self.request {
            Requested::Around { low, high, .. } => (low.as_str(), high.as_str()),
            Requested::Exact | Requested::Subtree { .. } => self.list,
        };
        Selector::Range { from: Path::from_trusted(from), to: Path::from_trusted(to) }
    }

    /// The cursor to request.
    pub(super) fn after(&self) -> Option<&str> {
        match &self.request {
            Requested::Exact => self.list_after,
            Requested::Around { after, .. } => *after,
            Requested::Subtree { after } => after.as_deref(),
        }
    }

    /// True if the request covers more than the list.
    pub(super) fn is_wider(&self) -> bool {
        !matches!(self.request, Requested::Exact)
    }

    /// The part of a page of leaves that belongs to the list, at most `limit` leaves. `None` if the page ends before
    /// the list continues, so that no later page could be requested.
    pub(super) fn leaves(&self, page: LeafPage, limit: usize) -> Option<LeafPage> {
        if !self.is_wider() {
            return Some(page);
        }
        let mut kept = PackedLeaves::default();
        let mut next_cursor = self.next(page.next_cursor);
        for leaf in page.leaves.iter().filter(|leaf| self.contains(leaf.path)) {
            if kept.len() == limit {
                next_cursor = Some(kept.iter().next_back().map(|last| last.path.to_owned()));
                break;
            }
            kept.push(leaf);
        }
        Some(LeafPage::new(kept, next_cursor?))
    }

    /// The part, as of [`leaves`](Window::leaves), of a page of another list.
    pub(super) fn page(&self, mut page: Page, limit: usize) -> Option<Page> {
        if !self.is_wider() {
            return Some(page);
        }
        page.items.retain(|item| self.contains(item.path().as_str()));
        if page.items.len() > limit {
            page.items.truncate(limit);
            let next_cursor = page.items.last().map(|last| last.path().to_string());
            return Some(Page::new(page.items, next_cursor));
        }
        Some(Page::new(page.items, self.next(page.next_cursor)?))
    }

    /// True if a path is in the list, after its cursor.
    fn contains(&self, path: &str) -> bool {
        let (from, to) = self.list;
        let is_ahead = |after: &str| match self.order {
            Order::Ascending => path > after,
            Order::Descending => path < after,
        };
        from <= path && path < to && self.list_after.is_none_or(is_ahead)
    }

    /// The cursor of the list, from the cursor of the page. `None` if the list cannot continue from it.
    fn next(&self, cursor: Option<String>) -> Option<Option<String>> {
        let Some(cursor) = cursor else { return Some(None) };
        let (from, to) = self.list;
        let is_past = match self.order {
            Order::Ascending => *cursor >= *to,
            Order::Descending => *cursor <= *from,
        };
        if is_past {
            return Some(None);
        }
        let repeats = percent_encoded_len(&cursor) > MAX_CURSOR
            && match (&self.request, self.order) {
                (Requested::Around { low, .. }, Order::Ascending) => cut_down(&cursor) <= *low,
                (Requested::Around { high, .. }, Order::Descending) => cut_up(&cursor) >= *high,
                _ => false,
            };
        // The next window would be the same as this one.
        if repeats { None } else { Some(Some(cursor)) }
    }
}

/// A path before the given one, with few paths between them.
fn path_before(path: &str) -> String {
    let mut before = path.to_owned();
    while before.pop().is_some() && check(&before).is_err() {}
    before
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
    text_end(&cut_down(path)).unwrap_or_else(|| path.to_owned())
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
