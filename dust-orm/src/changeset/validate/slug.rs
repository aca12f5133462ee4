use sea_orm::ActiveModelTrait;

use crate::changeset::{Changeset, name};
use crate::entity::{DustEntity, Fields, KeyFault, key_fields};
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that the primary key, or each part of a composite one, can name a record in Dust: it is not empty
    /// (`cannot be empty`), has no NUL characters, is neither of the two texts that no pattern can name (`\*` and
    /// `\**`), and has no ASCII upper-case letters, unless the entity has `#[dust(key_case = "any")]`.
    ///
    /// A key, or a part, that is `NotSet` gets no error here: [`validate_required`](Changeset::validate_required)
    /// checks that.
    pub fn validate_slug<E>(mut self) -> Self
    where
        A: ActiveModelTrait<Entity = E>,
        E: DustEntity<ActiveModel = A>,
    {
        self.fresh.clear();
        for (part, (position, _)) in key_fields::<A>().enumerate() {
            let fault = self.holder(position).and_then(|model| {
                let segments = E::active_key_segments(model);
                KeyFault::of::<E>(segments.as_ref().get(part)?.as_deref()?)
            });
            let message = match fault {
                Some(KeyFault::Empty) => "cannot be empty",
                Some(KeyFault::Star) => "is reserved",
                Some(KeyFault::Nul) => "must not contain a NUL character",
                Some(KeyFault::Case) => {
                    "must not contain upper-case letters: keys that differ only in case would delete each other"
                }
                None => continue,
            };
            self.fail(name::<A>(position), FieldError::new(message, "slug"));
        }
        self
    }
}
