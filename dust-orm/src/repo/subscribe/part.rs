//! The part of an entity's records that a subscription is limited to.

use std::marker::PhantomData;

use dust_protocol::{Path, Selector};

use crate::entity::{DustEntity, KeyOf, KeyPrefix, lookup_path, lookup_prefix};
use crate::error::DustErr;
use crate::repo::find::{KeyList, KeyRange};

/// The records that a subscription is limited to, as its builder describes them.
pub(super) struct Part<E> {
    list: KeyList,
    is_record: bool,
    is_range: bool,
    entity: PhantomData<fn() -> E>,
}

/// A part of the records of an entity that some record can be in.
#[derive(Clone, Debug)]
pub(super) struct SelectedPart {
    pub(super) range: KeyRange,
    /// The range of the leaves of its records.
    pub(super) selector: Selector,
    /// True if it is one record, at the base of the range.
    pub(super) is_record: bool,
}

impl<E: DustEntity> Part<E> {
    /// All records.
    pub(super) fn all() -> Part<E> {
        Part { list: KeyList::all::<E>(), is_record: false, is_range: false, entity: PhantomData }
    }

    pub(super) fn key(&mut self, key: &KeyOf<E>) {
        self.is_record = true;
        self.list.within(lookup_path::<E>(key));
    }

    pub(super) fn within<Marker>(&mut self, parts: impl KeyPrefix<KeyOf<E>, Marker>) {
        self.is_range = true;
        self.list.within(lookup_prefix::<E, _>(parts));
    }

    pub(super) fn starts_with(&mut self, text: String) {
        self.is_range = true;
        self.list.starts_with(text);
    }

    /// Returns the part.
    ///
    /// # Errors
    ///
    /// `InvalidParams` if no record can be in it, or if its limits exclude each other.
    pub(super) fn selected(&self) -> Result<SelectedPart, DustErr> {
        if self.is_record && self.is_range {
            return Err(DustErr::invalid_params(
                "`key` limits a subscription to one record: leave `within` and `starts_with` out, or `key`",
            ));
        }
        let Some((range, selector)) = self.list.selected()? else {
            return Err(DustErr::invalid_params(format!(
                "no record under `{}` can have this key, so the subscription would never deliver an event: give each \
                 part of a key at least one character, and neither `\\*` nor `\\**`; without `key` and `within` a \
                 subscription delivers the changes of every record",
                E::PREFIX.join("/"),
            )));
        };
        if range.starts_with.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(DustErr::invalid_params("`starts_with` has a NUL character, which no key has: leave it out"));
        }
        Ok(SelectedPart { range, selector, is_record: self.is_record })
    }
}

impl SelectedPart {
    /// A text that distinguishes it from all other parts of the entity.
    pub(super) fn name(&self) -> String {
        // A path has no NUL.
        format!("{}\0{}", self.range.base, self.range.starts_with.as_deref().unwrap_or_default())
    }

    /// The path of its record, if it is one.
    pub(super) fn record(&self) -> Option<&Path> {
        self.is_record.then_some(&self.range.base)
    }

    /// True if it has every record of a subtree.
    pub(super) fn is_subtree(&self) -> bool {
        self.range.text_start().is_none()
    }
}
