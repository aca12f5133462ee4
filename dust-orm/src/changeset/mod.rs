//! Changesets: changes to a record, cast from untrusted input and validated before they are written.
//!
//! | file | content |
//! |---|---|
//! | `cast`, `params` | the conversion of parameters to typed changes |
//! | `coerce`, `spelling`, `faithful` | the conversion of a value to a field: lenient, and without loss |
//! | `put` | changes made by the application itself |
//! | `accessors` | the changes, the errors and the values of fields |
//! | `apply` | `prepare_changes`, `merge`, `apply`, and the check that the key stays the same |
//! | `validate/` | the rules |
//!
//! An entity that is stored only in SQL has changesets with `DeriveChangeset`:
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

/// The field name of errors that belong to no field: of parameters that are not an object, and of changesets that
/// cannot be merged.
pub const BASE: &str = "base";

/// Changes to an `ActiveModel`: cast, validated, and ready to be written or to be refused with errors by field.
///
/// Its names and behaviour follow `Ecto.Changeset`. A changeset holds the original model ([`data`](Changeset::data)),
/// the fields that differ, and the [`errors`](Changeset::errors) found so far. Its methods consume and return the
/// changeset, so that they can be chained. No input makes them panic.
///
/// ```
/// use dust_orm::Changeset;
/// use dust_orm::sea_orm::{IntoActiveModel, Set, Unchanged};
/// use dust_orm::tests_cfg::link::{ActiveModel, Column, Model};
/// use serde_json::{Value, json};
///
/// fn create(params: Value) -> Changeset<ActiveModel> {
///     let permitted = [Column::Slug, Column::Title, Column::Url, Column::Note];
///     checked(Changeset::cast(ActiveModel::default(), params, permitted)).validate_slug()
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
/// An update or a delete with a changeset never changes another record than that of its data: a changed key is the
/// error `cannot be changed` on its field. Permit the key when a record is created, and not when it is edited.
///
/// Rules check only fields that have **changed** to a value other than `null`; only
/// [`validate_required`](Changeset::validate_required) also checks the others. Changesets work for every entity whose
/// `ActiveModel` implements [`Fields`], in Dust or only in SQL.
///
/// They differ from Ecto's because the types of Rust and Elixir differ:
/// - A column that cannot be `null` cannot hold the `nil` that Ecto would put there. A changeset records that `null` or
///   a blank text was cast to it; `validate_required` reports that, and [`apply`](Changeset::apply) refuses it in any
///   case.
/// - A `NotSet` field is unknown rather than `null`: casting `null` to it is a change.
/// - If a rule does not apply to a type (a format to a number), the field gets the rule's error; Ecto raises.
#[must_use = "a changeset does nothing until it is applied or passed to a repo"]
pub struct Changeset<A: Fields> {
    /// The original model.
    data: A,
    /// The changed fields, as `Set`; all others are `NotSet`.
    changes: A,
    /// The fields that were emptied although their type has no empty value.
    emptied: Vec<usize>,
    params: Option<Map<String, Value>>,
    errors: Errors,
    /// The errors that the last call added, by field and index, for `message` and `param`.
    fresh: Vec<(Cow<'static, str>, usize)>,
    prepare: Vec<Prepare<A>>,
}

type Prepare<A> = Arc<dyn Fn(Changeset<A>) -> Changeset<A> + Send + Sync>;

/// A conversion into a changeset: of an `ActiveModel` with [`Fields`], or of a changeset, which stays as it is.
#[diagnostic::on_unimplemented(
    message = "a changeset cannot be made from `{Self}`",
    label = "neither an `ActiveModel` with a derive of dust-orm nor a `Changeset`",
    note = "of a `Model`, `.into_active_model()` is the `ActiveModel`; for a new record there is `ActiveModel::new()`",
    note = "its `Model` derives `DeriveDustEntity`, or `DeriveChangeset` where the entity lives in SQL only, beside \
            `DeriveEntityModel`"
)]
pub trait IntoChangeset {
    /// The type of the model that is changed.
    type ActiveModel: Fields;

    /// Converts into the changeset.
    #[doc(hidden)]
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

    /// Replaces the message of the errors that the previous call added. Does nothing if it added none.
    ///
    /// The message can contain the error's parameters: `"needs %{count} letters or more"`. After
    /// [`cast`](Changeset::cast) it replaces the message of all its errors.
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        self.change_fresh(|error| error.set_template(message.clone()));
        self
    }

    /// Adds a parameter to the errors that the previous call added, for use in their [`message`](Changeset::message).
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

    /// Adds an error, and records that the current call added it.
    fn fail(&mut self, field: impl Into<Cow<'static, str>>, error: FieldError) {
        let field = field.into();
        self.fresh.push((field.clone(), self.errors.get(&field).len()));
        self.errors.add(field, error);
    }

    fn is_changed(&self, position: usize) -> bool {
        self.changes.state(position) == FieldState::Set
    }

    fn is_emptied(&self, position: usize) -> bool {
        self.emptied.contains(&position)
    }

    /// Removes a change.
    fn forget(&mut self, position: usize) {
        self.changes.set_state(position, FieldState::NotSet);
        self.emptied.retain(|emptied| *emptied != position);
    }

    /// The model that holds the field's value: the changes if the field has changed, otherwise the data. `None` if the
    /// field has no value.
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
