//! The description of a list of records.

use dust_protocol::{Order, Path, Selector};

use super::key_range::{KeyRange, Position};
use crate::entity::DustEntity;
use crate::error::DustErr;

/// A list of records: a range of keys, the part of it to read, and an order.
#[derive(Clone, Debug)]
pub(in crate::repo) struct KeyList {
    /// The keys; `None` for a list that is empty.
    range: Result<Option<KeyRange>, DustErr>,
    pub(super) limit: Option<Limit>,
    pub(super) desc: bool,
}

/// The part of a list to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    First(u64),
    Last(u64),
}

impl Limit {
    pub(super) fn count(self) -> u64 {
        match self {
            Limit::First(count) | Limit::Last(count) => count,
        }
    }
}

impl KeyList {
    pub(in crate::repo) fn all<E: DustEntity>() -> KeyList {
        let range = E::prefix_path().map(|base| Some(KeyRange::all_below(base)));
        KeyList { range: range.map_err(Into::into), limit: None, desc: false }
    }

    /// Limits the list to what is below a path; to nothing for `None`.
    pub(in crate::repo) fn within(&mut self, path: Result<Option<Path>, DustErr>) {
        match path {
            Ok(Some(base)) => self.change(|range| range.base = base),
            Ok(None) if self.range.is_ok() => self.range = Ok(None),
            Ok(None) => {}
            Err(error) => self.range = self.range.clone().and(Err(error)),
        }
    }

    pub(in crate::repo) fn starts_with(&mut self, text: String) {
        self.change(|range| range.starts_with = Some(text));
    }

    /// Begins behind the key with these parts below the path.
    pub(super) fn after<S: AsRef<str>>(&mut self, parts: impl IntoIterator<Item = S>) {
        self.change(|range| range.after = Some(Position::of(&range.base, parts)));
    }

    /// Ends before the key with these parts below the path.
    pub(super) fn before<S: AsRef<str>>(&mut self, parts: impl IntoIterator<Item = S>) {
        self.change(|range| range.before = Some(Position::of(&range.base, parts)));
    }

    fn change(&mut self, change: impl FnOnce(&mut KeyRange)) {
        if let Ok(Some(range)) = &mut self.range {
            change(range);
        }
    }

    /// The range of the keys and that of the leaves of their records; `None` if it is empty.
    pub(in crate::repo) fn selected(&self) -> Result<Option<(KeyRange, Selector)>, DustErr> {
        let order = if self.desc { Order::Descending } else { Order::Ascending };
        let Some(range) = self.range.clone()? else { return Ok(None) };
        let selector = range.selector(order);
        Ok(selector.map(|selector| (range, selector)))
    }

    /// True if the end of the list is read, from behind.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.limit, Some(Limit::Last(_)))
    }

    /// The order in which the store is read: the end of a list is read from behind.
    pub(super) fn order(&self) -> Order {
        if self.desc == self.is_last() { Order::Ascending } else { Order::Descending }
    }

    /// The largest number of records; `None` if there is no limit.
    pub(super) fn count_limit(&self) -> Option<u64> {
        self.limit.map(Limit::count)
    }
}
