//! Reads and changes of the rows of one store.

use async_trait::async_trait;
use dust_protocol::{Entry, LeafKind, Path, RawJson};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult};

use super::tables::{NUL, Tables, digest};
use crate::error::DustErr;
use crate::realtime::cache::{CacheRead, CacheWrite, Cursor};

/// The largest number of rows that one statement writes or removes.
const MAX_STATEMENT_ROWS: usize = 512;
/// The largest number of bytes of paths and values that one statement writes, unless a single leaf is larger.
const MAX_STATEMENT_BYTES: usize = 1024 * 1024;
/// The number of rows that one statement reads.
const READ_ROWS: u64 = 2000;

pub(super) struct Read {
    transaction: DatabaseTransaction,
    tables: Tables,
    store: String,
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
            "the SQL cache cannot use the rows of the store `{}` in `{leaves}`: {what}; call `SqlCache::clear`, or \
             delete the rows of the store from `{leaves}` and `{cursors}`",
            self.store
        ))
    }

    fn entry(&self, row: &QueryResult) -> Result<Entry, DustErr> {
        let (path, value, kind): (String, String, String) = (at(row, 1)?, at(row, 2)?, at(row, 3)?);
        let path = if path.contains(NUL) { path.replace(NUL, "\0") } else { path };
        let value = RawJson::parse(&value)
            .map_err(|error| self.foreign_row(&format!("the value at `{path}` is not JSON: {error}")))?;
        let path =
            Path::parse(&path).map_err(|error| self.foreign_row(&format!("the path `{path}` is invalid: {error}")))?;
        let revision = at::<i64>(row, 4)?.cast_unsigned();
        Ok(Entry::new(path, value, LeafKind::from_name(&kind), revision))
    }
}

#[async_trait]
impl CacheRead for Read {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        // The database has answered a ping, so the error of the first statement is about the tables.
        cursor(&self.transaction, &self.tables, &self.store, false).await.map_err(|error| {
            let Tables { leaves, cursors } = &self.tables;
            DustErr::invalid_params(format!(
                "the SQL cache cannot read its tables `{leaves}` and `{cursors}`; add \
                 `dust_orm::realtime::cache::Migration` to the migrations and run them, or call \
                 `SqlCache::create_if_missing`: {error}"
            ))
            .with_source(error)
        })
    }

    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr> {
        let rows = self.transaction.query_all(&self.tables.select_leaves(&self.store, &self.after, READ_ROWS)).await?;
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
        // Not every database has a `DELETE` with a limit, so the leaves before the first one to keep are deleted.
        // SeaORM panics at a number of more than 63 bits.
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX).cast_unsigned();
        let behind = self.tables.select_digest_behind(&self.store, at_most);
        let behind: Option<Vec<u8>> = self.transaction.query_one(&behind).await?.map(|row| at(&row, 0)).transpose()?;
        let delete = match &behind {
            Some(digest) => self.tables.delete_leaves_before(&self.store, digest),
            None => self.tables.delete_all_leaves(&self.store),
        };
        self.transaction.execute(&delete).await?;
        Ok(behind.is_some())
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

/// The error of a statement with a wrong number of values. The statements of this module have the right number.
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

/// Slices of the items, one for each statement. Their lengths are powers of two, so that there are few different
/// statements, which do not displace those of the application from the connection's cache of prepared statements.
///
/// For 1100 small items: 512, 512, 64, 8 and 4.
fn pieces<T>(mut items: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += size(item);
            bytes <= MAX_STATEMENT_BYTES
        };
        let fitting = items.iter().take(MAX_STATEMENT_ROWS).take_while(fits).count().max(1);
        let (piece, rest) = items.split_at_checked(1 << fitting.ilog2())?;
        items = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_power_of_two_lengths_and_at_most_a_megabyte() {
        let lengths = |count: usize, size: usize| {
            let items = vec![size; count];
            pieces(&items, |size| *size).map(<[usize]>::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(0, 1), [0; 0]);
        assert_eq!(lengths(1, 1), [1]);
        assert_eq!(lengths(1100, 1), [512, 512, 64, 8, 4]);
        assert_eq!(lengths(7, MAX_STATEMENT_BYTES / 3), [2, 2, 2, 1]);
        assert_eq!(lengths(3, 8 * MAX_STATEMENT_BYTES), [1, 1, 1]);
    }
}
