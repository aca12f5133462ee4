//! An entity with hooks. The title selects their behaviour; their calls are recorded per thread, which is the test's.

use std::cell::RefCell;

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "hooked")]
#[dust(prefix = "hooked")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// `before_save` fails.
pub const REFUSED: &str = "refused";
/// `before_save` queries SQL.
pub const QUERIES: &str = "queries SQL";
/// `before_save` executes SQL.
pub const EXECUTES: &str = "executes SQL";
/// `after_save` fails.
pub const REGRETTED: &str = "regretted";
/// `after_save` returns another title.
pub const QUIET: &str = "quiet";
/// The key that `before_delete` keeps from being deleted.
pub const KEPT: &str = "kept";

thread_local! {
    static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Returns the calls since the last time.
pub fn take_calls() -> Vec<String> {
    CALLS.take()
}

fn record(call: String) {
    CALLS.with_borrow_mut(|calls| calls.push(call));
}

pub fn hooked(slug: &str, title: &str) -> ActiveModel {
    ActiveModel { slug: Set(slug.to_owned()), title: Set(title.to_owned()), note: Set(None) }
}

#[async_trait::async_trait]
impl ActiveModelBehavior for ActiveModel {
    async fn before_save<C: ConnectionTrait>(mut self, db: &C, insert: bool) -> Result<Self, DbErr> {
        record(format!("before_save {} {insert}", self.slug.as_ref()));
        let Some(title) = self.title.try_as_ref().cloned() else { return Ok(self) };
        match title.as_str() {
            REFUSED => return Err(DbErr::Custom("refused by a hook".to_owned())),
            QUERIES => {
                Entity::find().one(db).await?;
            }
            EXECUTES => {
                db.execute_unprepared("DELETE FROM hooked").await?;
            }
            _ => {}
        }
        if title.trim() != title {
            self.title = Set(title.trim().to_owned());
        }
        Ok(self)
    }

    async fn after_save<C: ConnectionTrait>(mut model: Model, _db: &C, insert: bool) -> Result<Model, DbErr> {
        record(format!("after_save {} {insert}", model.slug));
        match model.title.as_str() {
            REGRETTED => return Err(DbErr::Custom("regretted by a hook".to_owned())),
            QUIET => model.title = "QUIET".to_owned(),
            _ => {}
        }
        Ok(model)
    }

    async fn before_delete<C: ConnectionTrait>(self, _db: &C) -> Result<Self, DbErr> {
        record(format!("before_delete {}", self.slug.as_ref()));
        if self.slug.as_ref() == KEPT {
            return Err(DbErr::Custom("kept by a hook".to_owned()));
        }
        Ok(self)
    }

    async fn after_delete<C: ConnectionTrait>(self, _db: &C) -> Result<Self, DbErr> {
        record(format!("after_delete {}", self.slug.as_ref()));
        Ok(self)
    }
}
