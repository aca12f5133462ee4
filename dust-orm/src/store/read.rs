//! Reading: from the last commit, without waiting for a writer.

use std::collections::BTreeSet;
use std::ops::Bound;

use redb::AccessGuard;

use crate::protocol::flatten::assemble;
use crate::protocol::list::MAX_PAGE;
use crate::protocol::{
    Entry, Glob, Leaf, LeafKind, ListItem, ListRequest, Order, Page, Path, Select, Selector, envelope,
};

use super::error::{StoreError, StoreErrorKind};
use super::tables::{View, prefix_bounds, to_leaf, to_text};
use super::{LeafRow, Store};

impl Store {
    /// The leaf at a path, else the object that the leaves below it make, ignoring ASCII case as a Dust server does; its
    /// revision is the largest of theirs.
    ///
    /// Decimal and datetime envelopes come as bare strings. Where a leaf has leaves below it, it counts and they do not,
    /// at the path itself and inside an assembled object.
    pub fn get(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        self.view().entry(path)
    }

    /// The leaves at exactly these paths, in the same order: 1000 at the most.
    pub fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, StoreError> {
        if paths.len() > MAX_PAGE {
            return Err(StoreErrorKind::TooManyPaths(paths.len()).into());
        }
        let view = self.view();
        paths
            .iter()
            .map(|path| Ok(view.leaf(path.as_str().as_bytes())?.map(|leaf| to_entry(path.clone(), leaf))))
            .collect()
    }

    /// Whether there is a leaf below a path, exact in case.
    pub fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        self.view().any_with_prefix(&path.descendant_prefix())
    }

    /// One page of leaves, their paths, or the prefixes one segment below a pattern's base.
    ///
    /// The limit counts leaves, 1 to 1000. There is a `next_cursor` only if there is more; it is the path of the last
    /// leaf looked at. A pattern without any `*` lists nothing.
    pub fn list(&self, request: &ListRequest) -> Result<Page, StoreError> {
        if !(1..=MAX_PAGE).contains(&request.limit) {
            return Err(StoreErrorKind::Limit(request.limit).into());
        }
        let (bounds, filter) = match &request.selector {
            Selector::Range { .. } if request.select == Select::Prefixes => {
                return Err(StoreErrorKind::UnsupportedSelect.into());
            }
            Selector::Range { from, to } => {
                ((Bound::Included(from.to_string()), Bound::Excluded(to.to_string())), None)
            }
            Selector::Pattern(pattern) => {
                if request.select == Select::Prefixes && !is_subtree_pattern(pattern) {
                    return Err(StoreErrorKind::InvalidPatternForPrefixes(pattern.to_string()).into());
                }
                if !pattern.has_star() {
                    return Ok(Page::default());
                }
                let prefix = pattern.literal_prefix();
                // `<literal>/**` matches whatever has the prefix.
                let all = pattern.as_str().strip_prefix(prefix) == Some("**");
                (prefix_bounds(prefix), (!all).then_some(pattern))
            }
        };
        let Some((lower, upper)) = narrow(bounds, request.order, request.after.as_deref()) else {
            return Ok(Page::default());
        };
        let view = self.view();
        let range =
            view.leaves.range::<&[u8]>((lower.as_ref().map(String::as_bytes), upper.as_ref().map(String::as_bytes)))?;
        let mut collector = Collector::new(request);
        match request.order {
            Order::Ascending => collector.run(range, filter)?,
            Order::Descending => collector.run(range.rev(), filter)?,
        }
        Ok(collector.page)
    }

    /// How many leaves there are.
    pub fn entry_count(&self) -> Result<u64, StoreError> {
        self.view().count()
    }
}

impl View {
    pub(super) fn entry(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        if let Some(leaf) = self.leaf(path.as_str().as_bytes())? {
            return Ok(Some(to_entry(path.clone(), leaf)));
        }
        let below = self.below(path)?;
        let Some(revision) = below.iter().map(|(_, leaf)| leaf.revision).max() else { return Ok(None) };
        let leaves = below.into_iter().map(|(path, leaf)| (path, to_bare(leaf)));
        let value = assemble(path.depth(), leaves);
        Ok(Some(Entry { path: path.clone(), value, kind: LeafKind::Map, revision }))
    }
}

fn to_entry(path: Path, leaf: Leaf) -> Entry {
    let (kind, revision) = (leaf.kind, leaf.revision);
    Entry { path, value: to_bare(leaf), kind, revision }
}

fn to_bare(leaf: Leaf) -> crate::protocol::RawJson {
    // Only envelopes are objects of this kind, so nothing else needs to be looked into.
    if leaf.kind == LeafKind::Map { envelope::bare(&leaf.value) } else { leaf.value }
}

/// `**` and `<base>/**`.
fn is_subtree_pattern(pattern: &Glob) -> bool {
    pattern.as_str() == "**" || pattern.as_str().ends_with("/**")
}

type Bounds = (Bound<String>, Bound<String>);

/// What is left of the bounds after a cursor; `None` when nothing is.
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

type Row = Result<(AccessGuard<'static, &'static [u8]>, AccessGuard<'static, LeafRow>), redb::StorageError>;

/// Collects one page.
struct Collector<'r> {
    request: &'r ListRequest,
    /// What comes before a prefix's last segment.
    base: &'r str,
    page: Page,
}

impl<'r> Collector<'r> {
    fn new(request: &'r ListRequest) -> Collector<'r> {
        let base = match &request.selector {
            Selector::Pattern(pattern) => pattern.as_str().strip_suffix("**").unwrap_or_default(),
            Selector::Range { .. } => "",
        };
        Collector { request, base, page: Page::default() }
    }

    fn run(&mut self, rows: impl Iterator<Item = Row>, filter: Option<&Glob>) -> Result<(), StoreError> {
        let mut prefixes = BTreeSet::new();
        let (mut count, mut last) = (0, None::<AccessGuard<'static, &'static [u8]>>);
        for row in rows {
            let (key, leaf) = row?;
            let path = to_text(key.value())?;
            if filter.is_some_and(|pattern| !pattern.matches_rendered(path)) {
                continue;
            }
            if count == self.request.limit {
                self.page.next_cursor = last.as_ref().map(|key| to_text(key.value()).map(str::to_owned)).transpose()?;
                break;
            }
            count += 1;
            match self.request.select {
                Select::Entries => {
                    let entry = to_entry(Path::from_trusted(path), to_leaf(leaf.value())?);
                    self.page.items.push(ListItem::Entry(entry));
                }
                Select::Keys => self.page.items.push(ListItem::Path(Path::from_trusted(path))),
                Select::Prefixes => {
                    if let Some(rest) = path.strip_prefix(self.base) {
                        let first = rest.split('/').next().unwrap_or(rest);
                        prefixes.insert(format!("{}{first}", self.base));
                    }
                }
            }
            last = Some(key);
        }
        let prefixes = prefixes.iter().map(|prefix| ListItem::Path(Path::from_trusted(prefix)));
        match self.request.order {
            Order::Ascending => self.page.items.extend(prefixes),
            Order::Descending => self.page.items.extend(prefixes.rev()),
        }
        Ok(())
    }
}
