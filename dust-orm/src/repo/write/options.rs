//! The conditions of a write.

use std::any::TypeId;

use dust_protocol::Fence;
use sea_orm::IdenStatic;

use crate::entity::{DustEntity, Fields, Revision, StorageMode, is_leaf};
use crate::error::DustErr;

/// The options that were chained to a verb.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) struct Options {
    pub(in crate::repo) condition: Condition,
    pub(in crate::repo) fence: Option<Fence>,
    /// The columns that `if_match` does not compare.
    pub(in crate::repo) except: Vec<ExceptedColumn>,
    /// True if the revision of the record after the write is returned.
    pub(in crate::repo) versioned: bool,
}

/// A column that `if_match` does not compare.
#[derive(Clone, Debug)]
pub(in crate::repo) struct ExceptedColumn {
    entity: TypeId,
    /// The position of the field in `FIELDS`.
    position: usize,
    /// The name of the column, for errors.
    name: String,
}

impl ExceptedColumn {
    pub(in crate::repo) fn new<E: DustEntity>(column: E::Column) -> ExceptedColumn {
        let name = column.as_str().to_owned();
        ExceptedColumn { entity: TypeId::of::<E>(), position: E::ActiveModel::position(column), name }
    }
}

impl Options {
    /// The positions of the excepted columns in an update of a record of `E`.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) in map mode, for a column of another entity and for a column without a
    /// leaf.
    pub(in crate::repo) fn excepted<E: DustEntity>(&self) -> Result<Vec<usize>, DustErr> {
        let position = |column: &ExceptedColumn| {
            let refuse = |reason: &str| {
                let name = &column.name;
                let prefix = E::PREFIX.join("/");
                DustErr::invalid_params(format!(
                    "`except` of the column `{name}` in a write under `{prefix}`: {reason}"
                ))
            };
            if column.entity != TypeId::of::<E>() {
                return Err(refuse("the column belongs to another entity"));
            }
            if E::MODE == StorageMode::Map {
                return Err(refuse(
                    "the entity is stored in map mode, where a write replaces the record as a whole and `if_match` \
                     compares all of it; only flat mode can leave fields out",
                ));
            }
            if !E::ActiveModel::FIELDS.get(column.position).is_some_and(is_leaf) {
                return Err(refuse("it is never stored: it is part of the key, or skipped"));
            }
            Ok(column.position)
        };
        self.except.iter().map(position).collect()
    }
}

/// The condition under which a write applies.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) enum Condition {
    /// The write always applies.
    #[default]
    None,
    /// The leaves to write have not changed since this revision was read.
    IfMatch(Revision),
    /// The record does not exist.
    IfAbsent,
}
