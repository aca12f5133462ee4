//! The prefixes of the entities that a repo has used, to notice those that nest.
//!
//! A record of `app` with the key `settings` would be the parent of every record of `app/settings`: a delete of one is
//! a delete of the others. Two entities with the very same prefix do not nest: they are two views of the same records.

use std::any::TypeId;
use std::sync::OnceLock;

use dust_protocol::Path;

use crate::entity::DustEntity;

/// A list to which each entity is added once, at its first use. Reads take no lock: they follow the links, one for each
/// entity that was used before.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    first: OnceLock<Box<UsedPrefix>>,
}

/// The prefix of an entity that was used.
#[derive(Debug)]
pub(super) struct UsedPrefix {
    id: TypeId,
    /// The path of the entity's type.
    pub(super) entity: &'static str,
    prefix: &'static [&'static str],
    next: OnceLock<Box<UsedPrefix>>,
}

impl Prefixes {
    /// Adds an entity at its first use, and warns of each other one whose prefix nests with its own.
    pub(super) fn note<E: DustEntity>(&self) {
        let id = TypeId::of::<E>();
        let mut end = &self.first;
        loop {
            while let Some(used) = end.get() {
                if used.id == id {
                    return;
                }
                end = &used.next;
            }
            let new = UsedPrefix { id, entity: std::any::type_name::<E>(), prefix: E::PREFIX, next: OnceLock::new() };
            // If another thread has added an entity meanwhile, the search continues there.
            if end.set(Box::new(new)).is_ok() {
                break;
            }
        }
        // Of two entities the one that comes later in the list reports the pair, so that it is reported once.
        if let Some(new) = end.get() {
            self.iter().take_while(|used| used.id != id).for_each(|used| warn_if_nested(used, new));
        }
    }

    /// An entity whose prefix is inside that of `E`, and at or below a path.
    pub(super) fn nested_in<E: DustEntity>(&self, path: &Path) -> Option<&UsedPrefix> {
        self.iter().filter(|used| is_inside(used.prefix, E::PREFIX)).find(|used| {
            Path::from_segments(used.prefix).is_ok_and(|prefix| {
                path.is_ancestor_ignoring_case(&prefix) || path.as_str().eq_ignore_ascii_case(prefix.as_str())
            })
        })
    }

    fn iter(&self) -> impl Iterator<Item = &UsedPrefix> {
        std::iter::successors(self.first.get(), |used| used.next.get()).map(|used| &**used)
    }
}

impl UsedPrefix {
    /// The prefix with `/` between its segments.
    pub(super) fn prefix(&self) -> String {
        self.prefix.join("/")
    }
}

/// True if `inner` is below `outer`, ignoring ASCII case as a server does when it removes a subtree.
fn is_inside(inner: &[&str], outer: &[&str]) -> bool {
    inner.len() > outer.len() && inner.iter().zip(outer).all(|(inner, outer)| inner.eq_ignore_ascii_case(outer))
}

fn warn_if_nested(one: &UsedPrefix, other: &UsedPrefix) {
    let (outer, inner) = match (is_inside(other.prefix, one.prefix), is_inside(one.prefix, other.prefix)) {
        (true, _) => (one, other),
        (_, true) => (other, one),
        _ => return,
    };
    tracing::warn!(
        target: "dust_orm",
        outer = outer.entity,
        outer_prefix = outer.prefix(),
        inner = inner.entity,
        inner_prefix = inner.prefix(),
        "the prefix of one entity is inside that of another: their records can hide and delete each other; give them \
         prefixes that do not nest",
    );
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
