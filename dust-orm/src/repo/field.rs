//! The verbs that change one field relative to its value: `increment`, `add_to_set`, `remove_from_set`.

use std::fmt;
use std::future::IntoFuture;
use std::hash::Hash;

use dust_protocol::value::is_integer;
use dust_protocol::{Fence, Mutation, Op, RawJson};
use futures_core::future::BoxFuture;
use sea_orm::ColumnTrait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DustRepo;
use super::countable::{Countable, unserializable};
use super::field_leaf::{FieldLeaf, check_growth, unreadable};
use super::write::dispatch;
use super::write::options::Options;
use crate::entity::{DustEntity, DustSet, KeyOf};
use crate::error::DustErr;
use crate::transport::Transport;

impl DustRepo {
    /// Adds a number to a field, atomically: concurrent increments add up. Returns the new number.
    ///
    /// `by` is an `i64` or an `f64`, and may be negative. A field that is absent, `null` or `false` counts from 0. The
    /// column determines the entity; its type is [`Counter`](crate::entity::Counter) or any number.
    ///
    /// Only this field is written, even if the record does not exist: a later insert merges with it (in flat mode).
    /// Hooks do not run, because there is no `ActiveModel`.
    ///
    /// # Errors
    /// - [`NotSupported`](DustErr::NotSupported) over HTTP.
    /// - [`InvalidParams`](DustErr::InvalidParams) if the field's type cannot hold the sum, such as -1 in a `u32` or
    ///   more than 64 bits in a [`Counter`](crate::entity::Counter). Nothing is written. If a concurrent increment
    ///   caused that, this one is undone by an increment of `-by`.
    /// - [`Decode`](DustErr::Decode) if that increment fails as well. The error has the stored number; until it is
    ///   changed, the record does not fit its entity.
    /// - Errors of the [transport](crate::Transport::write).
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
            let field = FieldLeaf::find(key.into(), column)?;
            let by = by.to_json()?;
            // Only the kind of the number is checked: an unsigned field accepts a negative increment, a small one a
            // large increment.
            let sample = if is_integer(by.as_str()) { "1" } else { by.as_str().trim_start_matches('-') };
            field.check("increment", &RawJson::parse(sample).map_err(unserializable)?)?;
            Ok(UnsentWrite { mutation: Mutation::Increment(by), field })
        };
        FieldWrite { repo: self, operation: "increment", unsent: write(), fence: None, read: N::read }
    }

    /// Adds a member to the set in a field, atomically, and returns the new set. The member becomes the first one, also
    /// if the set has it already.
    ///
    /// The column determines the entity; its type is [`DustSet`] or any list. As with
    /// [`increment`](DustRepo::increment) only this field is written, even if the record does not exist, and hooks do
    /// not run.
    ///
    /// # Errors
    /// [`NotSupported`](DustErr::NotSupported) over HTTP; [`InvalidParams`](DustErr::InvalidParams) if the field's type
    /// cannot hold the member, or if it is `null`, `"$json"` or `"$claim"`; errors of the
    /// [transport](crate::Transport::write).
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
        FieldWrite::of_member(self, "add", FieldLeaf::find(key.into(), column), member, Mutation::Add)
    }

    /// Removes a member from the set in a field, atomically, and returns the new set. It succeeds if the set does not
    /// have the member. A field that is absent becomes an empty set. Otherwise as [`add_to_set`](DustRepo::add_to_set).
    ///
    /// # Errors
    /// As [`add_to_set`](DustRepo::add_to_set).
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
        FieldWrite::of_member(self, "remove", FieldLeaf::find(key.into(), column), member, Mutation::Remove)
    }
}

/// A write of one field that returns its new value. [`DustRepo::increment`], [`DustRepo::add_to_set`] and
/// [`DustRepo::remove_from_set`] make it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
pub struct FieldWrite<'r, T> {
    repo: &'r DustRepo,
    operation: &'static str,
    unsent: Result<UnsentWrite, DustErr>,
    fence: Option<Fence>,
    read: fn(&RawJson) -> Result<T, serde_json::Error>,
}

/// A write of a field that has not been sent.
struct UnsentWrite {
    mutation: Mutation,
    field: FieldLeaf,
}

impl<'r, T: DeserializeOwned + Eq + Hash> FieldWrite<'r, DustSet<T>> {
    fn of_member<M: Serialize + ToOwned<Owned = T> + ?Sized>(
        repo: &'r DustRepo,
        operation: &'static str,
        field: Result<FieldLeaf, DustErr>,
        member: &M,
        mutation: fn(RawJson) -> Mutation,
    ) -> FieldWrite<'r, DustSet<T>> {
        let write = || {
            let field = field?;
            let given = member;
            let member = RawJson::from_serialize(member).map_err(unserializable)?;
            if matches!(member.as_str(), "null" | r#""$json""# | r#""$claim""#) {
                return Err(DustErr::invalid_params(format!(
                    "{operation}: {member} cannot be a member of `{}`: Dust reserves it",
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
            Ok(UnsentWrite { mutation: mutation(member), field })
        };
        FieldWrite { repo, operation, unsent: write(), fence: None, read: |value| value.to() }
    }
}

impl<T> FieldWrite<'_, T> {
    /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it fails with
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
            let FieldWrite { repo, operation, unsent, fence, read } = self;
            let transport = &*repo.active();
            let UnsentWrite { mutation, mut field } = unsent?;
            check_typed_op(operation, fence.as_ref(), transport)?;
            field.locate(transport).await?;
            let undo = match &mutation {
                Mutation::Increment(by) => {
                    field.check_sum(by, read, transport).await?;
                    Some((by.clone(), Op::new(field.path.clone(), negated(by))))
                }
                Mutation::Add(member) => {
                    check_growth(&field.path, member.as_str().len() + ",".len(), transport).await?;
                    None
                }
                _ => None,
            };
            let op = Op::new(field.path.clone(), mutation);
            let value = match transport.write(vec![op], fence.clone()).await?.value {
                Some(value) => value,
                // A transport that does not return the value lets it be read after the write.
                None => field.present(transport).await?.map_or_else(
                    || Err(DustErr::NotFound { what: format!("`{}`, which was just written", field.path) }),
                    |entry| Ok(entry.value),
                )?,
            };
            if let (Some((by, undo)), Err((whose, error))) = (undo, field.probe_sum(&value, read)) {
                let done = "another write came first, and this one was undone";
                return match transport.write(vec![undo], fence).await {
                    Ok(_) => Err(field.beyond(&by, &value, whose, error, done)),
                    Err(_) => Err(unreadable(&field.path, &format!("{error}; the leaf holds {value}"), error)),
                };
            }
            read(&value).map_err(|error| unreadable(&field.path, &error.to_string(), error))
        })
    }
}

/// The increment that undoes another one.
fn negated(by: &RawJson) -> Mutation {
    let text = by.as_str().strip_prefix('-').map_or_else(|| format!("-{by}"), str::to_owned);
    Mutation::Increment(RawJson::from_trusted(text))
}

impl<T> fmt::Debug for FieldWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mutation = self.unsent.as_ref().map(|unsent| &unsent.mutation);
        f.debug_struct("FieldWrite").field("mutation", &mutation).field("fence", &self.fence).finish_non_exhaustive()
    }
}

/// Refuses an operation that the transport does not support, before anything is sent.
pub(super) fn check_typed_op(operation: &str, fence: Option<&Fence>, transport: &dyn Transport) -> Result<(), DustErr> {
    let capabilities = transport.capabilities();
    if !capabilities.typed_ops {
        return Err(capabilities.refuse(transport.name(), operation));
    }
    dispatch::check(&Options { fence: fence.cloned(), ..Options::default() }, transport)
}
