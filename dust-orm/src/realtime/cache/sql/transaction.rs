//! Reads and changes of one store's content in the tables.

use async_trait::async_trait;
use dust_protocol::{Entry, LeafKind, Path, RawJson};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult};

use super::tables::{NUL, Tables, digest};
use crate::error::DustErr;
use crate::realtime::cache::{CacheRead, CacheWrite, Cursor};

/// Number of rows that one statement writes or removes at most.
const ROWS: usize = 512;
/// Bytes of paths and values that one statement writes at most, unless a single leaf has more.
const BYTES: usize = 1024 * 1024;
/// Number of rows that one statement reads.
const PAGE: u64 = 2000;

pub(super) struct Read {
    transaction: DatabaseTransaction,
    tables: Tables,
    store: String,
    /// The digest of the last leaf that was read.
    after: Vec<u8>,
}

impl Read {
    pub(super) fn new(transaction: DatabaseTransaction, tables: Tables, store: &str) -> Read {
        Read { transaction, tables, store: store.to_owned(), after: Vec::new() }
    }

    /// The error for a row that this cache did not write.
    fn foreign_row(&self, what: &str) -> DustErr {
        let Tables { leaves, cursors } = &self.tables;
        DustErr::invalid_params(format!(
            "the SQL cache cannot use the content of `{leaves}` for the store `{}`: {what}; call `SqlCache::clear`, or \
             delete the rows of the store from `{leaves}` and `{cursors}`",
            self.store
        ))
    }

    fn entry(&self, row: &QueryResult) -> Result<Entry, DustErr> {
        let (path, value, kind): (String, String, String) = (at(row, 1)?, at(row, 2)?, at(row, 3)?);
        let path = if path.contains(NUL) { path.replace(NUL, "\0") } else { path };
        Ok(Entry {
            path: Path::parse(&path)
                .map_err(|error| self.foreign_row(&format!("the path `{path}` is invalid: {error}")))?,
            value: RawJson::parse(&value)
                .map_err(|error| self.foreign_row(&format!("the value at `{path}` is not JSON: {error}")))?,
            kind: LeafKind::from_name(&kind),
            revision: at::<i64>(row, 4)?.cast_unsigned(),
        })
    }
}

#[async_trait]
impl CacheRead for Read {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        // The first statement of a transaction: the database is reached, so the error concerns the table.
        cursor(&self.transaction, &self.tables, &self.store, false).await.map_err(|error| {
            let Tables { leaves, cursors } = &self.tables;
            DustErr::invalid_params(format!(
                "the SQL cache cannot read its tables `{leaves}` and `{cursors}`; add \
                 `dust_orm::realtime::cache::migration::Migration` to the migrations and run them, or call \
                 `SqlCache::create_if_missing`: {error}"
            ))
            .with_source(error)
        })
    }

    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr> {
        let rows = self.transaction.query_all(&self.tables.select_leaves(&self.store, &self.after, PAGE)).await?;
        if let Some(last) = rows.last() {
            self.after = at(last, 0)?;
        }
        rows.iter().map(|row| self.entry(row)).collect()
    }
}

pub(super) struct Write {
    transaction: DatabaseTransaction,
    tables: Tables,
    store: String,
}

impl Write {
    pub(super) fn new(transaction: DatabaseTransaction, tables: Tables, store: &str) -> Write {
        Write { transaction, tables, store: store.to_owned() }
    }
}

#[async_trait]
impl CacheWrite for Write {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        Ok(cursor(&self.transaction, &self.tables, &self.store, true).await?)
    }

    async fn clear(&mut self, at_most: usize) -> Result<bool, DustErr> {
        // Not every database supports `DELETE` with a limit. SeaORM panics for a number of more than 63 bits.
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX).cast_unsigned();
        let next = self.tables.select_digest_after(&self.store, at_most);
        let next: Option<Vec<u8>> = self.transaction.query_one(&next).await?.map(|row| at(&row, 0)).transpose()?;
        let delete = match &next {
            Some(digest) => self.tables.delete_leaves_before(&self.store, digest),
            None => self.tables.delete_all_leaves(&self.store),
        };
        self.transaction.execute(&delete).await?;
        Ok(next.is_some())
    }

    async fn change(&mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<(), DustErr> {
        let size = |entry: &Entry| entry.path.as_str().len() + entry.value.as_str().len();
        for entries in pieces(&set, size) {
            let insert = self.tables.upsert_leaves(&self.store, entries).map_err(unbuilt)?;
            self.transaction.execute(&insert).await?;
        }
        for paths in pieces(&removed, |_| 0) {
            let digests = paths.iter().map(|path| digest(path.as_str())).collect();
            self.transaction.execute(&self.tables.delete_leaves(&self.store, digests)).await?;
        }
        Ok(())
    }

    async fn commit(self: Box<Self>, cursor: Cursor) -> Result<(), DustErr> {
        let upsert = self.tables.upsert_cursor(&self.store, &cursor).map_err(unbuilt)?;
        self.transaction.execute(&upsert).await?;
        Ok(self.transaction.commit().await?)
    }
}

/// The error of a statement whose numbers of values and columns differ, which no statement here has.
fn unbuilt(error: sea_orm::sea_query::error::Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

async fn cursor(
    transaction: &DatabaseTransaction,
    tables: &Tables,
    store: &str,
    lock: bool,
) -> Result<Option<Cursor>, DbErr> {
    let row = transaction.query_one(&tables.select_cursor(store, lock)).await?;
    let cursor = |row: QueryResult| {
        let seq = at::<i64>(&row, 1)?.cast_unsigned();
        let text = |index| at::<String>(&row, index).map(|text| (!text.is_empty()).then(|| text.into()));
        let inexact_through = at::<i64>(&row, 3)?.cast_unsigned();
        Ok(Cursor { server: at(&row, 0)?, seq, last_op_id: text(2)?, inexact_through, unfinished: text(4)? })
    };
    row.map(cursor).transpose()
}

fn at<T: sea_orm::TryGetable>(row: &QueryResult, index: usize) -> Result<T, DbErr> {
    row.try_get_by_index(index)
}

/// Pieces for one statement each. Their lengths are powers of two, so that there are few different statements, and
/// those of the application stay in the connection's cache of prepared statements.
fn pieces<T>(mut items: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += size(item);
            bytes <= BYTES
        };
        let fitting = items.iter().take(ROWS).take_while(fits).count().max(1);
        let (piece, rest) = items.split_at_checked(1 << fitting.ilog2())?;
        items = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_lengths_of_powers_of_two_and_at_most_a_megabyte() {
        let lengths = |count: usize, size: usize| {
            let items = vec![size; count];
            pieces(&items, |size| *size).map(<[usize]>::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(0, 1), [0; 0]);
        assert_eq!(lengths(1, 1), [1]);
        assert_eq!(lengths(1100, 1), [512, 512, 64, 8, 4]);
        assert_eq!(lengths(7, BYTES / 3), [2, 2, 2, 1]);
        assert_eq!(lengths(3, 8 * BYTES), [1, 1, 1]);
    }
}
