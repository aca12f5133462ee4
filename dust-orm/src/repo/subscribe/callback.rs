//! A function that is called for every event.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_util::FutureExt;

use super::{Event, Subscribe, Subscription};
use crate::DustRepo;
use crate::block_on::block_on;
use crate::entity::DustEntity;
use crate::error::DustErr;

impl DustRepo {
    /// Calls an async function for every change to the records of an entity, until the [`Callback`] is dropped. To choose
    /// the queue or to begin with what is there, use [`Subscribe::on`].
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), url: Set("u".into()), note: NotSet };
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let links = repo.on::<link::Entity>(async move |event| drop(tell.send(event))).await?;
    /// let link = repo.insert(draft).await?;
    /// assert_eq!(told.recv().unwrap(), Event::Upserted(link));
    /// drop(links);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn on<E: DustEntity>(
        &self,
        callback: impl AsyncFnMut(Event<E::Model>) + Send + 'static,
    ) -> Result<Callback, DustErr> {
        self.subscribe::<E>().on(callback).await
    }
}

impl<E: DustEntity> Subscribe<'_, E> {
    /// Calls an async function for every event, one after the other, until the [`Callback`] is dropped.
    ///
    /// It runs on a thread of its own, so that it may take its time, and its future need not be `Send`; a tokio runtime
    /// that is there when this is called is there inside, too. A call that panics is logged, and the next event is
    /// delivered all the same. For more than a handful, share a [`Broadcast`](super::Broadcast) among tasks instead.
    pub async fn on(self, callback: impl AsyncFnMut(Event<E::Model>) + Send + 'static) -> Result<Callback, DustErr> {
        let transport = self.repo.source();
        let subscription = self.await?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = {
            let (stopped, watch, seat) = (Arc::clone(&stopped), Arc::clone(&subscription.watch), subscription.seat);
            move || {
                stopped.store(true, Ordering::SeqCst);
                watch.leave(seat);
            }
        };
        let runtime = tokio::runtime::Handle::try_current();
        let run = move || {
            let _entered = runtime.as_ref().ok().map(tokio::runtime::Handle::enter);
            block_on(call(subscription, callback, &stopped));
        };
        match thread::Builder::new().name("dust-callback".to_owned()).spawn(run) {
            Ok(_) => Ok(Callback { stop: Some(Box::new(stop)) }),
            Err(error) => Err(DustErr::NotSupported {
                operation: "a callback".to_owned(),
                transport: transport.name(),
                hint: format!("there is no thread for it ({error}); read the stream of `subscribe` in a task instead"),
            }),
        }
    }
}

async fn call<E: DustEntity>(
    mut events: Subscription<E>,
    mut callback: impl AsyncFnMut(Event<E::Model>),
    stopped: &AtomicBool,
) {
    while let Some(event) = events.next().await {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        if AssertUnwindSafe(async { callback(event).await }).catch_unwind().await.is_err() {
            tracing::error!(target: "dust_orm", prefix = E::PREFIX.join("/"), "a callback panicked; it is called for the next event");
        }
    }
}

/// Keeps a function of [`DustRepo::on`] being called; dropping it ends that, and waits for nothing: a call that is under
/// way ends in its own time.
#[must_use = "dropping the callback ends it"]
pub struct Callback {
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Callback {
    /// Goes on calling until the transport is closed.
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
