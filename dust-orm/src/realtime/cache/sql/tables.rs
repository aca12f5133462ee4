//! The names and columns of the tables, and the statements on them.

use dust_protocol::Entry;
use sea_orm::DbBackend;
use sea_orm::sea_query::{
    Alias, ColumnDef, DeleteStatement, Expr, ExprTrait, Index, InsertStatement, OnConflict, Order, Query,
    SelectStatement, Table, TableCreateStatement, error,
};

use crate::realtime::cache::Cursor;

/// The name of the store, in both tables.
const STORE: &str = "store";

/// The SHA-256 of the path, which is the key: paths are longer than the keys of some databases, and some databases
/// compare texts without regard to case.
const DIGEST: &str = "digest";
/// The rendered path. A NUL, which a text of PostgreSQL cannot hold, is written as [`NUL`].
const PATH: &str = "path";
/// The JSON text.
const VALUE: &str = "value";
/// The name of the leaf's type on the wire.
const KIND: &str = "kind";
const REVISION: &str = "revision";

/// The base URL of the server.
const SERVER: &str = "server";
const SEQ: &str = "seq";
const LAST_OP_ID: &str = "last_op_id";
const INEXACT_THROUGH: &str = "inexact_through";
/// The mark of an incomplete copy; empty for a complete one.
const UNFINISHED: &str = "unfinished";

/// The text for a NUL in a path. No path contains it, as `~2` is not an escape.
pub(super) const NUL: &str = "~2";

/// The names of the tables of one cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::realtime::cache) struct Tables {
    pub(super) leaves: String,
    pub(super) cursors: String,
}

impl Tables {
    pub(in crate::realtime::cache) fn new(table: &str) -> Tables {
        Tables { leaves: table.to_owned(), cursors: format!("{table}_cursor") }
    }

    fn leaves(&self) -> Alias {
        Alias::new(&self.leaves)
    }

    fn cursors(&self) -> Alias {
        Alias::new(&self.cursors)
    }

    /// The statements that create the tables that do not exist.
    pub(in crate::realtime::cache) fn create(&self, backend: DbBackend) -> [TableCreateStatement; 2] {
        let is_mysql = backend == DbBackend::MySql;
        let text = |name| {
            let mut column = ColumnDef::new(name);
            // MySQL's `text` holds at most 64 kB.
            if is_mysql { column.custom(Alias::new("longtext")) } else { column.text() }.not_null().take()
        };
        let number = |name| ColumnDef::new(name).big_integer().not_null().take();
        let name = |name, length| ColumnDef::new(name).string_len(length).not_null().take();
        let mut leaves = Table::create();
        leaves
            .table(self.leaves())
            .if_not_exists()
            .col(name(STORE, 255))
            .col(ColumnDef::new(DIGEST).var_binary(32).not_null())
            .col(text(PATH))
            .col(text(VALUE))
            .col(name(KIND, 16))
            .col(number(REVISION))
            .primary_key(Index::create().col(STORE).col(DIGEST));
        let mut cursors = Table::create();
        cursors
            .table(self.cursors())
            .if_not_exists()
            .col(name(STORE, 255).primary_key())
            .col(text(SERVER))
            .col(number(SEQ))
            .col(text(LAST_OP_ID))
            .col(number(INEXACT_THROUGH))
            .col(text(UNFINISHED));
        if is_mysql {
            // The default collation compares `acme/main` and `acme/Main` as equal.
            for table in [&mut leaves, &mut cursors] {
                table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
            }
        }
        [leaves, cursors]
    }

    /// The statements that drop the tables that exist.
    #[cfg(feature = "cache-sql-migration")]
    pub(in crate::realtime::cache) fn drop(&self) -> [sea_orm::sea_query::TableDropStatement; 2] {
        [self.leaves(), self.cursors()].map(|table| Table::drop().table(table).if_exists().take())
    }

    /// The columns server, seq, last_op_id, inexact_through and unfinished of a store's cursor. `lock` locks the row in
    /// databases that have row locks.
    pub(super) fn select_cursor(&self, store: &str, lock: bool) -> SelectStatement {
        let mut select = Query::select();
        let columns = [SERVER, SEQ, LAST_OP_ID, INEXACT_THROUGH, UNFINISHED];
        select.columns(columns).from(self.cursors()).and_where(Expr::col(STORE).eq(store));
        if lock {
            select.lock_exclusive();
        }
        select
    }

    /// The digest, path, value, type and revision of the first `count` leaves after a digest.
    pub(super) fn select_leaves(&self, store: &str, after: &[u8], count: u64) -> SelectStatement {
        Query::select()
            .columns([DIGEST, PATH, VALUE, KIND, REVISION])
            .from(self.leaves())
            .and_where(Expr::col(STORE).eq(store))
            .and_where(Expr::col(DIGEST).gt(after))
            .order_by(DIGEST, Order::Asc)
            .limit(count)
            .take()
    }

    pub(super) fn upsert_leaves<'e>(
        &self,
        store: &str,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Result<InsertStatement, error::Error> {
        let mut insert = Query::insert();
        insert.into_table(self.leaves()).columns([STORE, DIGEST, PATH, VALUE, KIND, REVISION]);
        for entry in entries {
            insert.values([
                Expr::val(store),
                Expr::val(digest(entry.path.as_str())),
                Expr::val(entry.path.as_str().replace('\0', NUL)),
                Expr::val(entry.value.as_str()),
                Expr::val(entry.kind.name()),
                Expr::val(entry.revision.cast_signed()),
            ])?;
        }
        insert.on_conflict(OnConflict::columns([STORE, DIGEST]).update_columns([VALUE, KIND, REVISION]).to_owned());
        Ok(insert)
    }

    pub(super) fn delete_leaves(&self, store: &str, digests: Vec<Vec<u8>>) -> DeleteStatement {
        let mut delete = self.delete_all_leaves(store);
        delete.and_where(Expr::col(DIGEST).is_in(digests));
        delete
    }

    /// The digest of the leaf behind the first `count` leaves in the order of the digests.
    pub(super) fn select_digest_behind(&self, store: &str, count: u64) -> SelectStatement {
        Query::select()
            .column(DIGEST)
            .from(self.leaves())
            .and_where(Expr::col(STORE).eq(store))
            .order_by(DIGEST, Order::Asc)
            .limit(1)
            .offset(count)
            .take()
    }

    pub(super) fn delete_leaves_before(&self, store: &str, digest: &[u8]) -> DeleteStatement {
        let mut delete = self.delete_all_leaves(store);
        delete.and_where(Expr::col(DIGEST).lt(digest));
        delete
    }

    pub(super) fn delete_all_leaves(&self, store: &str) -> DeleteStatement {
        Query::delete().from_table(self.leaves()).and_where(Expr::col(STORE).eq(store)).take()
    }

    pub(super) fn delete_cursor(&self, store: &str) -> DeleteStatement {
        Query::delete().from_table(self.cursors()).and_where(Expr::col(STORE).eq(store)).take()
    }

    pub(super) fn upsert_cursor(&self, store: &str, cursor: &Cursor) -> Result<InsertStatement, error::Error> {
        let mut insert = Query::insert();
        // An empty text is stored if there is no id. A text of PostgreSQL cannot hold a NUL.
        let last_op_id = cursor.last_op_id.as_deref().filter(|id| !id.contains('\0')).unwrap_or_default();
        insert
            .into_table(self.cursors())
            .columns([STORE, SERVER, SEQ, LAST_OP_ID, INEXACT_THROUGH, UNFINISHED])
            .values([
                Expr::val(store),
                Expr::val(cursor.server.as_str()),
                Expr::val(cursor.seq.cast_signed()),
                Expr::val(last_op_id),
                Expr::val(cursor.inexact_through.cast_signed()),
                Expr::val(cursor.unfinished.as_deref().unwrap_or_default()),
            ])?;
        insert.on_conflict(
            OnConflict::column(STORE).update_columns([SERVER, SEQ, LAST_OP_ID, INEXACT_THROUGH, UNFINISHED]).to_owned(),
        );
        Ok(insert)
    }
}

/// The key of a path.
pub(super) fn digest(path: &str) -> Vec<u8> {
    use sha2::{Digest, Sha256};

    Sha256::digest(path).to_vec()
}
