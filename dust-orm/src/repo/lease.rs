//! Leases: who may do something, until when, and writes that only the holder can make.

use std::convert::Infallible;
use std::fmt;
use std::future::IntoFuture;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dust_protocol::{Fence, JsonObject, Op, Path, RawJson, Write};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::{Either, pending, select};
use serde::Deserialize;

use super::DustRepo;
use super::fenced::Fenced;
use super::field::{check, unreadable};
use crate::error::{DustErr, ErrKind};
use crate::runtime::{Runtime, SystemRuntime};

/// How many tries of a renewal there is time for in the time of a lease.
const TRIES: u32 = 6;
/// How long a renewal is tried at the most.
const MAX_RENEWING: Duration = Duration::from_secs(30);

impl DustRepo {
    /// Takes a lease: for as long as `ttl`, or until it is released, nobody else gets one for the same key.
    ///
    /// The key is a path of its own, such as `locks/reports`; best outside of the prefixes of entities, because what
    /// deletes what is above the key deletes the lease. The lease of another holder is
    /// [`LeaseHeld`](DustErr::LeaseHeld), anything but a lease at that path [`NotALease`](DustErr::NotALease). Over
    /// HTTP it is [`NotSupported`](DustErr::NotSupported).
    ///
    /// It is the store's clock that counts, and a lease that has expired is anyone's, whatever its holder believes. So write
    /// through [`Lease::repo`] or [`Lease::scope`]: their writes are refused once the lease is lost. What is done outside of
    /// the store has no such protection.
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

/// A lease about to be taken, made by [`DustRepo::lease`]: `.await` it.
#[must_use = "a lease is taken when it is awaited"]
#[derive(Debug)]
pub struct TakeLease<'r> {
    repo: &'r DustRepo,
    key: Result<Path, DustErr>,
    ttl: Duration,
    holder: Option<String>,
}

impl TakeLease<'_> {
    /// Who takes it, for those who look at the lease. It proves nothing: the token does.
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
            let op = Op::Lease { holder, ttl_ms: milliseconds(&key, ttl)? };
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

/// A lease that was taken with [`DustRepo::lease`].
///
/// It is what the store said at that time; whether the lease is still held, only the store knows. Dropping it gives
/// nothing back: the lease ends by [`release`](Lease::release), or when it expires.
pub struct Lease {
    repo: DustRepo,
    key: Path,
    token: u64,
    holder: Option<String>,
    expires_at: i64,
    ttl: Duration,
}

impl Lease {
    /// Its path.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// What tells it from earlier and later leases of the same key, which have smaller and larger tokens. Renewing keeps it.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Who took it.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// When it expires unless it is renewed: milliseconds since 1970 by the store's wall clock. Not for comparing with one's
    /// own clock.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// What makes any write depend on this lease: `repo.update(edit).fence(lease.fence())`.
    pub fn fence(&self) -> Fence {
        Fence { key: self.key.clone(), token: self.token }
    }

    /// Lets it last for `ttl` from now. A lease that has expired, was taken over or released is
    /// [`LeaseLost`](DustErr::LeaseLost), even if no other holder has it: take it again.
    ///
    /// To renew twice is the same as to renew once. So where an answer does not come within a sixth of the lease's time, it is
    /// asked again, until that time is over, and for 30 s at the most; then the error is that of the last try.
    pub async fn renew(&mut self, ttl: Duration) -> Result<(), DustErr> {
        self.expires_at = self.extend_in_time(&SystemRuntime::new(), ttl).await?;
        self.ttl = ttl;
        Ok(())
    }

    /// Gives it back. `false` when it was not held any more, which is no error.
    pub async fn release(&self) -> Result<bool, DustErr> {
        let transport = self.repo.active();
        let receipt = transport.write(Write::new(self.key.clone(), Op::Release { token: self.token })).await?;
        Ok(receipt.store_seq.is_some())
    }

    /// The repo, in which every write carries the fence of this lease: once it is lost, every verb that writes is
    /// [`Fenced`](DustErr::Fenced) and changes nothing.
    ///
    /// Reads are as ever. Leases taken through it are not fenced by this one, and a write can carry one fence only: one
    /// under two leases is [`InvalidParams`](DustErr::InvalidParams). Where the transport cannot fence a
    /// write (a batch or a file in realtime), that is [`NotSupported`](DustErr::NotSupported).
    pub fn repo(&self) -> DustRepo {
        DustRepo::with_transport(Arc::new(Fenced::new(self.repo.clone(), self.fence())))
    }

    /// Runs `work` with [`repo`](Lease::repo), renews the lease meanwhile (every third of its ttl, and every sixth after a
    /// renewal that failed or was not answered), and releases it at the end, also when the future is dropped or `work` panics.
    ///
    /// CommandKind that goes on after the lease was lost all the same is not stopped: its writes fail. It runs in the caller's
    /// task, and so does the renewing: work that blocks the thread for longer than the ttl loses the lease.
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
        let op = Op::Renew { token: self.token, ttl_ms: milliseconds(&self.key, ttl)? };
        Ok(write(&self.repo, &self.key, op).await?.expires_at)
    }

    /// Renews, and asks again where that fails or is not answered, as long as the lease may still be held.
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

    /// Does some work, and renews the lease as long as it takes.
    pub(super) async fn renewed_during<T>(&self, world: &dyn Runtime, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.renew_forever(world))).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn renew_forever(&self, world: &dyn Runtime) -> Infallible {
        loop {
            world.pause(self.ttl / 3).await;
            // Whatever else failed may succeed the next time: only the store knows whether the lease is still held.
            while let Err(error) = self.extend_in_time(world, self.ttl).await {
                if error.kind() == ErrKind::LeaseLost {
                    tracing::warn!(target: "dust_orm", key = %self.key, "a lease was lost while it was used");
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

/// A lease that is released when it is dropped, as far as that can be done without waiting.
pub(super) struct Releasing {
    lease: Lease,
    is_released: bool,
}

impl Releasing {
    pub(super) fn new(lease: Lease) -> Releasing {
        Releasing { lease, is_released: false }
    }

    /// Gives the lease back. If that fails it expires.
    pub(super) async fn release(mut self) {
        if let Err(error) = self.lease.release().await {
            tracing::debug!(target: "dust_orm", key = %self.lease.key, %error, "a lease is left to expire");
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
            // What the first poll has not handed over stays undone.
            let _ = self.lease.release().now_or_never();
        }
    }
}

/// What a lease's value says.
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
async fn write(repo: &DustRepo, key: &Path, op: Op) -> Result<Terms, DustErr> {
    let transport = repo.active();
    check(op.kind().name(), None, &*transport)?;
    let receipt = transport.write(Write::new(key.clone(), op)).await?;
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

/// Some ten years: enough for anything that is meant to end, and safe to add to any clock.
const MAX_TTL_MS: i64 = 3_650 * 86_400_000;

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
