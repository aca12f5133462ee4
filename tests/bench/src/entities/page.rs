//! A page: flat mode, a key and four fields.

use dust_orm::entity::prelude::*;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "pages")]
#[dust(prefix = "pages")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(default)]
    pub slug: String,
    /// The title.
    pub title: String,
    /// The URL.
    pub url: String,
    /// A text about it.
    pub note: Option<String>,
    /// Number of views.
    pub visits: i64,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Number of leaves of a page.
pub const LEAVES: usize = 4;

/// A page for a number.
pub fn page(number: usize) -> Model {
    Model {
        slug: format!("page-{number:06}"),
        title: format!("The title of page {number}"),
        url: format!("https://example.com/pages/{number}"),
        note: Some("a note of ordinary length".to_owned()),
        visits: number as i64,
    }
}

/// All of its fields, to be written.
pub fn draft(number: usize) -> ActiveModel {
    page(number).into_active_model().reset_all()
}

/// Pages as the seed of an emulator.
pub fn seed(numbers: std::ops::Range<usize>) -> String {
    let records: serde_json::Map<_, _> = numbers
        .map(page)
        .map(|page| {
            let Model { slug, title, url, note, visits } = page;
            let fields = serde_json::json!({"title": title, "url": url, "note": note, "visits": visits});
            (format!("pages/{slug}"), fields)
        })
        .collect();
    serde_json::Value::from(records).to_string()
}
