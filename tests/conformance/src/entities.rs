//! The entities of the tests: the toy entities of the library, under shorter names, and odd ones.

pub mod aliased;
pub mod cased;
pub mod composite;
pub mod docs;
pub mod guarded;
pub mod hooked;
pub mod keys;
pub mod library;
pub mod lossy;
pub mod page;
pub mod renamed;
pub mod reserved;
pub mod sample;
pub mod shelves;

pub use dust_orm::entity::prelude::*;
pub use dust_orm::tests_cfg::{link, setting};

/// A link with every field set.
pub fn link(slug: &str) -> link::Model {
    link::Model {
        slug: slug.to_owned(),
        title: format!("Title of {slug}"),
        url: format!("https://example.com/{slug}"),
        note: Some("a note".to_owned()),
    }
}

/// The same, to be written.
pub fn new_link(slug: &str) -> link::ActiveModel {
    link(slug).into_active_model().reset_all()
}

/// A link as it was read, with another title.
pub fn retitled(slug: &str, title: &str) -> link::ActiveModel {
    link::ActiveModel { title: Set(title.to_owned()), ..link(slug).into_active_model() }
}

/// A setting with every field set.
pub fn setting(name: &str) -> setting::Model {
    setting::Model {
        name: name.to_owned(),
        enabled: true,
        options: serde_json::json!({"colour": "blue", "sizes": [1, 2]}),
        owner: Some("ops".to_owned()),
    }
}

/// The same, to be written.
pub fn new_setting(name: &str) -> setting::ActiveModel {
    setting(name).into_active_model().reset_all()
}

/// A setting as it was read, with another owner.
pub fn owned_by(name: &str, owner: &str) -> setting::ActiveModel {
    setting::ActiveModel { owner: Set(Some(owner.to_owned())), ..setting(name).into_active_model() }
}
