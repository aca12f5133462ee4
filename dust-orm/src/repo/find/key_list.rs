//! The description of a list of records.

use std::borrow::Cow;

use dust_protocol::{Order, Selector};

use super::key_range::{KeyRange, Position};
use crate::entity::DustEntity;
use crate::error::DustErr;

/// A list of records: a range of keys, the part of it to read, and an order.
#[derive(Clone, Debug)]
pub(super) struct KeyList {
    pub(super) range: Result<KeyRange, DustErr>,
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
    pub(super) fn all<E: DustEntity>() -> KeyList {
        KeyList { range: E::prefix_path().map(KeyRange::all_below).map_err(Into::into), limit: None, desc: false }
    }

    pub(super) fn starts_with(&mut self, text: String) {
        if let Ok(range) = &mut self.range {
            range.starts_with = Some(text);
        }
    }

    /// Begins behind the key with these parts.
    pub(super) fn after<'k>(&mut self, parts: impl IntoIterator<Item = Cow<'k, str>>) {
        if let Ok(range) = &mut self.range {
            range.after = Some(Position::of(&range.base, parts));
        }
    }

    /// Ends before the key with these parts.
    pub(super) fn before<'k>(&mut self, parts: impl IntoIterator<Item = Cow<'k, str>>) {
        if let Ok(range) = &mut self.range {
            range.before = Some(Position::of(&range.base, parts));
        }
    }

    /// True if the end of the list is read, from behind.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.limit, Some(Limit::Last(_)))
    }

    /// The range of the leaves of the selected records; `None` if it is empty.
    pub(super) fn selector(&self) -> Result<Option<Selector>, DustErr> {
        let order = if self.desc { Order::Descending } else { Order::Ascending };
        Ok(self.range.as_ref().map_err(Clone::clone)?.selector(order))
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
