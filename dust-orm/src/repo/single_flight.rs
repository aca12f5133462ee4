//! `single_flight`: one of many concurrent callers computes a value for all.
//!
//! ```text
//!                    fresh value stored
//! caller ---------------------------------------------> Flight (Stored)
//!    |  no fresh value
//!    v
//!  take the lease --- held by another ---> wait for a change ---> Flight (Awaited), stale value or LeaseHeld
//!    |  taken                                    |  the lease is free, or was not renewed for its ttl
//!    |<------------------------------------------+
//!    v
//!  run `work`, renew meanwhile ---> publish, release ---> Flight (Computed)
//! ```

mod flight;
mod options;
#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;

use std::time::Duration;

use dust_protocol::{LeafKind, Op, Path, Pattern, RawJson};
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DustRepo;
use super::field::check_typed_op;
use super::lease::Releasing;
use crate::error::{DustErr, ErrKind};
use crate::runtime::jitter;
pub use flight::{Flight, Source};
pub use options::{FlightOptions, OnUnavailable};

/// The path above the leases of flights, followed by the key of the value. Other Dust clients use the same.
pub(super) const LEASES: &str = "_dust:sf";

/// The longest random pause before a flight without a value is taken over, so that waiting callers do not all try at
/// the same time.
const TAKEOVER_JITTER: Duration = Duration::from_millis(250);

/// The shortest pause between two looks, for any options.
const MIN_PAUSE: Duration = Duration::from_millis(1);

impl DustRepo {
    /// Returns the value that is stored under a key, or lets one of all concurrent callers, in any process, compute it.
    ///
    /// A stored value that is [fresh](FlightOptions::fresh_if) is returned at once. Otherwise one caller takes a lease
    /// and runs `work`, renewing the lease meanwhile; the others wait and return the value that it publishes. If `work`
    /// returns `Ok`, the value is published. If it returns `Err`, its caller gets that error, no value is published,
    /// and one of the waiting callers runs its own `work`. Publish the absence of a value as a value too (such as an
    /// `Option`), so that not every caller looks for it again.
    ///
    /// The value is stored as JSON text in the one leaf `key`, a path that nothing else uses; keep it small. A stored
    /// text that `T` cannot read counts as absent. The lease is at `_dust:sf/<key>`, as with other Dust clients.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// use dust_orm::repo::{FlightOptions, Source};
    /// use dust_orm::{DustErr, DustRepo};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Report {
    ///     day: u32,
    ///     total: u64,
    /// }
    ///
    /// let repo = DustRepo::embedded();
    /// let today = 20_000;
    /// let options = || FlightOptions::new().fresh_if(move |report: &Report| report.day == today);
    /// let compute = async |_| Ok::<_, DustErr>(Report { day: today, total: 42 });
    ///
    /// let first = repo.single_flight("reports/daily", options(), compute).await?;
    /// assert_eq!((first.source, first.value.total), (Source::Computed, 42));
    /// let again = repo.single_flight("reports/daily", options(), compute).await?;
    /// assert_eq!(again.source, Source::Stored);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # At least once
    ///
    /// Normally `work` runs once for each published value. It runs again if its process ends or stops for longer than
    /// the ttl of the lease, if it returns `Err` or cannot publish, and if Dust is unreachable and each caller [runs it
    /// locally](OnUnavailable::RunLocal). So a second run must be harmless. A caller that has lost the lease publishes
    /// nothing, and writes nothing through the repo that `work` receives: both are [`Fenced`](DustErr::Fenced).
    ///
    /// # Waiting
    ///
    /// Waiting callers receive changes if the transport has subscriptions, and look every
    /// [50 ms](FlightOptions::look_every) otherwise. A flight whose lease is not renewed for
    /// [`lease_ttl`](FlightOptions::lease_ttl) is taken over. After [`wait`](FlightOptions::wait) a caller returns the
    /// stored value, though it is no longer fresh, marked as [`stale`](Flight::stale).
    ///
    /// If the future is dropped or `work` panics, `work` is dropped and the lease is released, if that is possible
    /// without waiting. `work` runs in the same task as the renewals of the lease and must not block its thread.
    ///
    /// # Errors
    /// - The error of `work`.
    /// - [`LeaseHeld`](DustErr::LeaseHeld) after [`wait`](FlightOptions::wait) without a stored value, or if
    ///   [stale values are refused](FlightOptions::refuse_stale).
    /// - [`InvalidParams`](DustErr::InvalidParams) if the key is invalid or has leaves of another origin, and if a
    ///   value cannot be written as JSON and read back.
    /// - [`NotSupported`](DustErr::NotSupported) over HTTP.
    /// - Errors of the [transport](crate::Transport::write). If Dust is unreachable before the work has begun, only
    ///   with [`OnUnavailable::Error`].
    pub async fn single_flight<T, E, F, W>(
        &self,
        key: impl AsRef<str>,
        options: FlightOptions<T>,
        work: F,
    ) -> Result<Flight<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<DustErr>,
        F: FnOnce(DustRepo) -> W,
        W: Future<Output = Result<T, E>>,
    {
        check_typed_op("single_flight", None, &*self.active())?;
        let key = Path::parse(key.as_ref()).map_err(DustErr::from)?;
        let lease = Path::parse(&format!("{LEASES}/{key}")).map_err(DustErr::from)?;
        let mut wait =
            Wait { repo: self, paths: [key, lease], options: &options, lease: None, lease_since: Duration::ZERO };
        let lease = match wait.turn().await {
            Ok(Turn::Done(flight)) => return Ok(flight),
            Ok(Turn::Ours(lease)) => lease,
            Err(error) if options.on_unavailable == OnUnavailable::RunLocal && is_unavailable(&error) => {
                let key = &wait.paths[0];
                tracing::warn!(target: "dust_orm", %key, %error, "a flight is not coordinated: its work runs locally");
                let value = round_trip(&work(self.clone()).await?)?.1;
                return Ok(Flight { coordinated: false, ..Flight::new(value, Source::Computed) });
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = lease.renewed_during(&*options.world, work(lease.repo())).await;
        let published = match outcome {
            Ok(value) => self.publish(&wait.paths[0], &value, &lease).await.map_err(E::from),
            Err(error) => Err(error),
        };
        lease.release().await;
        published.map(|value| Flight::new(value, Source::Computed))
    }

    /// Stores a value while the lease is held, and returns it as other callers read it.
    async fn publish<T>(&self, key: &Path, value: &T, lease: &Releasing) -> Result<T, DustErr>
    where
        T: Serialize + DeserializeOwned,
    {
        let (text, value) = round_trip(value)?;
        let text = RawJson::from_serialize(text.as_str()).map_err(unusable)?;
        let op = Op::set(key.clone(), text);
        self.active().write(vec![op], Some(lease.fence())).await?;
        Ok(value)
    }
}

/// Writes a value as JSON and reads it back.
fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> Result<(RawJson, T), DustErr> {
    let text = RawJson::from_serialize(value).map_err(unusable)?;
    let value = text.to().map_err(unusable)?;
    Ok((text, value))
}

fn unusable(error: serde_json::Error) -> DustErr {
    DustErr::invalid_params(format!("the computed value cannot be written as JSON and read back: {error}"))
        .with_source(error)
}

/// True if Dust is unreachable or did not answer.
fn is_unavailable(error: &DustErr) -> bool {
    matches!(error, DustErr::Network { .. } | DustErr::Timeout { .. } | DustErr::Http { status: 500.., .. })
}

/// The result of waiting.
enum Turn<T> {
    /// There is a value.
    Done(Flight<T>),
    /// The caller has the lease and computes the value.
    Ours(Releasing),
}

/// The contents of the two paths at one moment.
struct Look<T> {
    value: Found<T>,
    /// The revision of the lease; `None` if there is none.
    lease: Option<u64>,
}

enum Found<T> {
    Nothing,
    Stale(T),
    Fresh(T),
}

/// A caller that waits for a value, or for the lease to compute it.
struct Wait<'a, T> {
    repo: &'a DustRepo,
    /// The paths of the value and of the lease.
    paths: [Path; 2],
    options: &'a FlightOptions<T>,
    /// The revision of the lease at the last look. A renewal changes it.
    lease: Option<u64>,
    /// The time since which it has been that, by this process's clock: no two clocks need to agree.
    lease_since: Duration,
}

impl<T: DeserializeOwned> Wait<'_, T> {
    /// Waits until there is a value or the caller has the lease.
    async fn turn(&mut self) -> Result<Turn<T>, DustErr> {
        let world = &*self.options.world;
        let deadline = world.now().saturating_add(self.options.wait_or_default());
        if let Found::Fresh(value) = self.look().await?.value {
            return Ok(Turn::Done(Flight::new(value, Source::Stored)));
        }
        if let Some(turn) = self.take().await? {
            return Ok(turn);
        }
        let mut changes = self.changes().await;
        loop {
            // A change may have come before the subscription began.
            let mut look = self.look().await?;
            if self.is_free(&look) {
                let left = deadline.saturating_sub(world.now());
                world.pause(jitter(world, TAKEOVER_JITTER.min(left))).await;
                look = self.look().await?;
            }
            if let Found::Fresh(value) = look.value {
                return Ok(Turn::Done(Flight::new(value, Source::Awaited)));
            }
            if self.is_free(&look)
                && let Some(turn) = self.take().await?
            {
                return Ok(turn);
            }
            let now = world.now();
            if now >= deadline {
                return self.give_up(look.value);
            }
            let silent_at = self.lease_since.saturating_add(self.options.lease_ttl);
            changes = self.pause(deadline.min(silent_at).saturating_sub(now), changes).await;
        }
    }

    /// The result when the time to wait is over.
    fn give_up(&self, found: Found<T>) -> Result<Turn<T>, DustErr> {
        match found {
            Found::Stale(value) if self.options.allow_stale => {
                Ok(Turn::Done(Flight { stale: true, ..Flight::new(value, Source::Stored) }))
            }
            _ => Err(DustErr::LeaseHeld { key: self.paths[1].to_string() }),
        }
    }

    /// Tries to take the lease. Returns `None` if another caller has it.
    async fn take(&mut self) -> Result<Option<Turn<T>>, DustErr> {
        let [key, lease] = &self.paths;
        let mut lease = self.repo.lease(lease, self.options.lease_ttl);
        if let Some(holder) = &self.options.holder {
            lease = lease.holder(holder);
        }
        let lease = match lease.await {
            Ok(lease) => Releasing::new(lease),
            Err(error) if error.kind() == ErrKind::LeaseHeld => {
                self.lease_since = self.options.world.now();
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // A value may have been published between the look and the lease.
        let key = key.clone();
        if let Found::Fresh(value) = self.look().await?.value {
            lease.release().await;
            return Ok(Some(Turn::Done(Flight::new(value, Source::Awaited))));
        }
        if self.repo.active().exists(&key).await? {
            return Err(DustErr::invalid_params(format!(
                "there are leaves below `{key}`, which the value would replace: use another key"
            )));
        }
        Ok(Some(Turn::Ours(lease)))
    }

    /// True if there is no lease, or it was not renewed for its ttl.
    fn is_free(&self, look: &Look<T>) -> bool {
        let silence = self.options.world.now().saturating_sub(self.lease_since);
        look.lease.is_none() || silence >= self.options.lease_ttl
    }

    /// Reads the value and the lease in one request.
    async fn look(&mut self) -> Result<Look<T>, DustErr> {
        let mut leaves = self.repo.active().get_many(&self.paths).await?.into_iter();
        let value = leaves.next().flatten();
        let lease = leaves.next().flatten().map(|lease| lease.revision);
        if lease != self.lease {
            self.lease = lease;
            self.lease_since = self.options.world.now();
        }
        let value = match value {
            None => Found::Nothing,
            Some(entry) => {
                let text: Option<String> = (entry.kind == LeafKind::String).then(|| entry.value.to().ok()).flatten();
                let Some(text) = text else {
                    return Err(DustErr::invalid_params(format!(
                        "`{}` holds a {} that `single_flight` has not written: use another key",
                        self.paths[0],
                        entry.kind.name()
                    )));
                };
                match serde_json::from_str(&text) {
                    Ok(value) if self.options.is_fresh(&value) => Found::Fresh(value),
                    Ok(value) => Found::Stale(value),
                    Err(_) => Found::Nothing,
                }
            }
        };
        Ok(Look { value, lease })
    }

    /// Waits for a change, or for at most `most`. Returns the stream of changes, unless it has ended.
    async fn pause(&self, most: Duration, changes: Option<Changes>) -> Option<Changes> {
        let world = &*self.options.world;
        match changes {
            None => {
                world.pause(most.min(self.options.look_every).max(MIN_PAUSE)).await;
                None
            }
            Some(mut changes) => {
                let is_over = match select(changes.next(), world.pause(most.max(MIN_PAUSE))).await {
                    Either::Left((change, _)) => change.is_none(),
                    Either::Right(_) => false,
                };
                (!is_over).then_some(changes)
            }
        }
    }

    /// A stream with an item for each change of the two paths; `None` if the transport has no subscriptions.
    async fn changes(&self) -> Option<Changes> {
        let hub = self.repo.active().op_hub().await.ok()?;
        let [key, lease] = &self.paths;
        let changes_of = |path: &Path| Some(hub.subscribe(&Pattern::parse(path.as_str()).ok()?, 1));
        Some(stream::select(changes_of(key)?, changes_of(lease)?).map(drop).boxed())
    }
}

type Changes = BoxStream<'static, ()>;
