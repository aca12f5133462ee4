//! What the write verbs accept.

use std::any::TypeId;

use sea_orm::{ActiveModelTrait, EntityTrait};

use crate::changeset::{Action, Changeset};
use crate::entity::{DustEntity, Fields};
use crate::error::DustErr;

/// What `insert`, `update` and `delete` take: an `ActiveModel`, SeaORM's builder (`ActiveModel::builder()`), or a
/// `Changeset` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that `insert`, `update`, `merge` and `delete` take",
    label = "neither an `ActiveModel` nor a `Changeset` of an entity that lives in Dust",
    note = "of a `Model`, `.into_active_model()` is the `ActiveModel`; `repo.put(model)` writes it whole",
    note = "of a form or other parameters, `Changeset::cast(ActiveModel::new(), params, [Column::Title])` makes a \
            `Changeset`",
    note = "an entity lives in Dust if its `Model` derives `DeriveDustEntity` beside `DeriveEntityModel`"
)]
pub trait IntoDustActiveModel: Send {
    /// The entity it belongs to.
    type Entity: DustEntity;

    /// The ActiveModel to write, or why there is none: an invalid changeset, one that would update or delete another record
    /// than the one it was made from, or children nested in a builder.
    fn into_active(self, action: Action) -> Result<<Self::Entity as EntityTrait>::ActiveModel, DustErr>;
}

#[diagnostic::do_not_recommend]
impl<A> IntoDustActiveModel for A
where
    A: ActiveModelTrait + Into<<A::Entity as EntityTrait>::ActiveModel> + Send + 'static,
    A::Entity: DustEntity,
{
    type Entity = A::Entity;

    fn into_active(self, _: Action) -> Result<<A::Entity as EntityTrait>::ActiveModel, DustErr> {
        // The ActiveModel itself has nothing but columns.
        if TypeId::of::<A>() == TypeId::of::<<A::Entity as EntityTrait>::ActiveModel>() {
            return Ok(self.into());
        }
        // What is still changed when every column is taken away are related models, which SeaORM would write in the same
        // transaction and the conversion below would drop.
        let mut without_columns = self.clone();
        for field in <A::Entity as EntityTrait>::ActiveModel::FIELDS {
            without_columns.not_set(field.column);
        }
        if without_columns.is_changed() {
            return Err(DustErr::invalid_params(
                "the builder holds related models, and a Dust record has no relations: write each on its own",
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

    fn into_active(self, action: Action) -> Result<<A::Entity as EntityTrait>::ActiveModel, DustErr> {
        Ok(self.prepare().apply_action(action)?.into())
    }
}
