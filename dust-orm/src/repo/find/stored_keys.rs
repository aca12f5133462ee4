//! Reads of the keys of records without their values.

use std::collections::HashSet;
use std::sync::Arc;

use dust_protocol::list::{EmptyPages, MAX_GET_MANY_PATHS};
use dust_protocol::{Entry, ListRequest, Page, Path, Select, path, value};

use super::Density;
use super::key_list::KeyList;
use crate::entity::{DustEntity, Fields, KeyOf, is_leaf, parse_key, record_of};
use crate::error::DustErr;
use crate::transport::Transport;

/// Calls `take` for the key of each record of a list, in the order in which the store is read.
pub(super) async fn each<E: DustEntity>(
    list: &KeyList,
    transport: Arc<dyn Transport>,
    mut take: impl FnMut(KeyOf<E>),
) -> Result<(), DustErr> {
    let Some((range, selector)) = list.selected()? else { return Ok(()) };
    let within = E::prefix_path()?.descendant_prefix();
    let mut request = ListRequest::new(selector).order(list.order()).select(Select::Keys);
    let (mut left, mut density) = (list.count_limit(), Density::of::<E>());
    let mut open: Option<StoredKey> = None;
    let mut empty = EmptyPages::default();
    while left != Some(0) {
        if let Some(left) = left {
            request.limit = density.page(left);
        }
        let Page { items, next_cursor, .. } = transport.list(&request).await?;
        empty.check(items.is_empty(), next_cursor.as_deref())?;
        let mut complete = Vec::new();
        for item in &items {
            let leaf = item.path().as_str();
            let Some(record) = record_of(&within, E::KEY_PARTS, leaf).filter(|record| range.contains(record)) else {
                continue;
            };
            match &mut open {
                Some(open) if open.record == record => open.add(leaf),
                _ => complete.extend(open.replace(StoredKey::new(record, leaf))),
            }
        }
        if next_cursor.is_none() {
            complete.extend(open.take());
        }
        density.add(items.len(), complete.len());
        let keys = complete.into_iter().filter_map(|stored| Some((stored.key::<E>(&within)?, stored.only))).collect();
        let keys = without_claims(keys, &*transport).await?;
        let wanted = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        left = left.map(|left| left.saturating_sub(keys.len() as u64));
        keys.into_iter().take(wanted).for_each(&mut take);
        match next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => break,
        }
    }
    Ok(())
}

/// A record of which only the paths of the leaves are read.
struct StoredKey {
    /// The path of the record.
    record: String,
    /// The names of the fields that have a leaf, in rendered form.
    fields: HashSet<String>,
    /// The path of its only leaf; `None` if it has more.
    only: Option<String>,
}

impl StoredKey {
    /// A record with its first leaf.
    fn new(record: &str, leaf: &str) -> StoredKey {
        let mut stored = StoredKey { record: record.to_owned(), fields: HashSet::new(), only: None };
        stored.add(leaf);
        stored.only = Some(leaf.to_owned());
        stored
    }

    fn add(&mut self, leaf: &str) {
        // The path of every leaf begins with the record's path and a `/`.
        let name = leaf.get(self.record.len() + 1..).unwrap_or_default();
        self.fields.insert(name.split('/').next().unwrap_or_default().to_owned());
        self.only = None;
    }

    /// The key; `None` if a required field has no leaf, or if the path is not that of a key.
    fn key<E: DustEntity>(&self, within: &str) -> Option<KeyOf<E>> {
        let has = |name: &str| self.fields.iter().any(|field| path::unescape(field) == name);
        let mut required = E::ActiveModel::FIELDS.iter().filter(|field| field.required && is_leaf(field));
        if !required.all(|field| field.names().any(has)) {
            return None;
        }
        parse_key::<E>(self.record.get(within.len()..)?)
    }
}

/// The keys of the records that are more than a claim. A claim is one leaf, so that only single leaves are read.
async fn without_claims<K>(keys: Vec<(K, Option<String>)>, transport: &dyn Transport) -> Result<Vec<K>, DustErr> {
    let singles = keys.iter().filter_map(|(_, only)| only.as_deref().map(Path::from_trusted)).collect::<Vec<_>>();
    let mut claims = HashSet::new();
    for chunk in singles.chunks(MAX_GET_MANY_PATHS) {
        let found = transport.get_many(chunk).await?;
        let is_record = |leaf: &Option<Entry>| leaf.as_ref().is_some_and(|leaf| !value::is_claim(leaf.value.as_str()));
        claims.extend(chunk.iter().zip(found).filter(|(_, leaf)| !is_record(leaf)).map(|(path, _)| path.to_string()));
    }
    let exists = |(_, only): &(K, Option<String>)| only.as_ref().is_none_or(|only| !claims.contains(only));
    Ok(keys.into_iter().filter(exists).map(|(key, _)| key).collect())
}
