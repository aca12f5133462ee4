//! Waits with a time limit, inside and outside of a tokio runtime.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// The output of a future, or `None` if it takes longer than `limit`.
///
/// The runtime of the caller measures the time, so a wait for the client's task ends although the runtime of that task
/// is not driven. Outside of a tokio runtime a thread of this module measures it.
#[cfg(feature = "realtime")]
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    use futures_util::future::{Either, select};
    use std::pin::pin;

    if Handle::try_current().is_ok() {
        return tokio::time::timeout(limit, future).await.ok();
    }
    match select(pin!(future), pin!(alarm(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Waits, by the timer of the caller's tokio runtime, or by a thread of this module outside of a runtime.
pub(crate) async fn sleep(duration: Duration) {
    match Handle::try_current() {
        Ok(_) => tokio::time::sleep(duration).await,
        Err(_) => alarm(duration).await,
    }
}

/// Waits, by the thread of this module.
async fn alarm(duration: Duration) {
    let Some(end) = Instant::now().checked_add(duration) else { return pending().await };
    let mut alarmed: Option<Waker> = None;
    poll_fn(|context| {
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        if !alarmed.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            alarmed = Some(context.waker().clone());
            wake_at(end, context.waker().clone());
        }
        Poll::Pending
    })
    .await
}

type Alarm = (Instant, Waker);

/// Wakes a task at a given time, from one thread for all tasks.
fn wake_at(at: Instant, waker: Waker) {
    static ALARMS: LazyLock<Option<Sender<Alarm>>> = LazyLock::new(|| {
        let (alarms, added) = channel();
        thread::Builder::new().name("dust-alarms".to_owned()).spawn(move || ring(&added)).ok()?;
        Some(alarms)
    });
    // If the thread cannot be started, the task is woken only by the other futures that it polls.
    if let Some(alarms) = &*ALARMS {
        let _ = alarms.send((at, waker));
    }
}

fn ring(added: &Receiver<Alarm>) {
    let mut waiting: BTreeMap<Instant, Vec<Waker>> = BTreeMap::new();
    loop {
        let next = match waiting.first_key_value() {
            Some((at, _)) => added.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => added.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok((at, waker)) => waiting.entry(at).or_default().push(waker),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let later = waiting.split_off(&Instant::now());
        std::mem::replace(&mut waiting, later).into_values().flatten().for_each(Waker::wake);
    }
}
