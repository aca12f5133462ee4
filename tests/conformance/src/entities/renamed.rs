//! Serde's attributes: other names, other forms, values for what is absent.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "renamed")]
#[dust(prefix = "renamed")]
#[serde(rename_all = "camelCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub short_title: String,
    #[serde(rename = "by/whom ~")]
    pub author: String,
    #[serde(with = "hex")]
    pub cover: Vec<u8>,
    #[serde(default)]
    pub pages: i32,
    #[serde(default = "five")]
    pub copies: Option<i32>,
    #[serde(skip)]
    pub cache: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn five() -> Option<i32> {
    Some(5)
}

pub fn renamed(slug: &str) -> Model {
    Model {
        slug: slug.to_owned(),
        short_title: "Short".to_owned(),
        author: "Ann".to_owned(),
        cover: vec![0, 0xab, 0xff],
        pages: 12,
        copies: Some(1),
        cache: String::new(),
    }
}

mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        (0..text.len()).step_by(2).map(|at| byte(at).ok_or_else(|| D::Error::custom("not hexadecimal"))).collect()
    }
}
