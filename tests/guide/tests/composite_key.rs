//! One entity with a composite key, in SQL and in Dust.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "an entity is written as in an application")]

use dust_orm::DustRepo;
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, EntityTrait, IntoActiveModel, Schema, Set};

mod visit {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity)]
    #[sea_orm(table_name = "visits")]
    #[dust(prefix = "visits")]
    pub struct Model {
        pub count: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub page: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn visit(page: &str, day: i64) -> visit::ActiveModel {
    visit::Model { page: page.to_owned(), day, count: 1 }.into_active_model().reset_all()
}

#[tokio::test]
async fn composite_key_is_the_same_in_sql_and_dust() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    let table = Schema::new(db.get_database_backend()).create_table_from_entity(visit::Entity);
    db.execute(&table).await.unwrap();
    let repo = DustRepo::embedded();
    for (page, day) in [("about", 1), ("home", 1), ("home", 2)] {
        let in_dust = repo.insert(visit(page, day)).await.unwrap();
        assert_eq!(visit(page, day).insert(&db).await.unwrap(), in_dust);
    }
    let key = ("home".to_owned(), 2);
    assert_eq!(
        visit::Entity::find_by_id(key.clone()).one(&db).await.unwrap(),
        repo.find_by_id::<visit::Entity>(key.clone()).await.unwrap()
    );
    let error = visit("home", 2).insert(&db).await.unwrap_err().to_string();
    assert!(error.contains("UNIQUE"), "the parts together are the primary key: {error}");

    let mut edit = repo.get::<visit::Entity>(key.clone()).await.unwrap().into_active_model();
    edit.count = Set(5);
    assert_eq!(edit.clone().update(&db).await.unwrap(), repo.update(edit).await.unwrap());
    assert_eq!(visit::Entity::delete_by_id(key.clone()).exec(&db).await.unwrap().rows_affected, 1);
    repo.delete_by_id::<visit::Entity>(key).await.unwrap();
    let mut in_sql = visit::Entity::find().all(&db).await.unwrap();
    in_sql.sort_by(|one, other| (&one.page, one.day).cmp(&(&other.page, other.day)));
    assert_eq!(in_sql, repo.all::<visit::Entity>().await.unwrap());
    assert_eq!(in_sql.len(), 2);
}
