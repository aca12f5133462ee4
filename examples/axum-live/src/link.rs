//! A link, and its rules.

use std::sync::LazyLock;

use dust_orm::changeset::Regex;
use dust_orm::entity::prelude::*;
use dust_orm::{Errors, FieldError};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix("axum-live", "links"))]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
    pub url: String,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {
    /// A new link without a note: an insert writes `null`, and does not read first.
    fn new() -> ActiveModel {
        ActiveModel { note: Set(None), ..<ActiveModel as ActiveModelTrait>::default() }
    }
}

#[expect(clippy::unwrap_used, reason = "the expressions are constant, and every test uses them")]
fn regex(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static NAME: LazyLock<Regex> = LazyLock::new(|| regex("^[a-z0-9]+(-[a-z0-9]+)*$"));
static WEB: LazyLock<Regex> = LazyLock::new(|| regex(r"^https?://[^\s/?#]+\S*$"));

/// A new link.
pub fn create(params: &Value) -> Changeset<ActiveModel> {
    checked(ActiveModel::new(), params, &[Column::Slug, Column::Title, Column::Url, Column::Note])
        .validate_required([Column::Slug])
        .validate_length(Column::Slug, ..=40)
        .validate_format(Column::Slug, &NAME)
        .message("may have a-z, 0-9 and single dashes only")
}

/// A change of a link. Its name is its key, which cannot change.
pub fn edit(link: Model, params: &Value) -> Changeset<ActiveModel> {
    checked(link.into_active_model(), params, &[Column::Title, Column::Url, Column::Note])
}

fn checked(link: ActiveModel, params: &Value, permitted: &[Column]) -> Changeset<ActiveModel> {
    Changeset::cast(link, params, permitted.iter().copied())
        .validate_required([Column::Title, Column::Url])
        .validate_length(Column::Title, ..=80)
        .validate_length(Column::Note, ..=200)
        .validate_url(Column::Url)
        .message("must be an address such as https://example.com")
}

/// True if an address is safe to follow: `http` or `https` with a host.
pub fn is_web(url: &str) -> bool {
    WEB.is_match(url)
}

/// The error for a name that another link has.
pub fn taken() -> Errors {
    let mut errors = Errors::default();
    errors.add("slug", FieldError::new("has already been taken", "unique"));
    errors
}
