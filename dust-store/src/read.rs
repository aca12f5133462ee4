//! Reads of the last commit, which do not wait for a writer.

use std::ops::Bound;

use redb::AccessGuard;

use dust_protocol::list::{MAX_GET_MANY_PATHS, MAX_PAGE_LEAVES};
use dust_protocol::read::{self, Listing, prefix_end};
use dust_protocol::{Entry, LeafPage, LeafRef, ListRequest, PackedLeaves, Page, Path};

use super::Store;
use super::error::{StoreError, StoreErrorKind};
use super::tables::{LeafRow, View, any_with_prefix, to_leaf_ref, to_text};

impl Store {
    /// The leaf at a path, otherwise the object that the leaves below it make, ignoring ASCII case as a Dust server
    /// does. The revision of an object is the largest of its leaves.
    ///
    /// Decimal and datetime envelopes are returned as plain strings. A leaf wins over the leaves below it, at the path
    /// itself and inside an assembled object.
    pub fn get(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        self.inner.read(|view| view.entry(path))
    }

    /// The leaves at exactly these paths, in the same order: at most 1000.
    pub fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, StoreError> {
        if paths.len() > MAX_GET_MANY_PATHS {
            return Err(StoreErrorKind::TooManyPaths(paths.len()).into());
        }
        self.inner.read(|view| {
            paths
                .iter()
                .map(|path| Ok(view.leaf(path.as_str().as_bytes())?.map(|leaf| read::entry(path.clone(), leaf))))
                .collect()
        })
    }

    /// True if there is a leaf below a path, exact in case.
    pub fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        self.inner.read(|view| any_with_prefix(&view.leaves, &path.descendant_prefix()))
    }

    /// One page of leaves, their paths, or the prefixes one segment below a pattern's base.
    ///
    /// The limit counts leaves, 1 to 1000. There is a `next_cursor` only if there are more; it is the path of the last
    /// leaf of the page. A pattern without any `*` lists nothing.
    pub fn list(&self, request: &ListRequest) -> Result<Page, StoreError> {
        let Some(listing) = Listing::of(request)? else { return Ok(Page::default()) };
        let (lower, upper) = listing.bounds();
        self.inner.read(|view| {
            let rows = view.leaves.range::<&[u8]>((lower.map(str::as_bytes), upper.map(str::as_bytes)))?;
            listing.page(rows.map(|row| row.map(Row).map_err(StoreError::from)))
        })
    }

    /// The page of [`list`](Store::list), as packed leaves in the order of the list, whatever the request selects of
    /// each leaf.
    pub fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, StoreError> {
        let Some(listing) = Listing::of(request)? else { return Ok(LeafPage::default()) };
        let (lower, upper) = listing.bounds();
        self.inner.read(|view| {
            let rows = view.leaves.range::<&[u8]>((lower.map(str::as_bytes), upper.map(str::as_bytes)))?;
            listing.leaf_page(rows.map(|row| row.map(Row).map_err(StoreError::from)))
        })
    }

    /// The leaves below a path, exact in case and in order, after the cursor of the previous page: at most 1000.
    pub fn below(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, StoreError> {
        let prefix = path.descendant_prefix();
        let end = prefix_end(&prefix);
        let from = match after {
            Some(after) if after >= end.as_str() => return Ok(LeafPage::default()),
            Some(after) if *after >= *prefix => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix.as_bytes()),
        };
        self.inner.read(|view| {
            let mut leaves = PackedLeaves::default();
            let mut next_cursor = None;
            for row in view.leaves.range::<&[u8]>((from, Bound::Excluded(end.as_bytes())))? {
                if leaves.len() == MAX_PAGE_LEAVES {
                    next_cursor = leaves.iter().next_back().map(|leaf| leaf.path.to_owned());
                    break;
                }
                let (path, leaf) = row?;
                leaves.push(to_leaf_ref(path.value(), leaf.value())?);
            }
            Ok(LeafPage::new(leaves.into_bare(), next_cursor))
        })
    }

    /// The number of leaves.
    pub fn entry_count(&self) -> Result<u64, StoreError> {
        self.inner.read(View::count)
    }
}

/// A row of the table of leaves.
struct Row((AccessGuard<'static, &'static [u8]>, AccessGuard<'static, LeafRow>));

impl read::Row for Row {
    type Error = StoreError;

    fn path(&self) -> Result<&str, StoreError> {
        to_text(self.0.0.value())
    }

    fn leaf(&self) -> Result<LeafRef<'_>, StoreError> {
        to_leaf_ref(self.0.0.value(), self.0.1.value())
    }
}
