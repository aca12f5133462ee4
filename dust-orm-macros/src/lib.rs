//! Derive macros of `dust-orm`. Use them through `dust_orm::entity::prelude`.
