//! Entities with composite keys, in both storage modes, and one that has a shorter key below the same prefix.

/// The owner whose records `before_delete` keeps.
pub const KEPT: &str = "kept";

pub mod entry {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "entries")]
    #[dust(prefix = "entries")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub title: String,
        pub note: Option<String>,
        #[serde(default)]
        pub hits: Counter,
        #[serde(default)]
        pub tags: DustSet<String>,
        pub cover: Option<FileRef>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_delete<C: ConnectionTrait>(self, _: &C) -> Result<Self, DbErr> {
            match self.owner.as_ref() == super::KEPT {
                true => Err(DbErr::Custom(format!("{} of {} is kept", self.name.as_ref(), self.owner.as_ref()))),
                false => Ok(self),
            }
        }
    }

    pub fn entry(owner: &str, name: &str) -> Model {
        Model {
            owner: owner.to_owned(),
            name: name.to_owned(),
            title: format!("{name} of {owner}"),
            note: Some("a note".to_owned()),
            hits: Counter::default(),
            tags: DustSet::default(),
            cover: None,
        }
    }
}

pub mod vote {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "votes")]
    #[dust(prefix("app", "votes"), mode = "map")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub poll: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub round: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub voter: String,
        pub choice: String,
        pub weight: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    pub fn vote(poll: u128, round: i64, voter: &str) -> Model {
        Model { poll: Uuid::from_u128(poll), round, voter: voter.to_owned(), choice: "yes".to_owned(), weight: 1 }
    }
}

/// A key of one part below the prefix of `entry`.
pub mod owner {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "owners")]
    #[dust(prefix = "entries")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: String,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
