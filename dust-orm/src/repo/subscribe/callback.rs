//! Functions that receive every event.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::{Event, Subscribe, Subscription};
use crate::entity::DustEntity;
use crate::error::DustErr;

impl<E: DustEntity> Subscribe<'_, E> {
    /// Calls a function for every event, one call after the other, in a task of the current tokio runtime, until the
    /// [`Callback`] is dropped.
    ///
    /// The next call begins after the future of the previous one has ended. Meanwhile events wait in the queue of the
    /// subscription. A call that panics is logged, and the next event is delivered. The subscribers of a
    /// [`Broadcast`](super::Broadcast) share one decoded record, so it suits many tasks better.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let (slug, title, url) = (Set("dust".into()), Set("Dust".into()), Set("u".into()));
    /// # let draft = link::ActiveModel { slug, title, url, note: NotSet };
    /// let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    /// let callback = repo
    ///     .subscribe::<link::Entity>()
    ///     .on_change(move |event| {
    ///         let sender = sender.clone();
    ///         async move { drop(sender.send(event).await) }
    ///     })
    ///     .await?;
    /// let link = repo.insert(draft).await?;
    /// assert_eq!(receiver.recv().await, Some(Event::Upserted(link)));
    /// drop(callback);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `NotSupported` if the transport has no subscriptions, or outside of a tokio runtime. Otherwise the errors of
    /// [`subscribe`](crate::DustRepo::subscribe).
    pub async fn on_change<F>(
        self,
        callback: impl FnMut(Event<E::Model>) -> F + Send + 'static,
    ) -> Result<Callback, DustErr>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let transport = self.repo.source_for::<E>();
        let runtime = Handle::try_current().map_err(|_| DustErr::NotSupported {
            operation: "a callback".to_owned(),
            transport: transport.name(),
            hint: "it runs in a task: call this in a tokio runtime".to_owned(),
        })?;
        let subscription = self.await?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = {
            let (stopped, end) = (Arc::clone(&stopped), subscription.source.ender());
            move || {
                stopped.store(true, Ordering::SeqCst);
                end();
            }
        };
        runtime.spawn(call(subscription, callback, stopped));
        Ok(Callback { stop: Some(Box::new(stop)) })
    }
}

async fn call<E: DustEntity, F: Future<Output = ()>>(
    mut events: Subscription<E>,
    mut callback: impl FnMut(Event<E::Model>) -> F,
    stopped: Arc<AtomicBool>,
) {
    while let Some(event) = events.next().await {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        // The function itself may panic too, before its future is made.
        let calling = async { callback(event).await };
        if AssertUnwindSafe(calling).catch_unwind().await.is_err() {
            tracing::error!(
                target: "dust_orm",
                prefix = E::PREFIX.join("/"),
                "a callback panicked; it is called for the next event"
            );
        }
    }
}

/// The registration of a function of [`Subscribe::on_change`]. Dropping it unsubscribes without waiting: a call that
/// has begun runs to its end.
#[must_use = "dropping the callback ends it"]
pub struct Callback {
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Callback {
    /// Keeps the function subscribed until the transport is closed.
    pub fn detach(mut self) {
        self.stop = None;
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}
