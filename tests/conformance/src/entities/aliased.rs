//! Entities whose fields had other names when the first records were written.

pub mod flat {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "aliased")]
    #[dust(prefix = "aliased", required(note))]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        #[serde(alias = "id")]
        pub slug: String,
        #[serde(alias = "headline", alias = "head/line")]
        pub title: String,
        #[serde(alias = "details")]
        pub meta: Json,
        #[serde(alias = "remark")]
        pub note: Option<String>,
        #[serde(default, alias = "views")]
        pub hits: Counter,
        #[serde(default, alias = "labels")]
        pub tags: DustSet<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod map {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "aliased")]
    #[dust(prefix = "aliased", mode = "map")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        #[serde(alias = "headline")]
        pub title: String,
        #[serde(alias = "remark")]
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Without objects, so that records are read by the exact paths of their leaves.
pub mod plain {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "aliased_plain")]
    #[dust(prefix = "plain")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        #[serde(alias = "headline")]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
