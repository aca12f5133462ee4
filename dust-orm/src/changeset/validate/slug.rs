use sea_orm::ActiveModelTrait;

use crate::changeset::{Changeset, name};
use crate::entity::{DustEntity, Fields, KeyFault};
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that the primary key can name a record in Dust: it is not empty (`cannot be empty`), has no NUL
    /// characters, is neither of the two texts that no pattern can name (`\*` and `\**`), and has no ASCII upper-case
    /// letters, unless the entity has `#[dust(key_case = "any")]`.
    ///
    /// A key that is `NotSet` gets no error here: [`validate_required`](Changeset::validate_required) checks that.
    pub fn validate_slug<E>(mut self) -> Self
    where
        A: ActiveModelTrait<Entity = E>,
        E: DustEntity<ActiveModel = A>,
    {
        self.fresh.clear();
        let Some(position) = A::FIELDS.iter().position(|field| field.key) else { return self };
        let Some(slug) = self.holder(position).and_then(E::key_segment) else { return self };
        let message = match KeyFault::of::<E>(&slug) {
            Some(KeyFault::Empty) => "cannot be empty",
            Some(KeyFault::Star) => "is reserved",
            Some(KeyFault::Nul) => "must not contain a NUL character",
            Some(KeyFault::Case) => {
                "must not contain upper-case letters: keys that differ only in case would delete each other"
            }
            None => return self,
        };
        self.fail(name::<A>(position), FieldError::new(message, "slug"));
        self
    }
}
