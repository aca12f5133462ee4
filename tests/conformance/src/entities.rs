//! The entities of the tests: the toy entities of the library, under shorter names.

pub(crate) use dust_orm::entity::prelude::*;
pub(crate) use dust_orm::tests_cfg::{link, setting};

/// A link with every field set.
pub(crate) fn link(slug: &str) -> link::Model {
    link::Model {
        slug: slug.to_owned(),
        title: format!("Title of {slug}"),
        url: format!("https://example.com/{slug}"),
        note: Some("a note".to_owned()),
    }
}

/// The same, to be written.
pub(crate) fn new_link(slug: &str) -> link::ActiveModel {
    link(slug).into_active_model().reset_all()
}

/// A setting with every field set.
pub(crate) fn setting(name: &str) -> setting::Model {
    setting::Model {
        name: name.to_owned(),
        enabled: true,
        options: serde_json::json!({"colour": "blue", "sizes": [1, 2]}),
        owner: Some("ops".to_owned()),
    }
}

/// The same, to be written.
pub(crate) fn new_setting(name: &str) -> setting::ActiveModel {
    setting(name).into_active_model().reset_all()
}
