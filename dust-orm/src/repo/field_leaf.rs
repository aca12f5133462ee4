//! The leaf of one field of one record.

use dust_protocol::apply::incremented;
use dust_protocol::value::{is_claim, is_integer};
use dust_protocol::{Entry, Leaf, Path, RawJson};
use sea_orm::{ActiveModelTrait, ColumnTrait};

use super::DustRepo;
use super::record_pages::fetch;
use super::write::limits;
use crate::entity::{DustEntity, Fields, IntoKey, is_leaf, record_path};
use crate::error::{DustErr, InvalidRecord, Undecodable};
use crate::transport::Transport;

/// A leaf, with the type of its field.
pub(super) struct FieldLeaf {
    pub(super) path: Path,
    name: &'static str,
    /// The leaves under the field's old names.
    aliases: Vec<Path>,
    position: usize,
    /// Reads a value as the type of the field at a position. An error means that the type does not hold it.
    probe: fn(usize, &RawJson) -> Result<(), serde_json::Error>,
}

impl FieldLeaf {
    /// Finds the leaf of a column of the record with a key.
    pub(super) fn find<C>(repo: &DustRepo, key: impl IntoKey<C::EntityName>, column: C) -> Result<FieldLeaf, DustErr>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
    {
        type Active<C> = <<C as ColumnTrait>::EntityName as sea_orm::EntityTrait>::ActiveModel;

        repo.prefixes.note::<C::EntityName>();
        let record = record_path::<C::EntityName>(&key.into_key())?;
        let position = Active::<C>::position(column);
        let field = Active::<C>::FIELDS.get(position).filter(|field| is_leaf(field));
        let Some(field) = field else {
            let name = sea_orm::IdenStatic::as_str(&column);
            return Err(DustErr::invalid_params(format!(
                "the field `{name}` of `{record}` is never stored: it is part of the key, or skipped"
            )));
        };
        let aliases = field.aliases.iter().map(|alias| record.child(alias)).collect::<Result<_, _>>()?;
        Ok(FieldLeaf {
            path: record.child(field.name)?,
            name: field.name,
            aliases,
            position,
            probe: probe::<Active<C>>,
        })
    }

    /// Reads a value as the field's type.
    pub(super) fn probe(&self, value: &RawJson) -> Result<(), serde_json::Error> {
        (self.probe)(self.position, value)
    }

    /// Selects the leaf that a reader uses: one under an old name if there is none under the current name. Writers that
    /// know the old name only use the same leaf.
    pub(super) async fn locate(&mut self, transport: &dyn Transport) -> Result<(), DustErr> {
        if self.aliases.is_empty() {
            return Ok(());
        }
        let names = [std::slice::from_ref(&self.path), &self.aliases].concat();
        let present = transport.get_many(&names).await?;
        let present = present.into_iter().flatten().find(|entry| !is_claim(entry.value.as_str()));
        if let Some(entry) = present {
            self.path = entry.path;
        }
        Ok(())
    }

    /// Reads the field.
    pub(super) async fn present(&self, transport: &dyn Transport) -> Result<Option<Entry>, DustErr> {
        Ok(transport.get_many(std::slice::from_ref(&self.path)).await?.pop().flatten())
    }

    /// Refuses an increment of the stored value whose sum the field's type cannot hold.
    pub(super) async fn check_sum<T>(
        &self,
        by: &RawJson,
        read: fn(&RawJson) -> Result<T, serde_json::Error>,
        transport: &dyn Transport,
    ) -> Result<(), DustErr> {
        let present = self.present(transport).await?;
        let is_new = present.is_none();
        let present = present.filter(|entry| !is_claim(entry.value.as_str()));
        let leaf = present.map(|Entry { value, kind, revision, .. }| Leaf { value, kind, revision });
        // If the value is not a number, the store refuses the increment.
        let Ok(sum) = incremented(leaf, by) else { return Ok(()) };
        self.probe_sum(&sum, read)
            .map_err(|(whose, error)| self.beyond(by, &sum, whose, error, "nothing was written"))?;
        if is_new { check_growth(&self.path, sum.as_str().len(), transport).await } else { Ok(()) }
    }

    /// Refuses a sum that the field or the returned number cannot hold. The error names which of them.
    pub(super) fn probe_sum<T>(
        &self,
        sum: &RawJson,
        read: fn(&RawJson) -> Result<T, serde_json::Error>,
    ) -> Result<(), (&'static str, serde_json::Error)> {
        self.probe(sum).map_err(|error| ("its type", error))?;
        match read(sum) {
            Err(error) if is_integer(sum.as_str()) => Err(("the type of the returned number", error)),
            // An integer increment of a field that holds a fraction is written; reading its result fails afterwards.
            _ => Ok(()),
        }
    }

    /// The error for a sum that the field's type or the type of the returned number cannot hold.
    pub(super) fn beyond(
        &self,
        by: &RawJson,
        sum: &RawJson,
        whose: &str,
        error: serde_json::Error,
        done: &str,
    ) -> DustErr {
        DustErr::invalid_params(format!(
            "increment by {by}: the field `{}` of `{}` would become {sum}, which {whose} cannot hold ({error}); {done}",
            self.name, self.path
        ))
        .with_source(error)
    }

    /// Refuses an operation whose result the field cannot read, such as a fraction in an integer.
    pub(super) fn check(&self, operation: &str, sample: &RawJson) -> Result<(), DustErr> {
        self.probe(sample).map_err(|error| {
            DustErr::invalid_params(format!(
                "{operation}: the field `{}` of `{}` cannot hold the result: {error}",
                self.name, self.path
            ))
            .with_source(error)
        })
    }
}

/// Reads a value as the type of the field at a position.
fn probe<A: Fields>(position: usize, value: &RawJson) -> Result<(), serde_json::Error> {
    let mut probe = <A as ActiveModelTrait>::default();
    probe.deserialize_field(position, &mut serde_json::Deserializer::from_str(value.as_str()))
}

/// Refuses to add `bytes` bytes to a leaf if its record would then be too large to read.
pub(super) async fn check_growth(leaf: &Path, bytes: usize, transport: &dyn Transport) -> Result<(), DustErr> {
    let Some(record) = leaf.parent() else { return Ok(()) };
    match fetch(transport, &record).await? {
        Some(record) => limits::check_growth(&record, leaf, bytes),
        None => Ok(()),
    }
}

/// The error for a value that the store returned after a write and that does not fit the caller's type.
pub(super) fn unreadable(path: &Path, reason: &str, error: serde_json::Error) -> DustErr {
    let name = path.segments().next_back().map_or_else(String::new, |name| name.into_owned());
    let field = Undecodable::new(name, format!("{reason}; the write itself was applied")).with_source(error);
    InvalidRecord::undecodable(path.to_string(), field).into()
}
