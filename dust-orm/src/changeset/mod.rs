//! Changesets: what a caller wants to change in a record, cast from untrusted input and validated before it is written.
//!
//! | file | what |
//! |---|---|
//! | `cast`, `params` | from parameters to typed changes |
//! | `read`, `spelling`, `faithful` | from a value to a field: leniently, and without loss |
//! | `change` | changes made by the application itself |
//! | `look` | what has changed, and to what |
//! | `finish` | `prepare_changes`, `merge`, `apply`, and the key that stays |
//! | `validate/` | the rules |
//!
//! An entity that lives in SQL only derives `DeriveChangeset` and has them too:
//!
//! ```
//! use dust_orm::entity::prelude::*;
//! use serde_json::json;
//!
//! #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
//! #[sea_orm(table_name = "accounts")]
//! pub struct Model {
//!     #[sea_orm(primary_key)]
//!     pub id: i32,
//!     pub email: String,
//!     pub password: String,
//!     pub age: Option<i16>,
//! }
//! #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//! pub enum Relation {}
//! impl ActiveModelBehavior for ActiveModel {}
//!
//! fn registration(params: serde_json::Value) -> Changeset<ActiveModel> {
//!     Changeset::cast(ActiveModel::new(), params, [Column::Email, Column::Password, Column::Age])
//!         .validate_required(Entity::required_columns())
//!         .validate_email(Column::Email)
//!         .validate_confirmation(Column::Password)
//!         .validate_acceptance("terms")
//!         .validate_number(Column::Age, 18..)
//!         .message("is for adults")
//! }
//!
//! // As a form sends it.
//! let form = json!({"email": "a@example.com", "password": "s3cret", "password_confirmation": "s3cret", "age": "17"});
//! let refused = registration(form).apply().unwrap_err();
//! assert_eq!(json!(refused), json!({"terms": ["must be accepted"], "age": ["is for adults"]}));
//!
//! let params = json!({"email": "a@example.com", "password": "s3cret", "terms": true});
//! let account = registration(params).apply().unwrap();
//! assert_eq!(account.email, Set("a@example.com".into())); // account.insert(&db).await?
//! ```

mod accessors;
mod apply;
mod cast;
mod coerce;
mod decimal;
mod faithful;
mod params;
mod put;
mod spelling;
mod validate;
mod value;

#[cfg(all(test, feature = "macros"))]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sea_orm::{ActiveModelTrait, EntityTrait};
use serde_json::{Map, Value};

pub use apply::Action;
pub use regex::Regex;
pub use validate::{Amount, Length, Number};

use crate::entity::{FieldState, Fields};
use crate::error::{Errors, FieldError, Param};

/// The column type of an `ActiveModel`'s entity.
pub type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// The field under which an error is kept that belongs to no field: parameters that are not an object, or changesets
/// that cannot be merged.
pub const BASE: &str = "base";

/// Changes to an `ActiveModel`: cast, validated, and ready to be written or to be refused with errors by field.
///
/// Named and shaped after `Ecto.Changeset`. A changeset holds the model as it was ([`data`](Changeset::data)), the
/// fields that differ, and the [`errors`](Changeset::errors) found so far. Every method takes the changeset and gives it
/// back, so that a changeset function is one chain; nothing in it panics on input.
///
/// ```
/// use dust_orm::Changeset;
/// use dust_orm::sea_orm::{IntoActiveModel, Set, Unchanged};
/// use dust_orm::tests_cfg::link::{ActiveModel, Column, Model};
/// use serde_json::{Value, json};
///
/// fn create(params: Value) -> Changeset<ActiveModel> {
///     checked(Changeset::cast(ActiveModel::default(), params, [Column::Slug, Column::Title, Column::Url, Column::Note]))
///         .validate_slug()
/// }
///
/// fn edit(link: Model, params: Value) -> Changeset<ActiveModel> {
///     checked(Changeset::cast(link.into_active_model(), params, [Column::Title, Column::Url, Column::Note]))
/// }
///
/// fn checked(link: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
///     link.validate_required([Column::Slug, Column::Title])
///         .validate_length(Column::Title, 1..=200)
///         .validate_url(Column::Url)
/// }
///
/// let new = create(json!({"slug": "Dust", "url": "dust", "admin": true}));
/// assert!(!new.is_valid());
/// assert_eq!(new.errors().get("title")[0].message(), "can't be blank");
/// assert_eq!(new.errors().get("url")[0].message(), "has invalid format");
/// assert_eq!(new.errors().get("slug")[0].code(), "slug"); // upper case
///
/// let link = Model { slug: "dust".into(), title: "Dust".into(), url: "https://dustlayer.io".into(), note: None };
/// let edit = edit(link, json!({"title": "Dust", "note": "read me"}));
/// assert_eq!(Value::Object(edit.changes()), json!({"note": "read me"}));
/// let link = edit.apply().unwrap();
/// assert_eq!((link.note, link.title), (Set(Some("read me".into())), Unchanged("Dust".into())));
/// ```
///
/// A changeset knows the key of its data. An update or a delete by it never reaches another record: a key that was changed
/// is the error `cannot be changed` on its field. Permit the key when a record is created, and not when it is edited.
///
/// Rules look at fields that have **changed**, and to something other than `null`; a field that is `NotSet` is untouched
/// by all but [`validate_required`](Changeset::validate_required). It works for every entity whose `ActiveModel` has
/// [`Fields`], in Dust or in SQL only.
///
/// Where the types of Rust and Elixir differ, so do changesets:
/// - A column that cannot be `null` cannot hold the emptiness that Ecto would put there. Casting `null` or a blank text
///   to it is remembered, reported by `validate_required`, and refused by [`apply`](Changeset::apply) in any case.
/// - A `NotSet` field is unknown rather than `null`: casting `null` to it is a change.
/// - Where Ecto raises because a rule does not fit a type (the format of a number), the field gets the rule's error.
#[must_use = "a changeset does nothing until it is applied or given to a repo"]
pub struct Changeset<A: Fields> {
    /// The model as it was.
    data: A,
    /// The changed fields, as `Set`; all others are `NotSet`.
    changes: A,
    /// The fields that were emptied although their type cannot say so.
    emptied: Vec<usize>,
    params: Option<Map<String, Value>>,
    errors: Errors,
    /// The errors of the last call, for `message` and `param`.
    fresh: Vec<(Cow<'static, str>, usize)>,
    prepare: Vec<Prepare<A>>,
}

type Prepare<A> = Arc<dyn Fn(Changeset<A>) -> Changeset<A> + Send + Sync>;

/// What a changeset can be made from: an `ActiveModel` with [`Fields`], or a changeset, to which more is then added.
#[diagnostic::on_unimplemented(
    message = "a changeset cannot be made from `{Self}`",
    label = "neither an `ActiveModel` with a derive of dust-orm nor a `Changeset`",
    note = "of a `Model`, `.into_active_model()` is the `ActiveModel`; for a new record there is `ActiveModel::new()`",
    note = "its `Model` derives `DeriveDustEntity`, or `DeriveChangeset` where the entity lives in SQL only, beside \
            `DeriveEntityModel`"
)]
pub trait IntoChangeset {
    /// The model that is changed.
    type ActiveModel: Fields;

    /// The changeset.
    fn into_changeset(self) -> Changeset<Self::ActiveModel>;
}

#[diagnostic::do_not_recommend]
impl<A: Fields> IntoChangeset for A {
    type ActiveModel = A;

    fn into_changeset(self) -> Changeset<A> {
        Changeset {
            data: self,
            changes: value::untouched(),
            emptied: Vec::new(),
            params: None,
            errors: Errors::default(),
            fresh: Vec::new(),
            prepare: Vec::new(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<A: Fields> IntoChangeset for Changeset<A> {
    type ActiveModel = A;

    fn into_changeset(self) -> Changeset<A> {
        self
    }
}

impl<A: Fields> Changeset<A> {
    /// Adds an error to a field: a message, or a [`FieldError`] with code and parameters.
    pub fn add_error(mut self, column: ColumnOf<A>, error: impl Into<FieldError>) -> Self {
        self.fresh.clear();
        self.fail(name::<A>(A::position(column)), error.into());
        self
    }

    /// Replaces the message of the errors that the call just before has added; without any, it does nothing.
    ///
    /// The message may name the error's parameters: `"needs %{count} letters or more"`. On the result of
    /// [`cast`](Changeset::cast) it words all errors of casting.
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        self.change_fresh(|error| error.set_template(message.clone()));
        self
    }

    /// Adds a parameter to the errors that the call just before has added, for its [`message`](Changeset::message).
    pub fn param(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Param>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.change_fresh(|error| {
            error.param(name.clone(), value.clone());
        });
        self
    }

    fn change_fresh(&mut self, change: impl Fn(&mut FieldError)) {
        for (field, index) in &self.fresh {
            if let Some(error) = self.errors.get_mut(field).get_mut(*index) {
                change(error);
            }
        }
    }

    /// Keeps an error and remembers it as one of the current call.
    fn fail(&mut self, field: impl Into<Cow<'static, str>>, error: FieldError) {
        let field = field.into();
        self.fresh.push((field.clone(), self.errors.get(&field).len()));
        self.errors.push(field, error);
    }

    fn is_changed(&self, position: usize) -> bool {
        self.changes.state(position) == FieldState::Set
    }

    fn is_emptied(&self, position: usize) -> bool {
        self.emptied.contains(&position)
    }

    /// Takes a change back.
    fn forget(&mut self, position: usize) {
        self.changes.set_state(position, FieldState::NotSet);
        self.emptied.retain(|emptied| *emptied != position);
    }

    /// The model that holds the field's value: the changes, or else the data.
    fn holder(&self, position: usize) -> Option<&A> {
        if self.is_emptied(position) {
            return None;
        }
        let holder = if self.is_changed(position) { &self.changes } else { &self.data };
        (holder.state(position) != FieldState::NotSet).then_some(holder)
    }
}

/// The name of the field at a position.
fn name<A: Fields>(position: usize) -> &'static str {
    A::FIELDS.get(position).map_or(BASE, |field| field.name)
}

impl<A: Fields> Clone for Changeset<A> {
    fn clone(&self) -> Changeset<A> {
        Changeset {
            data: self.data.clone(),
            changes: self.changes.clone(),
            emptied: self.emptied.clone(),
            params: self.params.clone(),
            errors: self.errors.clone(),
            fresh: self.fresh.clone(),
            prepare: self.prepare.clone(),
        }
    }
}

impl<A: Fields> fmt::Debug for Changeset<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changeset")
            .field("valid", &self.is_valid())
            .field("changes", &self.changes())
            .field("errors", &self.errors)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
