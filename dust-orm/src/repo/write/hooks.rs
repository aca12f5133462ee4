//! SeaORM's `ActiveModelBehavior` hooks, run on Dust writes.

use async_trait::async_trait;
use sea_orm::{
    ActiveModelBehavior, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult, Statement,
};

use crate::entity::{DustEntity, normalize_nulls};
use crate::error::DustErr;

/// The connection that hooks receive. A Dust write has no SQL database: every statement is an error.
#[derive(Clone, Copy, Debug)]
struct NoSql;

const EXECUTED: DbErr = DbErr::BackendNotSupported { db: "Dust", ctx: "a hook of a Dust entity executed SQL" };
const QUERIED: DbErr = DbErr::BackendNotSupported { db: "Dust", ctx: "a hook of a Dust entity queried SQL" };

#[async_trait]
impl ConnectionTrait for NoSql {
    /// Returns any backend, because the trait has no value for none. Statements are refused below.
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, _statement: Statement) -> Result<ExecResult, DbErr> {
        Err(EXECUTED)
    }

    async fn execute_unprepared(&self, _sql: &str) -> Result<ExecResult, DbErr> {
        Err(EXECUTED)
    }

    async fn query_one_raw(&self, _statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Err(QUERIED)
    }

    async fn query_all_raw(&self, _statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Err(QUERIED)
    }
}

/// Runs the hook, then replaces each value that is written as `null` by the value that `null` is read as.
pub(in crate::repo) async fn before_save<E: DustEntity>(
    active: E::ActiveModel,
    insert: bool,
) -> Result<E::ActiveModel, DustErr> {
    let mut active = active.before_save(&NoSql, insert).await?;
    normalize_nulls(&mut active);
    Ok(active)
}

pub(in crate::repo) async fn after_save<E: DustEntity>(model: E::Model, insert: bool) -> Result<E::Model, DustErr> {
    Ok(<E as EntityTrait>::ActiveModel::after_save(model, &NoSql, insert).await?)
}

pub(in crate::repo) async fn before_delete<E: DustEntity>(active: E::ActiveModel) -> Result<E::ActiveModel, DustErr> {
    Ok(active.before_delete(&NoSql).await?)
}

pub(in crate::repo) async fn after_delete<E: DustEntity>(active: E::ActiveModel) -> Result<E::ActiveModel, DustErr> {
    Ok(active.after_delete(&NoSql).await?)
}
