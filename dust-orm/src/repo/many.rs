//! Reads of several records with few requests.
//!
//! A server lists leaves in pages of 1000, and finds up to 1000 leaves by their exact paths in one request. So the
//! leaves between the first and the last wanted record are listed, and each page begins at a wanted record:
//!
//! ```text
//! leaves    |a a a|b b|c c c|d d d| ...              |x x x|y|z z|
//! wanted     ^     ^                                  ^
//! requests   [---------------]   the rest of the page has no wanted record, the next request begins at x
//! ```
//!
//! Each request serves at least one record, and a page of them if they are adjacent. If they are far apart, the rest is
//! read by exact paths, on two conditions: no field of the entity can be an object, whose leaves have unknown paths;
//! and it uses less of the rate limit, where such a request counts as a write.

use std::collections::HashMap;
use std::sync::Arc;

use dust_protocol::list::{EmptyPages, MAX_GET_MANY_PATHS};
use dust_protocol::{LeafRef, PackedLeaves, Path};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sea_orm::ActiveModelTrait;

use super::record_pages::fetch_to_limit;
use crate::entity::{DustEntity, Fields, RecordRef, check_size, cursor_after, is_leaf};
use crate::error::DustErr;
use crate::transport::Transport;

/// The number of concurrent requests of one read.
const CONCURRENT: usize = 8;
/// The cost of a write in reads: a server allows 100 writes and 1000 reads a minute.
const WRITE: usize = 10;

/// A record to read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: Path,
    /// The number of segments of its key.
    pub(super) key_parts: usize,
    /// The names of its leaves, if its entity has no others.
    pub(super) fields: Option<Arc<[&'static str]>>,
}

/// Reads the leaves of several records, in the order of `wanted`: `None` for a record that does not exist, and for a
/// `None` of `wanted`. Of a record that is too large it returns the first leaves, which exceed the limit themselves.
pub(super) async fn fetch_many(
    transport: &dyn Transport,
    wanted: &[Option<Wanted>],
) -> Result<Vec<Option<PackedLeaves>>, DustErr> {
    let mut found: HashMap<Path, PackedLeaves> = HashMap::new();
    let mut groups: HashMap<&str, Vec<Wanted>> = HashMap::new();
    for wanted in wanted.iter().flatten() {
        groups.entry(wanted.prefix()).or_default().push(wanted.clone());
    }
    for mut group in groups.into_values() {
        group.sort_by_cached_key(|wanted| wanted.path.descendant_prefix());
        group.dedup_by(|one, other| one.path == other.path);
        if !transport.capabilities().remote || group.len() == 1 {
            for wanted in group {
                let leaves = fetch_to_limit(transport, &wanted.path).await?;
                found.extend(leaves.and_then(|leaves| unless_claim(wanted.path, leaves)));
            }
        } else {
            found.extend(read_group(transport, group).await?);
        }
    }
    Ok(wanted.iter().map(|wanted| found.get(&wanted.as_ref()?.path).cloned()).collect())
}

impl Wanted {
    /// The prefix of the record's entity.
    fn prefix(&self) -> &str {
        let slash = self.path.as_str().rmatch_indices('/').nth(self.key_parts.saturating_sub(1));
        slash.map_or("", |(slash, _)| &self.path.as_str()[..slash])
    }
}

type Found = Vec<(Path, PackedLeaves)>;

/// Reads records below the same prefix. They are in the order of their leaves.
async fn read_group(transport: &dyn Transport, group: Vec<Wanted>) -> Result<Found, DustErr> {
    let (mut span, mut before) = (Span::new(transport, group)?, 0);
    while span.next < span.wanted.len() {
        span.read_page().await?;
        let (read, left) = ((span.next - before).max(1), &span.wanted[span.next..]);
        before = span.next;
        if exact_requests(left).is_some_and(|requests| requests * WRITE < left.len().div_ceil(read)) {
            let left = left.to_vec();
            let mut found = span.into_found();
            found.extend(read_exactly(transport, left).await?);
            return Ok(found);
        }
        if read == 1 && left.len() > CONCURRENT {
            let parts: Vec<Vec<Wanted>> = left.chunks(left.len().div_ceil(CONCURRENT)).map(<[_]>::to_vec).collect();
            let mut found = span.into_found();
            let parts = parts.into_iter().map(|part| read_part(transport, part).boxed());
            let parts: Vec<Found> = stream::iter(parts).buffered(CONCURRENT).try_collect().await?;
            found.extend(parts.into_iter().flatten());
            return Ok(found);
        }
    }
    Ok(span.into_found())
}

/// Reads some of the records of a group, page by page.
async fn read_part(transport: &dyn Transport, part: Vec<Wanted>) -> Result<Found, DustErr> {
    let mut span = Span::new(transport, part)?;
    while span.next < span.wanted.len() {
        span.read_page().await?;
    }
    Ok(span.into_found())
}

/// The number of requests that read these records by exact paths; `None` if a path is unknown.
fn exact_requests(records: &[Wanted]) -> Option<usize> {
    let leaves = records.iter().try_fold(0, |sum, wanted| Some(sum + wanted.fields.as_ref()?.len()))?;
    Some(leaves.div_ceil(MAX_GET_MANY_PATHS))
}

/// A listing from the first wanted record to the last.
struct Span<'s> {
    transport: &'s dyn Transport,
    prefix: Path,
    wanted: Vec<Wanted>,
    /// The index of the first record that is not read completely.
    next: usize,
    after: Option<String>,
    /// The leaves of each record, complete up to `next`.
    leaves: Vec<PackedLeaves>,
    empty: EmptyPages,
}

impl<'s> Span<'s> {
    fn new(transport: &'s dyn Transport, wanted: Vec<Wanted>) -> Result<Span<'s>, DustErr> {
        let prefix = Path::parse(wanted.first().map_or("", Wanted::prefix))?;
        let leaves = vec![PackedLeaves::default(); wanted.len()];
        let mut span = Span { transport, prefix, wanted, next: 0, after: None, leaves, empty: EmptyPages::default() };
        span.seek(None);
        Ok(span)
    }

    /// Continues after a cursor, or at the next wanted record if that is later.
    fn seek(&mut self, cursor: Option<String>) {
        // No field is called U+0001, and no name comes before it.
        let start = self.wanted.get(self.next).map(|wanted| wanted.path.descendant_prefix() + "\u{1}");
        self.after = start.max(cursor);
    }

    async fn read_page(&mut self) -> Result<(), DustErr> {
        let page = self.transport.list_subtree(&self.prefix, self.after.as_deref()).await?;
        self.empty.check(page.leaves.is_empty(), page.next_cursor.as_deref())?;
        for leaf in page.leaves.iter() {
            self.pass(leaf.path);
            let Some(wanted) = self.wanted.get(self.next) else { break };
            if wanted.path.is_above(leaf.path) {
                self.leaves[self.next].push(leaf);
            }
        }
        let open = self.wanted.get(self.next).zip(self.leaves.get(self.next));
        if open.is_some_and(|(wanted, leaves)| check_size(wanted.path.as_str(), leaves).is_err()) {
            // The part that was read exceeds the limit already.
            self.next += 1;
        }
        match page.next_cursor {
            Some(cursor) => {
                self.pass(&cursor);
                self.seek(Some(cursor));
            }
            None => self.next = self.wanted.len(),
        }
        Ok(())
    }

    /// Skips the records that end before a path.
    fn pass(&mut self, path: &str) {
        while self.wanted.get(self.next).is_some_and(|wanted| *path >= *cursor_after(wanted.path.as_str())) {
            self.next += 1;
        }
    }

    fn into_found(self) -> Found {
        let all = self.wanted.into_iter().zip(self.leaves);
        all.filter_map(|(wanted, leaves)| unless_claim(wanted.path, leaves)).collect()
    }
}

/// The leaves of a record; `None` if it has none, or a claim only.
fn unless_claim(path: Path, leaves: PackedLeaves) -> Option<(Path, PackedLeaves)> {
    let exists = !leaves.is_empty() && !RecordRef::new(&path, &leaves).is_claim();
    exists.then_some((path, leaves))
}

/// Reads records by the exact paths of their leaves.
async fn read_exactly(transport: &dyn Transport, group: Vec<Wanted>) -> Result<Found, DustErr> {
    let mut paths = Vec::new();
    for wanted in &group {
        for field in wanted.fields.iter().flat_map(|fields| fields.iter()) {
            paths.push(wanted.path.child(field)?);
        }
    }
    // The leaves of a record are in the order of their paths.
    paths.sort_unstable();
    let mut found: HashMap<Path, PackedLeaves> = HashMap::new();
    for chunk in paths.chunks(MAX_GET_MANY_PATHS) {
        for entry in transport.get_many(chunk).await?.into_iter().flatten() {
            if let Some(record) = entry.path.parent() {
                found.entry(record).or_default().push(LeafRef::from(&entry));
            }
        }
    }
    let of = |wanted: Wanted| found.remove(&wanted.path).and_then(|leaves| unless_claim(wanted.path, leaves));
    Ok(group.into_iter().filter_map(of).collect())
}

/// The names of an entity's leaves. `None` if a field can be an object, whose leaves have other names, or if no field
/// is required, so that a record without any of these leaves exists.
pub(super) fn scalar_fields<E: DustEntity>() -> Option<Arc<[&'static str]>> {
    let fields = || E::ActiveModel::FIELDS.iter().enumerate().filter(|(_, field)| is_leaf(field));
    let mut probe = <E::ActiveModel as ActiveModelTrait>::default();
    let mut is_scalar = |position| {
        let read = probe.deserialize_field(position, &mut serde_json::Deserializer::from_str("{}"));
        // Any other error is that of an object without a needed member.
        read.is_err_and(|error| error.to_string().starts_with("invalid type: map"))
    };
    (fields().any(|(_, field)| field.required) && fields().all(|(position, _)| is_scalar(position)))
        .then(|| fields().flat_map(|(_, field)| field.names()).collect())
}
