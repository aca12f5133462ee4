//! Lists and reads of leaves.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use dust_protocol::http::{self as wire, Unreadable};
use dust_protocol::list::{EmptyPages, MAX_PAGE_LEAVES};
use dust_protocol::{
    Entry, LeafKind, LeafPage, ListItem, ListRequest, Order, Page, Path, Pattern, Select, Selector, flatten, value,
};

use super::HttpTransport;
use super::call::Deadline;
use super::request::Request;
use super::window::Window;
use crate::entity::SizeLimit;
use crate::error::DustErr;
use crate::error::http::{About, Call, Operation};

/// A page of a list, in one of its two forms.
pub(super) trait AnyPage: Sized {
    /// Parses the answer to a request.
    fn read(body: &[u8], request: &ListRequest) -> Result<Self, Unreadable>;

    /// The part that belongs to the list of a window.
    fn within(self, window: &Window<'_>, limit: usize) -> Option<Self>;
}

impl AnyPage for Page {
    fn read(body: &[u8], request: &ListRequest) -> Result<Page, Unreadable> {
        wire::page(body, request)
    }

    fn within(self, window: &Window<'_>, limit: usize) -> Option<Page> {
        window.page(self, limit)
    }
}

impl AnyPage for LeafPage {
    fn read(body: &[u8], request: &ListRequest) -> Result<LeafPage, Unreadable> {
        wire::leaf_page(body, request)
    }

    fn within(self, window: &Window<'_>, limit: usize) -> Option<LeafPage> {
        window.leaves(self, limit)
    }
}

impl HttpTransport {
    /// One page of a list. The request is by range if a range selects the same.
    pub(super) async fn page<P: AnyPage>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        request: &ListRequest,
    ) -> Result<P, DustErr> {
        let range = match &request.selector {
            _ if request.select == Select::Prefixes => None,
            // The server refuses the limit, which a request for a wider range would not have.
            _ if !(1..=MAX_PAGE_LEAVES).contains(&request.limit) => None,
            Selector::Range { .. } => Some(Cow::Borrowed(&request.selector)),
            Selector::Pattern(pattern) => pattern.base().map(|base| Cow::Owned(Selector::below(&base))),
        };
        let Some(Selector::Range { from, to }) = range.as_deref() else {
            return self.page_as_it_is(call, deadline, request).await;
        };
        let between = (from.as_str(), to.as_str());
        let after = request.after.as_deref().filter(|after| !after.is_empty());
        if self.lists_by_range() {
            let window = Window::new(between, after, request.order);
            match self.page_in(call, deadline, &window, window.range(), request, true).await {
                Ok(Some(page)) => return page.ok_or_else(|| too_close(&call)),
                Ok(None) | Err(DustErr::InvalidParams { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let base = subtree_of(between.0, between.1);
        let pattern = match &base {
            Some(base) => Pattern::subtree(base)?,
            None => Pattern::parse("**")?,
        };
        let window = Window::in_subtree(base.as_ref(), between, after, request.order);
        let page = self.page_in(call, deadline, &window, Selector::Pattern(pattern), request, false).await?;
        self.found_without_ranges();
        page.flatten().ok_or_else(|| too_close(&call))
    }

    async fn page_as_it_is<P: AnyPage>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        request: &ListRequest,
    ) -> Result<P, DustErr> {
        let page = self.page_of(call, deadline, request, false).await?;
        // A page of another list is an error here.
        page.ok_or_else(|| too_close(&call))
    }

    /// The part of a list within a window, from a page of `selector`. `None` if the answer is that of another list and
    /// `others` allows this; `Some(None)` if no later page can be requested.
    async fn page_in<P: AnyPage>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        window: &Window<'_>,
        selector: Selector,
        request: &ListRequest,
        others: bool,
    ) -> Result<Option<Option<P>>, DustErr> {
        // A wider window returns more leaves to drop than a small page may hold.
        let limit = if window.is_wider() { MAX_PAGE_LEAVES } else { request.limit };
        let after = window.after().map(str::to_owned);
        let asked = ListRequest::new(selector).limit(limit).order(request.order).select(request.select).after(after);
        let page: Option<P> = self.page_of(call, deadline, &asked, others).await?;
        Ok(page.map(|page| page.within(window, request.limit)))
    }

    /// The answer to exactly this request, with fewer leaves if it is too large. `None` if the answer is that of
    /// another list and `others` allows this.
    async fn page_of<P: AnyPage>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        request: &ListRequest,
        others: bool,
    ) -> Result<Option<P>, DustErr> {
        let mut limit = self.page_size(request.limit);
        loop {
            let read = |body: &[u8]| {
                self.took(body.len());
                unless_of_others(P::read(body, request), others)
            };
            match self.call(call, deadline, Request::list(request, limit), read).await {
                Err(DustErr::TooLarge { .. }) if self.lower(&mut limit) => {}
                answer => return answer,
            }
        }
    }

    /// True if there is a leaf below a path that is not a [claim](value::is_claim).
    pub(super) async fn has_leaf_below(&self, path: &Path, deadline: Deadline) -> Result<bool, DustErr> {
        let mut request = all_below(path).limit(2).select(Select::Keys);
        let mut only: Option<Path> = None;
        let mut empty = EmptyPages::default();
        loop {
            let call = self.about(Operation::Exists, About::Path(path));
            let Page { items, next_cursor, .. } = self.page(call, deadline, &request).await?;
            empty.check(items.is_empty(), next_cursor.as_deref())?;
            for item in items {
                if only.replace(item.path().clone()).is_some() {
                    return Ok(true);
                }
            }
            match next_cursor {
                Some(cursor) => request.after = Some(cursor),
                None => break,
            }
        }
        let Some(only) = only else { return Ok(false) };
        // A claim is a single leaf, so a single leaf may be one.
        let leaf = self.leaf(&only, deadline).await?;
        Ok(leaf.is_some_and(|leaf| !value::is_claim(leaf.value.as_str())))
    }

    /// The entry at a path: a leaf, or the object of the leaves below it.
    pub(super) async fn leaf(&self, path: &Path, deadline: Deadline) -> Result<Option<Entry>, DustErr> {
        let Some(request) = Request::get(path) else { return self.get_otherwise(path, deadline).await };
        let call = self.about(Operation::Get, About::Path(path));
        match self.call(call, deadline, request, |body| wire::entry(body, path)).await {
            Ok(entry) => Ok(Some(entry)),
            // A store that does not exist gives the same answer.
            Err(DustErr::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The result of [`leaf`](HttpTransport::leaf) for a path that no URL can hold, by `get_many` or by a list of the
    /// leaves below it.
    async fn get_otherwise(&self, path: &Path, deadline: Deadline) -> Result<Option<Entry>, DustErr> {
        if let Some(leaf) = self.leaves(std::slice::from_ref(path), deadline).await?.pop().flatten() {
            return Ok(Some(leaf));
        }
        let mut request = all_below(path);
        let (mut leaves, mut revision, mut size) = (Vec::new(), 0, SizeLimit::default());
        let mut empty = EmptyPages::default();
        loop {
            let call = self.about(Operation::Get, About::Path(path));
            let Page { items, next_cursor, .. } = self.page(call, deadline, &request).await?;
            empty.check(items.is_empty(), next_cursor.as_deref())?;
            for entry in items.into_iter().filter_map(ListItem::into_entry) {
                size.add_leaf(path, &entry)?;
                revision = revision.max(entry.revision);
                leaves.push((entry.path, entry.value));
            }
            match next_cursor {
                Some(cursor) => request.after = Some(cursor),
                None if leaves.is_empty() => return Ok(None),
                None => break,
            }
        }
        let value = flatten::assemble(path.depth(), leaves);
        Ok(Some(Entry::new(path.clone(), value, LeafKind::Map, revision)))
    }

    /// The leaves at exactly these paths, in the same order.
    pub(super) async fn leaves(&self, paths: &[Path], deadline: Deadline) -> Result<Vec<Option<Entry>>, DustErr> {
        let mut entries = Vec::with_capacity(paths.len());
        let mut size = MAX_PAGE_LEAVES;
        let mut left = paths;
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(size.min(left.len()));
            let call = self.about(Operation::GetMany, About::Paths(chunk.len()));
            match self.call(call, deadline, Request::get_many(chunk), |body| wire::leaves(body, chunk)).await {
                Err(DustErr::TooLarge { .. }) if chunk.len() > 1 => size = chunk.len().div_ceil(8),
                answer => {
                    entries.append(&mut answer?);
                    left = rest;
                }
            }
        }
        Ok(entries)
    }

    fn lists_by_range(&self) -> bool {
        !self.server.lacks_ranges.load(Ordering::Relaxed)
    }

    fn found_without_ranges(&self) {
        if self.server.lacks_ranges.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(
            store = &*self.store,
            "this Dust server does not list by range: lists go by pattern, which takes longer the larger the store is"
        );
    }

    /// The number of leaves to request in a page.
    fn page_size(&self, limit: usize) -> usize {
        // A limit above the maximum of a page is sent unchanged, so that the server refuses it.
        if limit > MAX_PAGE_LEAVES { limit } else { limit.min(self.server.page_size.load(Ordering::Relaxed)) }
    }

    /// Lowers the number of leaves in a page after an answer that was too large. False if it cannot be lower.
    fn lower(&self, limit: &mut usize) -> bool {
        if *limit <= 1 {
            return false;
        }
        *limit = limit.div_ceil(8);
        self.server.page_size.fetch_min(*limit, Ordering::Relaxed);
        true
    }

    /// Raises the number of leaves in a page again after an answer that was far from too large.
    fn took(&self, bytes: usize) {
        let size = self.server.page_size.load(Ordering::Relaxed);
        if size < MAX_PAGE_LEAVES && bytes < self.config.max_answer() / 4 {
            self.server.page_size.store((size * 2).min(MAX_PAGE_LEAVES), Ordering::Relaxed);
        }
    }
}

/// The list of everything below a path.
fn all_below(path: &Path) -> ListRequest {
    // By a pattern if one can express it, because a server may not support ranges.
    let selector = Pattern::below(path).map_or_else(|| Selector::below(path), Selector::Pattern);
    let (order, select) = (Order::Ascending, Select::Entries);
    ListRequest::new(selector).order(order).select(select)
}

/// The lowest path above all leaves of a range; `None` if there is none.
fn subtree_of(from: &str, to: &str) -> Option<Path> {
    let stem = to.strip_suffix('0').filter(|stem| from.strip_prefix(stem).is_some_and(|rest| rest.starts_with('/')));
    let rendered = stem.or_else(|| {
        let shared = from.bytes().zip(to.bytes()).take_while(|(from, to)| from == to).count();
        from.as_bytes()[..shared].iter().rposition(|byte| *byte == b'/').and_then(|slash| from.get(..slash))
    });
    rendered.and_then(|rendered| Path::parse(rendered).ok())
}

/// `None` for the page of another list, if `others` allows it.
fn unless_of_others<T>(page: Result<T, Unreadable>, others: bool) -> Result<Option<T>, Unreadable> {
    match page {
        Err(why) if others && why.is_of_others() => Ok(None),
        page => page.map(Some),
    }
}

fn too_close(call: &Call<'_>) -> DustErr {
    call.invalid(
        "the paths are too long for a URL, and too many leaves have a path that begins as these do; use shorter paths",
    )
}
