//! `single_flight`: many ask for a value, one computes it.

mod flight;
mod options;
#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;

use std::time::Duration;

use dust_protocol::{LeafKind, Op, Path, Pattern, RawJson, Write};
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DustRepo;
use super::field::check;
use super::lease::Releasing;
use crate::error::{DustErr, ErrKind};
use crate::runtime::jitter;
pub use flight::{Flight, Source};
pub use options::{FlightOptions, OnUnavailable};

/// Where the leases of flights are: this, and the key of the value. Other Dust clients use the same.
pub(super) const LOCKS: &str = "_dust:sf";

/// The longest pause before somebody else's flight that ended without a value is taken over, so that those who wait do not
/// all try at once.
const TAKEOVER_JITTER: Duration = Duration::from_millis(250);

/// So that waiting lets others go on, whatever the options say.
const LEAST_NAP: Duration = Duration::from_millis(1);

impl DustRepo {
    /// A value that is stored under a key, computed by one of all who ask for it at the same time, in whatever process.
    ///
    /// A stored value that is [fresh](FlightOptions::fresh_if) is the answer at once. Otherwise one caller takes a lease
    /// and runs `work`, renewing the lease meanwhile; the others wait and get what it publishes. `work` answers `Ok` to
    /// publish a value, or `Err` to give up: its caller gets that error, nothing is published, and one of those who wait
    /// tries itself. Publish what is known not to be there as a value too (an `Option`, say), lest everybody looks for it.
    ///
    /// The value is kept as JSON text in one leaf at `key`, which is a path of its own; keep it small. A stored text that
    /// `T` cannot read counts as not there. The lease is at `_dust:sf/<key>`, as with other Dust clients.
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
    /// `work` runs once for each value that is published, while all goes well. It may run again: when its process dies or
    /// hangs for longer than the lease lasts, when it gives up or cannot publish, and where each caller
    /// [runs it for itself](OnUnavailable::RunLocal). So it must bear to be run twice. What is guaranteed is that a caller
    /// who has lost the lease publishes nothing, and writes nothing through the repo that `work` is given: both are
    /// [`Fenced`](DustErr::Fenced).
    ///
    /// # Waiting
    ///
    /// Those who wait hear of changes where the transport has subscriptions, and look every
    /// [50 ms](FlightOptions::look_every) elsewhere. A flight whose lease is silent for
    /// [`lease_ttl`](FlightOptions::lease_ttl) is taken over. After [`wait`](FlightOptions::wait) a value that is no longer
    /// fresh is better than none, and marked [`stale`](Flight::stale); without any, and where
    /// [stale values are refused](FlightOptions::refuse_stale), it is [`LeaseHeld`](DustErr::LeaseHeld).
    ///
    /// Dropping the future while `work` runs drops `work` and gives the lease back, as far as that can be done without
    /// waiting; so does a panic. `work` shares the task with the renewing of the lease and must not block its thread. Over
    /// HTTP it is [`NotSupported`](DustErr::NotSupported).
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
        check("single_flight", None, &*self.active())?;
        let key = Path::parse(key.as_ref()).map_err(DustErr::from)?;
        let lock = Path::parse(&format!("{LOCKS}/{key}")).map_err(DustErr::from)?;
        let mut wait =
            Wait { repo: self, places: [key, lock], options: &options, lock: None, lock_since: Duration::ZERO };
        let lease = match wait.turn().await {
            Ok(Turn::Over(flight)) => return Ok(flight),
            Ok(Turn::Ours(lease)) => lease,
            Err(error) if options.on_unavailable == OnUnavailable::RunLocal && is_unavailable(&error) => {
                tracing::warn!(target: "dust_orm", key = %wait.places[0], %error, "a flight is not coordinated");
                let value = same_for_all(&work(self.clone()).await?)?.1;
                return Ok(Flight { coordinated: false, ..Flight::new(value, Source::Computed) });
            }
            Err(error) => return Err(error.into()),
        };
        let outcome = lease.renewed_during(&*options.world, work(lease.repo())).await;
        let published = match outcome {
            Ok(value) => self.publish(&wait.places[0], &value, &lease).await.map_err(E::from),
            Err(error) => Err(error),
        };
        lease.release().await;
        published.map(|value| Flight::new(value, Source::Computed))
    }

    /// Stores a value while the lease is held, and gives it as everybody else reads it.
    async fn publish<T>(&self, key: &Path, value: &T, lease: &Releasing) -> Result<T, DustErr>
    where
        T: Serialize + DeserializeOwned,
    {
        let (text, value) = same_for_all(value)?;
        let text = RawJson::from_serialize(text.as_str()).map_err(unusable)?;
        let write = Write { fence: Some(lease.fence()), ..Write::new(key.clone(), Op::Set(text)) };
        self.active().write(write).await?;
        Ok(value)
    }
}

/// A value as JSON, and as it is read from that.
fn same_for_all<T: Serialize + DeserializeOwned>(value: &T) -> Result<(RawJson, T), DustErr> {
    let text = RawJson::from_serialize(value).map_err(unusable)?;
    let value = text.to().map_err(unusable)?;
    Ok((text, value))
}

fn unusable(error: serde_json::Error) -> DustErr {
    DustErr::invalid_params(format!("a value that was computed cannot be written as JSON and read back: {error}"))
        .with_source(error)
}

/// Whether it is Dust that could not be reached, or did not answer.
fn is_unavailable(error: &DustErr) -> bool {
    matches!(error, DustErr::Network { .. } | DustErr::Timeout { .. } | DustErr::Http { status: 500.., .. })
}

/// What comes of waiting.
enum Turn<T> {
    /// There is a value.
    Over(Flight<T>),
    /// It is the caller who has to compute it.
    Ours(Releasing),
}

/// What is in the two places at one moment.
struct Look<T> {
    value: Found<T>,
    /// The revision of the lease; `None` when nobody has one.
    lock: Option<u64>,
}

enum Found<T> {
    Nothing,
    Stale(T),
    Fresh(T),
}

/// A caller who waits for a value, or for the turn to compute it.
struct Wait<'a, T> {
    repo: &'a DustRepo,
    /// The value's path and the lease's.
    places: [Path; 2],
    options: &'a FlightOptions<T>,
    /// The revision of the lease when it was last seen, and since when it has been that: whoever renews it is alive. So no
    /// two clocks need to agree.
    lock: Option<u64>,
    lock_since: Duration,
}

impl<T: DeserializeOwned> Wait<'_, T> {
    async fn turn(&mut self) -> Result<Turn<T>, DustErr> {
        let world = &*self.options.world;
        let deadline = world.now().saturating_add(self.options.wait_or_default());
        if let Found::Fresh(value) = self.look().await?.value {
            return Ok(Turn::Over(Flight::new(value, Source::Stored)));
        }
        if let Some(turn) = self.take().await? {
            return Ok(turn);
        }
        let mut changes = self.changes().await;
        loop {
            // Something may have changed before changes were listened to.
            let mut look = self.look().await?;
            if self.is_free(&look) {
                let left = deadline.saturating_sub(world.now());
                world.pause(jitter(world, TAKEOVER_JITTER.min(left))).await;
                look = self.look().await?;
            }
            if let Found::Fresh(value) = look.value {
                return Ok(Turn::Over(Flight::new(value, Source::Awaited)));
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
            let silent_at = self.lock_since.saturating_add(self.options.lease_ttl);
            changes = self.nap(deadline.min(silent_at).saturating_sub(now), changes).await;
        }
    }

    fn give_up(&self, found: Found<T>) -> Result<Turn<T>, DustErr> {
        match found {
            Found::Stale(value) if self.options.allow_stale => {
                Ok(Turn::Over(Flight { stale: true, ..Flight::new(value, Source::Stored) }))
            }
            _ => Err(DustErr::LeaseHeld { key: self.places[1].to_string() }),
        }
    }

    /// Tries to take the lease. `None` when somebody else has it.
    async fn take(&mut self) -> Result<Option<Turn<T>>, DustErr> {
        let [key, lock] = &self.places;
        let mut lease = self.repo.lease(lock, self.options.lease_ttl);
        if let Some(holder) = &self.options.holder {
            lease = lease.holder(holder);
        }
        let lease = match lease.await {
            Ok(lease) => Releasing::new(lease),
            Err(error) if error.kind() == ErrKind::LeaseHeld => {
                self.lock_since = self.options.world.now();
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // What was published between the look and the lease.
        let key = key.clone();
        if let Found::Fresh(value) = self.look().await?.value {
            lease.release().await;
            return Ok(Some(Turn::Over(Flight::new(value, Source::Awaited))));
        }
        if self.repo.active().exists(&key).await? {
            return Err(DustErr::invalid_params(format!(
                "there are leaves below `{key}`, which the value would replace: use a key of its own"
            )));
        }
        Ok(Some(Turn::Ours(lease)))
    }

    /// Whether the lease may be had: nobody has it, or nobody renews it.
    fn is_free(&self, look: &Look<T>) -> bool {
        let silence = self.options.world.now().saturating_sub(self.lock_since);
        look.lock.is_none() || silence >= self.options.lease_ttl
    }

    async fn look(&mut self) -> Result<Look<T>, DustErr> {
        let mut leaves = self.repo.active().get_many(&self.places).await?.into_iter();
        let (value, lock) = (leaves.next().flatten(), leaves.next().flatten());
        let lock = lock.map(|lock| lock.revision);
        if lock != self.lock {
            self.lock = lock;
            self.lock_since = self.options.world.now();
        }
        let value = match value {
            None => Found::Nothing,
            Some(entry) => {
                let text: Option<String> = (entry.kind == LeafKind::String).then(|| entry.value.to().ok()).flatten();
                let Some(text) = text else {
                    return Err(DustErr::invalid_params(format!(
                        "`{}` holds a {} that `single_flight` has not written: use a key of its own",
                        self.places[0],
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
        Ok(Look { value, lock })
    }

    /// Waits for a change, or for a while. Gives back the changes, unless they have come to an end.
    async fn nap(&self, most: Duration, changes: Option<Changes>) -> Option<Changes> {
        let world = &*self.options.world;
        match changes {
            None => {
                world.pause(most.min(self.options.look_every).max(LEAST_NAP)).await;
                None
            }
            Some(mut changes) => {
                let is_over = match select(changes.next(), world.pause(most.max(LEAST_NAP))).await {
                    Either::Left((change, _)) => change.is_none(),
                    Either::Right(_) => false,
                };
                (!is_over).then_some(changes)
            }
        }
    }

    /// A stream that has an item whenever something happens in the two places; `None` where the transport has none.
    async fn changes(&self) -> Option<Changes> {
        let hub = self.repo.active().hub().await.ok()?;
        let [key, lock] = &self.places;
        let place = |path: &Path| Some(hub.subscribe(&Pattern::parse(path.as_str()).ok()?, 1));
        Some(stream::select(place(key)?, place(lock)?).map(drop).boxed())
    }
}

type Changes = BoxStream<'static, ()>;
