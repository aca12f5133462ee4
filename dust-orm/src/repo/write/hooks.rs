//! SeaORM's `ActiveModelBehavior` hooks, run on Dust writes.

use async_trait::async_trait;
use sea_orm::{
    ActiveModelBehavior, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult, Statement,
};

use crate::entity::{DustEntity, normalize_nulls};
use crate::error::DustErr;

/// The connection that hooks are given: there is no SQL database behind a Dust write, and it says so.
#[derive(Clone, Copy, Debug)]
struct NoSql;

fn no_sql<T>(asked: &str) -> Result<T, DbErr> {
    Err(DbErr::BackendNotSupported {
        db: "Dust",
        ctx: match asked {
            "execute" => "a hook of a Dust entity executed SQL",
            _ => "a hook of a Dust entity queried SQL",
        },
    })
}

#[async_trait]
impl ConnectionTrait for NoSql {
    /// The trait knows no "none"; statements built for it are refused below.
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, _statement: Statement) -> Result<ExecResult, DbErr> {
        no_sql("execute")
    }

    async fn execute_unprepared(&self, _sql: &str) -> Result<ExecResult, DbErr> {
        no_sql("execute")
    }

    async fn query_one_raw(&self, _statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        no_sql("query")
    }

    async fn query_all_raw(&self, _statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        no_sql("query")
    }
}

/// Runs the hook, and makes what is then written what a read will answer.
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
