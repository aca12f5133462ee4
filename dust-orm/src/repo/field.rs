//! The verbs that change one field by what is in it: `increment`, `add_to_set`, `remove_from_set`.

use std::fmt;
use std::future::IntoFuture;
use std::hash::Hash;

use dust_protocol::apply::incremented;
use dust_protocol::value::{is_claim, is_integer};
use dust_protocol::{Entry, Fence, Leaf, Op, Path, RawJson, Write};
use futures_core::future::BoxFuture;
use sea_orm::{ActiveModelTrait, ColumnTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DustRepo;
use super::countable::Countable;
use super::record_pages::fetch;
use super::write::options::Options;
use super::write::{dispatch, limits};
use crate::entity::{DustEntity, DustSet, Fields, KeyOf, is_leaf, record_path};
use crate::error::{DustErr, InvalidRecord, Undecodable};
use crate::transport::Transport;

impl DustRepo {
    /// Adds a number to a field, atomically: increments at the same time add up. Answers the number it made.
    ///
    /// `by` is an `i64` or an `f64`, and may be negative. A field that is absent, `null` or `false` counts from 0. The
    /// column says which entity is meant; its type may be [`Counter`], or any number.
    ///
    /// It writes the one field, whether or not there is a record: an insert later merges with it (in flat mode). Hooks do
    /// not run, as there is no `ActiveModel` of it. Not over HTTP: there it is [`NotSupported`](DustErr::NotSupported).
    ///
    /// A number that the field's type cannot hold, such as -1 in a `u32` or one past 64 bits in a [`Counter`], is
    /// [`InvalidParams`](DustErr::InvalidParams) and nothing is written. Where only the increments of others at the
    /// same time make it one, this increment is taken back by another; if that fails, the error is
    /// [`Decode`](DustErr::Decode), which names the number that is stored, and until it is changed the record does not
    /// fit its entity.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// assert_eq!(repo.increment("home", page::Column::Hits, 5).await?, 5);
    /// assert_eq!(repo.increment("home", page::Column::Hits, -1).await?, 4);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn increment<C, N>(&self, key: impl Into<KeyOf<C::EntityName>>, column: C, by: N) -> FieldWrite<'_, N>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
        N: Countable,
    {
        let write = || {
            let field = FieldOf::find(key.into(), column)?;
            let by = by.to_json()?;
            // The kind of the number is looked at: a field without a sign can be counted down, one of a few bits by
            // many.
            let sample = if is_integer(by.as_str()) { "1" } else { by.as_str().trim_start_matches('-') };
            field.check("increment", &RawJson::parse(sample).map_err(unserializable)?)?;
            Ok(Pending { write: Write::new(field.path.clone(), Op::Increment(by)), field })
        };
        FieldWrite { repo: self, operation: "increment", pending: write(), fence: None, read: N::read }
    }

    /// Puts a member first into the set that a field is, atomically; one that is there already moves. Answers the set it
    /// made.
    ///
    /// The column says which entity is meant; its type may be [`DustSet`], or any list. Otherwise as
    /// [`increment`](DustRepo::increment): it writes the one field, whether or not there is a record, and runs no hooks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// repo.add_to_set("home", page::Column::Tags, "rust").await?;
    /// let tags = repo.add_to_set("home", page::Column::Tags, "dust").await?;
    /// assert_eq!(*tags, ["dust", "rust"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn add_to_set<C, T>(
        &self,
        key: impl Into<KeyOf<C::EntityName>>,
        column: C,
        member: &T,
    ) -> FieldWrite<'_, DustSet<T::Owned>>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
        T: ToOwned<Owned: DeserializeOwned + Eq + Hash> + Serialize + ?Sized,
    {
        FieldWrite::of_member(self, "add", FieldOf::find(key.into(), column), member, Op::Add)
    }

    /// Takes a member out of the set that a field is, atomically; one that is not there is no error. Answers the set it made,
    /// which may be empty, and is one even if there was none. Otherwise as [`add_to_set`](DustRepo::add_to_set).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// repo.add_to_set("home", page::Column::Tags, "rust").await?;
    /// assert!(repo.remove_from_set("home", page::Column::Tags, "rust").await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn remove_from_set<C, T>(
        &self,
        key: impl Into<KeyOf<C::EntityName>>,
        column: C,
        member: &T,
    ) -> FieldWrite<'_, DustSet<T::Owned>>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
        T: ToOwned<Owned: DeserializeOwned + Eq + Hash> + Serialize + ?Sized,
    {
        FieldWrite::of_member(self, "remove", FieldOf::find(key.into(), column), member, Op::Remove)
    }
}

/// A write of one field that answers what the field then holds, made by [`DustRepo::increment`], [`DustRepo::add`] or
/// [`DustRepo::remove`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
pub struct FieldWrite<'r, T> {
    repo: &'r DustRepo,
    operation: &'static str,
    pending: Result<Pending, DustErr>,
    fence: Option<Fence>,
    read: fn(&RawJson) -> Result<T, serde_json::Error>,
}

/// A write of a field that has not been sent.
struct Pending {
    write: Write,
    field: FieldOf,
}

impl<'r, T: DeserializeOwned + Eq + Hash> FieldWrite<'r, DustSet<T>> {
    fn of_member<M: Serialize + ToOwned<Owned = T> + ?Sized>(
        repo: &'r DustRepo,
        operation: &'static str,
        field: Result<FieldOf, DustErr>,
        member: &M,
        op: fn(RawJson) -> Op,
    ) -> FieldWrite<'r, DustSet<T>> {
        let write = || {
            let field = field?;
            let given = member;
            let member = RawJson::from_serialize(member).map_err(unserializable)?;
            if matches!(member.as_str(), "null" | r#""$json""# | r#""$claim""#) {
                return Err(DustErr::invalid_params(format!(
                    "{operation}: {member} cannot be a member of `{}`: it has a meaning of its own",
                    field.path
                )));
            }
            field.check(operation, &RawJson::from_trusted(format!("[{member}]")))?;
            if !member.to::<T>().is_ok_and(|read| read == given.to_owned()) {
                return Err(DustErr::invalid_params(format!(
                    "{operation}: a member of `{}` cannot be written: its type writes it as {member} and reads that as \
                     another value",
                    field.path
                )));
            }
            Ok(Pending { write: Write::new(field.path.clone(), op(member)), field })
        };
        FieldWrite { repo, operation, pending: write(), fence: None, read: |value| value.to() }
    }
}

impl<T> FieldWrite<'_, T> {
    /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it is
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl<'r, T: Send + 'r> IntoFuture for FieldWrite<'r, T> {
    type Output = Result<T, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let FieldWrite { repo, operation, pending, fence, read } = self;
            let transport = &*repo.active();
            let Pending { write, mut field } = pending?;
            check(operation, fence.as_ref(), transport)?;
            field.locate(transport).await?;
            let write = Write { path: field.path.clone(), fence, ..write };
            let undo = match &write.op {
                Op::Increment(by) => {
                    field.check_sum(by, read, transport).await?;
                    let back = Write { fence: write.fence.clone(), ..Write::new(field.path.clone(), negated(by)) };
                    Some((by.clone(), back))
                }
                Op::Add(member) => {
                    check_growth(&field.path, member.as_str().len() + ",".len(), transport).await?;
                    None
                }
                _ => None,
            };
            let value = match transport.write(write).await?.value {
                Some(value) => value,
                // A transport that does not tell shows it: what it has acknowledged is readable.
                None => field.present(transport).await?.map_or_else(
                    || Err(DustErr::NotFound { what: format!("`{}`, which was just written", field.path) }),
                    |entry| Ok(entry.value),
                )?,
            };
            if let (Some((by, undo)), Err((whose, error))) = (undo, field.probe_sum(&value, read)) {
                let done = "another write came first, and this one was taken back";
                return match transport.write(undo).await {
                    Ok(_) => Err(field.beyond(&by, &value, whose, error, done)),
                    Err(_) => Err(unreadable(&field.path, &format!("{error}; the leaf holds {value}"), error)),
                };
            }
            read(&value).map_err(|error| unreadable(&field.path, &error.to_string(), error))
        })
    }
}

/// The increment that takes another back.
fn negated(by: &RawJson) -> Op {
    let text = by.as_str().strip_prefix('-').map_or_else(|| format!("-{by}"), str::to_owned);
    Op::Increment(RawJson::from_trusted(text))
}

impl<T> fmt::Debug for FieldWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = self.pending.as_ref().map(|pending| &pending.write);
        f.debug_struct("FieldWrite").field("write", &write).field("fence", &self.fence).finish_non_exhaustive()
    }
}

/// The leaf of one field of one record.
pub(super) struct FieldOf {
    pub(super) path: Path,
    name: &'static str,
    /// The leaves under the field's old names.
    aliases: Vec<Path>,
    position: usize,
    /// Reads a value as the type of the field at a position, to see whether it is one.
    probe: fn(usize, &RawJson) -> Result<(), serde_json::Error>,
}

impl FieldOf {
    pub(super) fn find<C>(key: KeyOf<C::EntityName>, column: C) -> Result<FieldOf, DustErr>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
    {
        type Active<C> = <<C as ColumnTrait>::EntityName as sea_orm::EntityTrait>::ActiveModel;

        let record = record_path::<C::EntityName>(&C::EntityName::key_to_segment(&key))?;
        let position = Active::<C>::position(column);
        let field = Active::<C>::FIELDS.get(position).filter(|field| is_leaf(field));
        let Some(field) = field else {
            let name = sea_orm::IdenStatic::as_str(&column);
            return Err(DustErr::invalid_params(format!(
                "the field `{name}` of `{record}` is never stored: it is the key, or skipped"
            )));
        };
        let aliases = field.aliases.iter().map(|alias| record.child(alias)).collect::<Result<_, _>>()?;
        Ok(FieldOf { path: record.child(field.name)?, name: field.name, aliases, position, probe: probe::<Active<C>> })
    }

    fn probe(&self, value: &RawJson) -> Result<(), serde_json::Error> {
        (self.probe)(self.position, value)
    }

    /// Takes the leaf that a reader takes: one under an old name where there is none under the new one. What is added
    /// to the field is added there, by writers that know the old name only, too.
    async fn locate(&mut self, transport: &dyn Transport) -> Result<(), DustErr> {
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

    /// What the field holds now.
    async fn present(&self, transport: &dyn Transport) -> Result<Option<Entry>, DustErr> {
        Ok(transport.get_many(std::slice::from_ref(&self.path)).await?.pop().flatten())
    }

    /// Refuses an increment whose sum the field's type cannot hold, by what the field holds now.
    async fn check_sum<T>(
        &self,
        by: &RawJson,
        read: fn(&RawJson) -> Result<T, serde_json::Error>,
        transport: &dyn Transport,
    ) -> Result<(), DustErr> {
        let present = self.present(transport).await?;
        let is_new = present.is_none();
        let present = present.filter(|entry| !is_claim(entry.value.as_str()));
        let leaf = present.map(|Entry { value, kind, revision, .. }| Leaf { value, kind, revision });
        // What is no number the store refuses.
        let Ok(sum) = incremented(leaf, by) else { return Ok(()) };
        self.probe_sum(&sum, read)
            .map_err(|(whose, error)| self.beyond(by, &sum, whose, error, "nothing was written"))?;
        if is_new { check_growth(&self.path, sum.as_str().len(), transport).await } else { Ok(()) }
    }

    /// Refuses a sum that the field or the answer cannot hold, and says which of them.
    fn probe_sum<T>(
        &self,
        sum: &RawJson,
        read: fn(&RawJson) -> Result<T, serde_json::Error>,
    ) -> Result<(), (&'static str, serde_json::Error)> {
        self.probe(sum).map_err(|error| ("its type", error))?;
        match read(sum) {
            Err(error) if is_integer(sum.as_str()) => Err(("the type of the answer", error)),
            // A fraction that is counted on in whole numbers is written; the answer says so.
            _ => Ok(()),
        }
    }

    fn beyond(&self, by: &RawJson, sum: &RawJson, whose: &str, error: serde_json::Error, done: &str) -> DustErr {
        DustErr::invalid_params(format!(
            "increment by {by}: the field `{}` of `{}` would become {sum}, which {whose} cannot hold ({error}); {done}",
            self.name, self.path
        ))
        .with_source(error)
    }

    /// Refuses an operation that would leave in the field what it cannot read, such as a fraction in a whole number.
    pub(super) fn check(&self, operation: &str, sample: &RawJson) -> Result<(), DustErr> {
        self.probe(sample).map_err(|error| {
            DustErr::invalid_params(format!(
                "{operation}: the field `{}` of `{}` cannot hold it: {error}",
                self.name, self.path
            ))
            .with_source(error)
        })
    }
}

fn probe<A: Fields>(position: usize, value: &RawJson) -> Result<(), serde_json::Error> {
    let mut probe = <A as ActiveModelTrait>::default();
    probe.deserialize_field(position, &mut serde_json::Deserializer::from_str(value.as_str()))
}

/// Refuses to add so many bytes to a leaf where its record could then not be read back for its size.
pub(super) async fn check_growth(leaf: &Path, bytes: usize, transport: &dyn Transport) -> Result<(), DustErr> {
    let Some(record) = leaf.parent() else { return Ok(()) };
    match fetch(transport, &record).await? {
        Some(record) => limits::check_growth(&record, leaf, bytes),
        None => Ok(()),
    }
}

/// Refuses what the transport cannot do before anything is sent.
pub(super) fn check(operation: &str, fence: Option<&Fence>, transport: &dyn Transport) -> Result<(), DustErr> {
    let capabilities = transport.capabilities();
    if !capabilities.typed_ops {
        return Err(capabilities.refuse(transport.name(), operation));
    }
    dispatch::check(&Options { fence: fence.cloned(), ..Options::default() }, transport)
}

pub(super) fn unserializable(error: serde_json::Error) -> DustErr {
    DustErr::invalid_params(format!("the value cannot be written as JSON: {error}")).with_source(error)
}

/// The error for a value that was written by the store and does not fit the caller's type.
pub(super) fn unreadable(path: &Path, reason: &str, error: serde_json::Error) -> DustErr {
    let name = path.segments().next_back().map_or_else(String::new, |name| name.into_owned());
    let field = Undecodable::new(name, format!("{reason}; the write itself was applied")).with_source(error);
    InvalidRecord::undecodable(path.to_string(), field).into()
}
