//! Reads of a store, independent of the container of its leaves: pages of a list, single leaves, and the object
//! assembled at an interior path.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use super::apply::Leaf;
use super::entry::{Entry, LeafKind};
use super::envelope;
use super::flatten::assemble;
use super::json::RawJson;
use super::list::{LeafPage, ListItem, ListRequest, MAX_PAGE_LEAVES, Order, Page, Select, Selector};
use super::packed::{LeafRef, PackedLeaves};
use super::path::{self, Path};
use super::pattern::Pattern;

/// The reason why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A limit of zero or beyond the maximum.
    #[error("limit must be 1..{MAX_PAGE_LEAVES}, got {0}")]
    Limit(usize),
    /// Prefixes of a pattern other than `**` and `<base>/**`.
    #[error("prefixes are listed only for `**` and `<base>/**`, not for `{0}`; list its keys instead")]
    InvalidPatternForPrefixes(String),
    /// Prefixes of a range.
    #[error("prefixes are not supported for a range; list its keys instead")]
    UnsupportedSelect,
}

impl ListError {
    /// The server's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            ListError::Limit(_) => "invalid_params",
            ListError::InvalidPatternForPrefixes(_) => "invalid_pattern_for_prefixes",
            ListError::UnsupportedSelect => "unsupported_select",
        }
    }
}

/// A row of a container of leaves.
pub trait Row {
    /// The error of reading the row.
    type Error;

    /// The rendered path of the leaf.
    fn path(&self) -> Result<&str, Self::Error>;

    /// The leaf.
    fn leaf(&self) -> Result<LeafRef<'_>, Self::Error>;
}

/// A list as one pass over the rows between two bounds.
#[derive(Debug)]
pub struct Listing<'r> {
    request: &'r ListRequest,
    bounds: Bounds,
    /// The filter of the rows within the bounds.
    filter: Option<&'r Pattern>,
    /// The part of each prefix before its last segment.
    base: &'r str,
}

type Bounds = (Bound<String>, Bound<String>);

impl<'r> Listing<'r> {
    /// Plans a request. `None` if no leaf can match.
    pub fn of(request: &'r ListRequest) -> Result<Option<Listing<'r>>, ListError> {
        if !(1..=MAX_PAGE_LEAVES).contains(&request.limit) {
            return Err(ListError::Limit(request.limit));
        }
        let (bounds, filter, base) = match &request.selector {
            Selector::Range { .. } if request.select == Select::Prefixes => return Err(ListError::UnsupportedSelect),
            Selector::Range { from, to } => {
                ((Bound::Included(from.to_string()), Bound::Excluded(to.to_string())), None, "")
            }
            Selector::Pattern(pattern) => {
                if request.select == Select::Prefixes && !is_subtree_pattern(pattern) {
                    return Err(ListError::InvalidPatternForPrefixes(pattern.to_string()));
                }
                if !pattern.has_star() {
                    return Ok(None);
                }
                let prefix = pattern.literal_prefix();
                // `<literal>/**` matches every row with the prefix.
                let all = pattern.as_str().strip_prefix(prefix) == Some("**");
                let base = pattern.as_str().strip_suffix("**").unwrap_or_default();
                (prefix_bounds(prefix), (!all).then_some(pattern), base)
            }
        };
        let bounds = narrow(bounds, request.order, request.after.as_deref());
        Ok(bounds.map(|bounds| Listing { request, bounds, filter, base }))
    }

    /// The bounds of the rendered paths of the rows.
    pub fn bounds(&self) -> (Bound<&str>, Bound<&str>) {
        (self.bounds.0.as_ref().map(String::as_str), self.bounds.1.as_ref().map(String::as_str))
    }

    /// The page, from the rows within the bounds in ascending order.
    pub fn page<R: Row, E: From<R::Error>>(
        &self,
        rows: impl DoubleEndedIterator<Item = Result<R, E>>,
    ) -> Result<Page, E> {
        let (mut page, mut prefixes) = (Page::default(), BTreeSet::new());
        page.next_cursor = self.each(rows, |row: &R| {
            match self.request.select {
                Select::Entries => {
                    let leaf = row.leaf()?;
                    page.items.push(ListItem::Entry(entry(Path::from_trusted(leaf.path), leaf.to_leaf())));
                }
                Select::Keys => page.items.push(ListItem::Path(Path::from_trusted(row.path()?))),
                Select::Prefixes => {
                    if let Some(rest) = row.path()?.strip_prefix(self.base) {
                        let first = rest.split('/').next().unwrap_or(rest);
                        prefixes.insert(format!("{}{first}", self.base));
                    }
                }
            }
            Ok(())
        })?;
        let prefixes = prefixes.iter().map(|prefix| ListItem::Path(Path::from_trusted(prefix)));
        match self.request.order {
            Order::Ascending => page.items.extend(prefixes),
            Order::Descending => page.items.extend(prefixes.rev()),
        }
        Ok(page)
    }

    /// The page of [`page`](Listing::page), as packed leaves in the order of the list.
    pub fn leaf_page<R: Row, E: From<R::Error>>(
        &self,
        rows: impl DoubleEndedIterator<Item = Result<R, E>>,
    ) -> Result<LeafPage, E> {
        let mut leaves = PackedLeaves::default();
        let next_cursor = self.each(rows, |row: &R| {
            leaves.push(row.leaf()?);
            Ok(())
        })?;
        Ok(LeafPage::new(leaves.into_bare(), next_cursor))
    }

    /// The fault of a server's page, given its paths: a path outside the selection, paths out of order, or a cursor
    /// that does not advance, which a reader would follow forever.
    pub fn fault<'p>(&self, paths: impl IntoIterator<Item = &'p str>, next_cursor: Option<&str>) -> Option<PageFault> {
        let prefixes = self.request.select == Select::Prefixes;
        let bounds = self.bounds();
        let in_bounds = |path: &str| RangeBounds::<str>::contains(&bounds, path);
        let within = |path: &str| in_bounds(path) && self.filter.is_none_or(|pattern| pattern.matches_rendered(path));
        let asked_for = |path: &str| if prefixes { path.starts_with(self.base) } else { within(path) };
        let is_after = |before: &str, path: &str| match self.request.order {
            Order::Ascending => before < path,
            Order::Descending => before > path,
        };
        let leads_on = |cursor: &str, last: Option<&str>| {
            in_bounds(cursor) && (prefixes || last.is_none_or(|last| !is_after(cursor, last)))
        };
        fault(paths, next_cursor, asked_for, is_after, leads_on)
    }

    /// Calls `take` for each row of the page, in the order of the list. Returns the cursor of the next page.
    fn each<R: Row, E: From<R::Error>>(
        &self,
        rows: impl DoubleEndedIterator<Item = Result<R, E>>,
        take: impl FnMut(&R) -> Result<(), R::Error>,
    ) -> Result<Option<String>, E> {
        match self.request.order {
            Order::Ascending => self.each_of(rows, take),
            Order::Descending => self.each_of(rows.rev(), take),
        }
    }

    fn each_of<R: Row, E: From<R::Error>>(
        &self,
        rows: impl Iterator<Item = Result<R, E>>,
        mut take: impl FnMut(&R) -> Result<(), R::Error>,
    ) -> Result<Option<String>, E> {
        let (mut count, mut last) = (0, None::<R>);
        for row in rows {
            let row = row?;
            if let Some(pattern) = self.filter
                && !pattern.matches_rendered(row.path()?)
            {
                continue;
            }
            if count == self.request.limit {
                return Ok(last.as_ref().map(|row| row.path().map(str::to_owned)).transpose()?);
            }
            count += 1;
            take(&row)?;
            last = Some(row);
        }
        Ok(None)
    }
}

/// The reason why a page does not answer a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The reason, for an error.
    pub text: String,
    /// The page has a leaf that the list does not select. A server without support for the selection returns such
    /// pages.
    pub is_of_others: bool,
}

fn fault<'p>(
    paths: impl IntoIterator<Item = &'p str>,
    next_cursor: Option<&str>,
    asked_for: impl Fn(&str) -> bool,
    is_after: impl Fn(&str, &str) -> bool,
    leads_on: impl Fn(&str, Option<&str>) -> bool,
) -> Option<PageFault> {
    let fault = |text: String, is_of_others| Some(PageFault { text, is_of_others });
    let mut last = None::<&str>;
    for path in paths {
        if !asked_for(path) {
            return fault(format!("`{path}` was not asked for"), true);
        }
        if let Some(last) = last.filter(|last| !is_after(last, path)) {
            return fault(format!("`{path}` comes after `{last}`"), false);
        }
        last = Some(path);
    }
    let cursor = next_cursor?;
    if leads_on(cursor, last) { None } else { fault(format!("the cursor `{cursor}` does not lead on"), false) }
}

/// A leaf in the form of reads: decimal and datetime envelopes as plain strings.
pub fn entry(path: Path, leaf: Leaf) -> Entry {
    let (kind, revision) = (leaf.kind, leaf.revision);
    Entry { path, value: to_plain(leaf), kind, revision }
}

/// The object that the leaves below a path make; `None` if there are none. Its revision is the largest of theirs.
pub fn object(path: &Path, below: Vec<(Path, Leaf)>) -> Option<Entry> {
    let revision = below.iter().map(|(_, leaf)| leaf.revision).max()?;
    let leaves = below.into_iter().map(|(path, leaf)| (path, to_plain(leaf)));
    let value = assemble(path.depth(), leaves);
    Some(Entry { path: path.clone(), value, kind: LeafKind::Map, revision })
}

fn to_plain(leaf: Leaf) -> RawJson {
    // Only envelopes are objects of this kind, so that no other value is parsed.
    if leaf.kind == LeafKind::Map { envelope::to_plain(&leaf.value) } else { leaf.value }
}

/// The range of the paths that begin with a prefix, which ends in `/`: `0` is the byte after it.
pub fn prefix_end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    if end.pop().is_some() {
        end.push('0');
    }
    end
}

/// A path behind every path that begins with a text: the text with a higher last character. Few paths are between it
/// and those that begin with the text, as some characters cannot follow. `None` if no character is higher.
pub fn text_end(text: &str) -> Option<String> {
    let mut end = text.to_owned();
    while let Some(last) = end.pop() {
        for next in (last..=char::MAX).skip(1).take(3) {
            end.push(next);
            if path::check(&end).is_ok() {
                return Some(end);
            }
            end.pop();
        }
    }
    None
}

/// The lower-case form of a path that has ASCII upper-case letters.
pub fn fold(path: &str) -> Option<String> {
    path.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| path.to_ascii_lowercase())
}

/// The bounds of the paths with a prefix (all, when it is empty).
fn prefix_bounds(prefix: &str) -> Bounds {
    if prefix.is_empty() {
        (Bound::Unbounded, Bound::Unbounded)
    } else {
        (Bound::Included(prefix.to_owned()), Bound::Excluded(prefix_end(prefix)))
    }
}

/// `**` and `<base>/**`.
fn is_subtree_pattern(pattern: &Pattern) -> bool {
    pattern.as_str() == "**" || pattern.as_str().ends_with("/**")
}

/// The rest of the bounds after a cursor; `None` if it is empty.
fn narrow((mut lower, mut upper): Bounds, order: Order, after: Option<&str>) -> Option<Bounds> {
    if let Some(after) = after.filter(|after| !after.is_empty()) {
        match order {
            Order::Ascending => {
                let inside = match &lower {
                    Bound::Included(lower) | Bound::Excluded(lower) => after >= lower.as_str(),
                    Bound::Unbounded => true,
                };
                if inside {
                    lower = Bound::Excluded(after.to_owned());
                }
            }
            Order::Descending => {
                let inside = match &upper {
                    Bound::Included(upper) | Bound::Excluded(upper) => after <= upper.as_str(),
                    Bound::Unbounded => true,
                };
                if inside {
                    upper = Bound::Excluded(after.to_owned());
                }
            }
        }
    }
    let empty = match (&lower, &upper) {
        (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
            lower >= upper
        }
        _ => false,
    };
    (!empty).then_some((lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_range_ends_before_the_next_byte() {
        assert_eq!(prefix_end("links/"), "links0");
        let (inside, outside) = ("links/\u{10ffff}", ["links", "links-", "links0", "linksa"]);
        assert!(("links/".."links0").contains(&inside));
        assert!(outside.iter().all(|path| !("links/".."links0").contains(path)));
    }
}
