//! Leases: exclusive rights with an end, and writes that only the holder can make.

use std::convert::Infallible;
use std::fmt;
use std::future::IntoFuture;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dust_protocol::{Fence, JsonObject, Mutation, Op, Path, RawJson};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::{Either, pending, select};
use serde::Deserialize;

use super::DustRepo;
use super::fenced::Fenced;
use super::field::check_typed_op;
use super::field_leaf::unreadable;
use crate::error::{DustErr, ErrKind};
use crate::runtime::{Runtime, SystemRuntime};

/// The number of tries of a renewal that fit into the time of a lease.
const TRIES: u32 = 6;
/// The longest time for which a renewal is tried.
const MAX_RENEWING: Duration = Duration::from_secs(30);

impl DustRepo {
    /// Takes a lease: for `ttl`, or until it is released, no other caller gets a lease for the same key.
    ///
    /// The key is a path, such as `locks/reports`. Choose one outside of the prefixes of entities, because a delete of
    /// a path above the key deletes the lease.
    ///
    /// The lease expires by the store's clock, and another caller can take it then, also while its first holder still
    /// works. So write through [`Lease::repo`] or [`Lease::scope`]: their writes are refused once the lease is lost.
    /// Effects outside of the store have no such protection.
    ///
    /// # Errors
    /// [`LeaseHeld`](DustErr::LeaseHeld) if another lease is in force; [`NotALease`](DustErr::NotALease) if the leaf at
    /// the key is not a lease; [`InvalidParams`](DustErr::InvalidParams) for an invalid key or a `ttl` that is shorter
    /// than 1 ms or longer than 3650 days; [`NotSupported`](DustErr::NotSupported) over HTTP; errors of the
    /// [transport](crate::Transport::write).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use std::time::Duration;
    /// # use dust_orm::{DustRepo, ErrKind, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// let lease = repo.lease("locks/reports", Duration::from_secs(30)).holder("worker-1").await?;
    /// let error = repo.lease("locks/reports", Duration::from_secs(30)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrKind::LeaseHeld);
    ///
    /// lease.repo().increment("home", page::Column::Hits, 1).await?;
    /// assert!(lease.release().await?);
    /// let error = lease.repo().increment("home", page::Column::Hits, 1).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrKind::Fenced);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a lease is taken when it is awaited"]
    pub fn lease(&self, key: impl AsRef<str>, ttl: Duration) -> TakeLease<'_> {
        TakeLease { repo: self, key: Path::parse(key.as_ref()).map_err(DustErr::from), ttl, holder: None }
    }
}

/// A lease to take. [`DustRepo::lease`] makes it; `.await` takes it.
#[must_use = "a lease is taken when it is awaited"]
#[derive(Debug)]
pub struct TakeLease<'r> {
    repo: &'r DustRepo,
    key: Result<Path, DustErr>,
    ttl: Duration,
    holder: Option<String>,
}

impl TakeLease<'_> {
    /// Sets the name of the holder, as information for readers of the lease (default: none). Only the token proves that
    /// a lease is held.
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = Some(holder.into());
        self
    }
}

impl<'r> IntoFuture for TakeLease<'r> {
    type Output = Result<Lease, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let TakeLease { repo, key, ttl, holder } = self;
            let key = key?;
            let op = Mutation::Lease { holder, ttl_ms: milliseconds(&key, ttl)? };
            let terms = write(repo, &key, op).await?;
            Ok(Lease {
                repo: repo.clone(),
                key,
                token: terms.token,
                holder: terms.holder,
                expires_at: terms.expires_at,
                ttl,
            })
        })
    }
}

/// A lease. [`DustRepo::lease`] takes it.
///
/// It has the data that the store returned; only the store knows if the lease is still held. Dropping it does not
/// release it: the lease ends with [`release`](Lease::release), or when it expires.
pub struct Lease {
    repo: DustRepo,
    key: Path,
    token: u64,
    holder: Option<String>,
    expires_at: i64,
    ttl: Duration,
}

impl Lease {
    /// The path of the lease.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// The name of the holder, if it was [given](TakeLease::holder).
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// The time at which the lease expires unless it is renewed, in milliseconds since 1970 by the store's clock. Do
    /// not compare it with another clock.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// The condition that this lease is held, for any write: `repo.update(edit).fence(lease.fence())`.
    ///
    /// Its `token` is the number of this lease: earlier leases of the same key have smaller numbers, later ones larger.
    /// A renewal keeps it.
    pub fn fence(&self) -> Fence {
        Fence { key: self.key.clone(), token: self.token }
    }

    /// Extends the lease to `ttl` from now.
    ///
    /// A renewal that does not return within a sixth of the lease's time is sent again, until that time is over, and
    /// for at most 30 s. A second renewal has the effect of the first.
    ///
    /// # Errors
    /// [`LeaseLost`](DustErr::LeaseLost) if the lease has expired or was released, even if it has no other holder;
    /// [`InvalidParams`](DustErr::InvalidParams) for a `ttl` that [`lease`](DustRepo::lease) refuses; otherwise the
    /// error of the last try.
    pub async fn renew(&mut self, ttl: Duration) -> Result<(), DustErr> {
        self.expires_at = self.extend_in_time(&SystemRuntime::new(), ttl).await?;
        self.ttl = ttl;
        Ok(())
    }

    /// Releases the lease. Returns false if it was no longer held, which is not an error.
    ///
    /// # Errors
    /// Errors of the [transport](crate::Transport::write).
    pub async fn release(&self) -> Result<bool, DustErr> {
        let transport = self.repo.active();
        let release = Op::new(self.key.clone(), Mutation::Release { token: self.token });
        let receipt = transport.write(vec![release], None).await?;
        Ok(receipt.store_seq.is_some())
    }

    /// A repo whose writes all have the fence of this lease: once the lease is lost, every verb that writes fails with
    /// [`Fenced`](DustErr::Fenced) and changes nothing.
    ///
    /// Reads do not change. Leases taken through this repo are not fenced. A write has one fence only: a write under
    /// two leases is [`InvalidParams`](DustErr::InvalidParams). A write that the transport cannot fence (a batch or a
    /// file in realtime) is [`NotSupported`](DustErr::NotSupported).
    pub fn repo(&self) -> DustRepo {
        self.repo.over(Arc::new(Fenced::new(self.repo.clone(), self.fence())))
    }

    /// Runs `work` with [`repo`](Lease::repo), renews the lease meanwhile, and releases it at the end, also if the
    /// future is dropped or `work` panics. Returns the output of `work`.
    ///
    /// The lease is renewed after each third of its ttl, and again after a sixth if a renewal fails or has no answer.
    /// If it is lost, `work` continues, and its writes fail. `work` and the renewals run in the caller's task: if
    /// `work` blocks the thread for longer than the ttl, the lease is lost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use std::time::Duration;
    /// # use dust_orm::{DustErr, DustRepo, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// let lease = repo.lease("locks/counting", Duration::from_secs(10)).await?;
    /// let hits = lease
    ///     .scope(async |repo| {
    ///         repo.increment("home", page::Column::Hits, 1).await?;
    ///         repo.increment("home", page::Column::Hits, 1).await
    ///     })
    ///     .await?;
    /// assert_eq!(hits, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn scope<F, W>(self, work: F) -> W::Output
    where
        F: FnOnce(DustRepo) -> W,
        W: Future,
    {
        self.scope_in(&SystemRuntime::new(), work).await
    }

    async fn scope_in<F, W>(self, world: &dyn Runtime, work: F) -> W::Output
    where
        F: FnOnce(DustRepo) -> W,
        W: Future,
    {
        let lease = Releasing::new(self);
        let output = lease.renewed_during(world, work(lease.repo())).await;
        lease.release().await;
        output
    }

    async fn extend(&self, ttl: Duration) -> Result<i64, DustErr> {
        let op = Mutation::Renew { token: self.token, ttl_ms: milliseconds(&self.key, ttl)? };
        Ok(write(&self.repo, &self.key, op).await?.expires_at)
    }

    /// Renews the lease, with further tries after a retryable error or without an answer, while the lease may still be
    /// held.
    async fn extend_in_time(&self, world: &dyn Runtime, ttl: Duration) -> Result<i64, DustErr> {
        let (end, patience) = (world.now() + self.ttl.min(MAX_RENEWING), self.ttl / TRIES);
        loop {
            let error = match select(pin!(self.extend(ttl)), world.pause(patience)).await {
                Either::Left((Ok(expires_at), _)) => return Ok(expires_at),
                Either::Left((Err(error), pause)) if error.is_retryable() || error.kind() == ErrKind::Timeout => {
                    pause.await;
                    error
                }
                Either::Left((Err(error), _)) => return Err(error),
                Either::Right(_) => DustErr::timeout(format!("renewing the lease `{}`", self.key)),
            };
            if world.now() >= end {
                return Err(error);
            }
        }
    }

    /// Runs `work` and renews the lease until it ends.
    pub(super) async fn renewed_during<T>(&self, world: &dyn Runtime, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.renew_forever(world))).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn renew_forever(&self, world: &dyn Runtime) -> Infallible {
        loop {
            world.pause(self.ttl / 3).await;
            // After any other error the lease may still be held: only the store knows.
            while let Err(error) = self.extend_in_time(world, self.ttl).await {
                if error.kind() == ErrKind::LeaseLost {
                    tracing::warn!(target: "dust_orm", key = %self.key, "a lease was lost during its scope");
                    return pending().await;
                }
                world.pause(self.ttl / TRIES).await;
            }
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.key)
            .field("token", &self.token)
            .field("holder", &self.holder)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A lease that is released when it is dropped, if that is possible without waiting.
pub(super) struct Releasing {
    lease: Lease,
    is_released: bool,
}

impl Releasing {
    pub(super) fn new(lease: Lease) -> Releasing {
        Releasing { lease, is_released: false }
    }

    /// Releases the lease. If that fails, it expires.
    pub(super) async fn release(mut self) {
        if let Err(error) = self.lease.release().await {
            tracing::debug!(target: "dust_orm", key = %self.lease.key, %error, "a lease was not released and expires");
        }
        self.is_released = true;
    }
}

impl Deref for Releasing {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl Drop for Releasing {
    fn drop(&mut self) {
        if !self.is_released {
            // Polls once. If the release is not sent by then, the lease expires.
            let _ = self.lease.release().now_or_never();
        }
    }
}

/// The value of a lease.
#[derive(Deserialize)]
struct Terms {
    token: u64,
    holder: Option<String>,
    expires_at: i64,
}

impl Terms {
    fn read(value: &RawJson) -> Result<Terms, serde_json::Error> {
        value.to().map(|JsonObject(terms)| terms)
    }
}

/// Takes or renews a lease.
async fn write(repo: &DustRepo, key: &Path, mutation: Mutation) -> Result<Terms, DustErr> {
    let transport = repo.active();
    check_typed_op(mutation.kind().name(), None, &*transport)?;
    let receipt = transport.write(vec![Op::new(key.clone(), mutation)], None).await?;
    Terms::read(&receipt.value.unwrap_or_else(RawJson::null))
        .map_err(|error| unreadable(key, &error.to_string(), error))
}

fn milliseconds(key: &Path, ttl: Duration) -> Result<i64, DustErr> {
    match i64::try_from(ttl.as_millis()) {
        Ok(ms @ 1..=MAX_TTL_MS) => Ok(ms),
        _ => Err(DustErr::invalid_params(format!(
            "the lease `{key}` cannot last for {ttl:?}: a ttl is 1 ms to {} days",
            MAX_TTL_MS / 86_400_000
        ))),
    }
}

/// The longest ttl: about ten years, which does not overflow when it is added to a clock.
const MAX_TTL_MS: i64 = 3_650 * 86_400_000;

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
