use sea_orm::ActiveModelTrait;

use crate::changeset::{Changeset, name};
use crate::entity::{DustEntity, Fields, KeyCase};
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// The primary key must be fit to name a record in Dust: not empty (`cannot be empty`), and without ASCII upper-case
    /// letters unless the entity says `#[dust(key_case = "any")]`.
    ///
    /// A key that is `NotSet` is left to [`validate_required`](Changeset::validate_required).
    pub fn validate_slug<E>(mut self) -> Self
    where
        A: ActiveModelTrait<Entity = E>,
        E: DustEntity<ActiveModel = A>,
    {
        self.fresh.clear();
        let Some(position) = A::FIELDS.iter().position(|field| field.key) else { return self };
        let Some(slug) = self.holder(position).and_then(E::key_segment) else { return self };
        let message = if slug.is_empty() {
            "cannot be empty"
        } else if E::KEY_CASE == KeyCase::Lower && slug.bytes().any(|byte| byte.is_ascii_uppercase()) {
            "must not contain upper-case letters: keys that differ only in case would delete each other"
        } else {
            return self;
        };
        self.fail(name::<A>(position), FieldError::new(message, "slug"));
        self
    }
}
