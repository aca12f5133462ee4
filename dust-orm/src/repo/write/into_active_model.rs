//! Conversion of the input of write verbs.

use std::any::TypeId;

use sea_orm::{ActiveModelTrait, EntityTrait};

use crate::changeset::{Action, Changeset};
use crate::entity::{DustEntity, Fields};
use crate::error::DustErr;

/// An input of `insert`, `update`, `merge` and `delete`: an `ActiveModel`, SeaORM's builder (`ActiveModel::builder()`),
/// or a `Changeset`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that `insert`, `update`, `merge` and `delete` take",
    label = "neither an `ActiveModel` nor a `Changeset` of an entity that lives in Dust",
    note = "of a `Model`, `.into_active_model()` is the `ActiveModel`; `repo.put(model)` writes it whole",
    note = "of a form or other parameters, `Changeset::cast(ActiveModel::new(), params, [Column::Title])` makes a \
            `Changeset`",
    note = "an entity lives in Dust if its `Model` derives `DeriveDustEntity` beside `DeriveEntityModel`"
)]
pub trait IntoDustActiveModel: Send {
    /// The entity of the record.
    type Entity: DustEntity;

    /// Converts the input into the ActiveModel to write. A changeset is validated for `action`.
    ///
    /// # Errors
    /// [`Invalid`](DustErr::Invalid) if a changeset has errors, or would update or delete another record than the one
    /// it was made from; [`InvalidParams`](DustErr::InvalidParams) if a builder holds related models.
    #[doc(hidden)]
    fn into_dust_active_model(self, action: Action) -> Result<<Self::Entity as EntityTrait>::ActiveModel, DustErr>;
}

#[diagnostic::do_not_recommend]
impl<A> IntoDustActiveModel for A
where
    A: ActiveModelTrait + Into<<A::Entity as EntityTrait>::ActiveModel> + Send + 'static,
    A::Entity: DustEntity,
{
    type Entity = A::Entity;

    fn into_dust_active_model(self, _: Action) -> Result<<A::Entity as EntityTrait>::ActiveModel, DustErr> {
        // The ActiveModel itself has nothing but columns.
        if TypeId::of::<A>() == TypeId::of::<<A::Entity as EntityTrait>::ActiveModel>() {
            return Ok(self.into());
        }
        // A model that is changed without its columns has related models. SeaORM would write them in the same
        // transaction; the conversion below would drop them.
        let mut without_columns = self.clone();
        for field in <A::Entity as EntityTrait>::ActiveModel::FIELDS {
            without_columns.not_set(field.column);
        }
        if without_columns.is_changed() {
            return Err(DustErr::invalid_params(
                "the builder holds related models, and a Dust record has no relations: write each model separately",
            ));
        }
        Ok(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl<A> IntoDustActiveModel for Changeset<A>
where
    A: Fields + Into<<A::Entity as EntityTrait>::ActiveModel> + Send,
    A::Entity: DustEntity,
{
    type Entity = A::Entity;

    fn into_dust_active_model(self, action: Action) -> Result<<A::Entity as EntityTrait>::ActiveModel, DustErr> {
        Ok(self.prepare().apply_action(action)?.into())
    }
}
