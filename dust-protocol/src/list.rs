//! Requests for lists of leaves, and their pages.

use super::entry::Entry;
use super::packed::PackedLeaves;
use super::path::Path;
use super::pattern::{Pattern, UnnameablePath};

/// The largest number of leaves in one page of a list.
pub const MAX_PAGE_LEAVES: usize = 1000;

/// The largest number of ops in one batch of writes.
pub const MAX_BATCH_OPS: usize = 1000;

/// The largest number of exact paths in one read of several leaves.
pub const MAX_GET_MANY_PATHS: usize = 1000;

/// A request for one page of leaves.
///
/// ```
/// use dust_protocol::{ListRequest, Pattern, Select};
///
/// let keys = ListRequest::pattern(Pattern::parse("links/*")?).select(Select::Keys).limit(50);
/// let next = keys.after("links/dust".to_owned());
/// # Ok::<(), dust_protocol::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// The leaves to list.
    pub selector: Selector,
    /// The largest number of leaves, 1 to [`MAX_PAGE_LEAVES`].
    pub limit: usize,
    /// The order of the rendered paths.
    pub order: Order,
    /// The parts of each leaf.
    pub select: Select,
    /// The `next_cursor` of the previous page: the list starts after this path.
    pub after: Option<String>,
}

impl ListRequest {
    /// The first page of the selected leaves: whole leaves, ascending, at most [`MAX_PAGE_LEAVES`].
    pub fn new(selector: Selector) -> ListRequest {
        ListRequest { selector, limit: MAX_PAGE_LEAVES, order: Order::Ascending, select: Select::Entries, after: None }
    }

    /// The first page of whole leaves that match a pattern: ascending, at most [`MAX_PAGE_LEAVES`].
    pub fn pattern(pattern: Pattern) -> ListRequest {
        ListRequest::new(Selector::Pattern(pattern))
    }

    /// Sets the largest number of leaves.
    #[must_use]
    pub fn limit(self, limit: usize) -> ListRequest {
        ListRequest { limit, ..self }
    }

    /// Sets the order.
    #[must_use]
    pub fn order(self, order: Order) -> ListRequest {
        ListRequest { order, ..self }
    }

    /// Sets the parts of each leaf.
    #[must_use]
    pub fn select(self, select: Select) -> ListRequest {
        ListRequest { select, ..self }
    }

    /// Sets the cursor of the previous page; `None` starts with the first.
    #[must_use]
    pub fn after(self, after: impl Into<Option<String>>) -> ListRequest {
        ListRequest { after: after.into(), ..self }
    }

    /// A page of the leaves below a path: the first, or the one after a cursor. Fails where no pattern can name the
    /// path.
    pub fn below(path: &Path, after: Option<&str>) -> Result<ListRequest, UnnameablePath> {
        Ok(ListRequest::pattern(Pattern::subtree(path)?).after(after.map(str::to_owned)))
    }
}

/// The selection of leaves for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Leaves that match a pattern.
    Pattern(Pattern),
    /// Leaves from one path (included) to another (excluded), by the bytes of the rendered path.
    Range {
        /// The first path.
        from: Path,
        /// The path to stop before.
        to: Path,
    },
}

impl Selector {
    /// The range of the leaves below a path: no path has a NUL, so that U+0001 is the lowest character, and `0` follows
    /// `/`.
    pub fn below(path: &Path) -> Selector {
        let from = Path::from_trusted(&format!("{path}/\u{1}"));
        Selector::Range { from, to: Path::from_trusted(&format!("{path}0")) }
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By the bytes of the rendered path.
    #[default]
    Ascending,
    /// Descending.
    Descending,
}

/// The parts of each leaf that a list returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// Path, value, type and revision.
    #[default]
    Entries,
    /// The path alone.
    Keys,
    /// The distinct paths one segment below the pattern's base; only for `**` and `<base>/**`. The limit counts leaves.
    Prefixes,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The items, in order.
    pub items: Vec<ListItem>,
    /// The start of the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl Page {
    /// A page of these items; `next_cursor` is `None` on the last one.
    pub fn new(items: Vec<ListItem>, next_cursor: Option<String>) -> Page {
        Page { items, next_cursor }
    }
}

/// A page of packed leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafPage {
    /// The leaves, decimal and datetime envelopes as plain strings.
    pub leaves: PackedLeaves,
    /// The path that the next page comes after; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl LeafPage {
    /// A page of these leaves; `next_cursor` is `None` on the last one.
    pub fn new(leaves: PackedLeaves, next_cursor: Option<String>) -> LeafPage {
        LeafPage { leaves, next_cursor }
    }
}

/// One item of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListItem {
    /// For [`Select::Entries`].
    Entry(Entry),
    /// For [`Select::Keys`] and [`Select::Prefixes`].
    Path(Path),
}

impl ListItem {
    /// The path of the item.
    pub fn path(&self) -> &Path {
        match self {
            ListItem::Entry(entry) => &entry.path,
            ListItem::Path(path) => path,
        }
    }

    /// The leaf, if that was selected.
    pub fn into_entry(self) -> Option<Entry> {
        match self {
            ListItem::Entry(entry) => Some(entry),
            ListItem::Path(_) => None,
        }
    }
}

/// The largest number of consecutive pages without a leaf.
const MAX_EMPTY_PAGES: usize = 100;

/// The error of a list with too many consecutive pages without leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list of {MAX_EMPTY_PAGES} pages one after the other without a leaf, each with another cursor")]
pub struct EndlessList;

/// Ends a list whose pages have cursors but no leaves, which a reader would follow forever.
#[derive(Debug, Default)]
pub struct EmptyPages(usize);

impl EmptyPages {
    /// Counts a page. Fails if too many consecutive pages were empty and had a cursor.
    pub fn check(&mut self, is_empty: bool, next_cursor: Option<&str>) -> Result<(), EndlessList> {
        self.0 = if is_empty && next_cursor.is_some() { self.0 + 1 } else { 0 };
        if self.0 < MAX_EMPTY_PAGES {
            return Ok(());
        }
        Err(EndlessList)
    }
}
