//! A runtime for tests, whose time passes when no task can make progress.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dust_store::{Clock, ManualClock};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::sync::watch;

use super::Runtime;

/// The step of the time, in milliseconds.
const STEP_MS: u32 = 10;

/// The clock of the store, and random numbers that are a sequence.
#[derive(Debug)]
pub(crate) struct ManualRuntime {
    pub(crate) clock: Arc<ManualClock>,
    now: watch::Sender<Duration>,
    drawn: AtomicU64,
}

impl ManualRuntime {
    pub(crate) fn new() -> Arc<ManualRuntime> {
        let clock = Arc::new(ManualClock::new(1_000_000));
        Arc::new(ManualRuntime { clock, now: watch::Sender::new(Duration::ZERO), drawn: AtomicU64::new(0) })
    }

    pub(crate) fn advance(&self, ms: u32) {
        self.clock.advance(ms);
        self.now.send_replace(Duration::from_millis(self.clock.monotonic_ms()));
    }

    /// Lets time pass until a future is complete.
    pub(crate) async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        for _ in 0..100_000 {
            // Tasks that can make progress do so before time passes.
            for _ in 0..4 {
                if let Some(output) = future.as_mut().now_or_never() {
                    return output;
                }
                tokio::task::yield_now().await;
            }
            self.advance(STEP_MS);
        }
        panic!("the future makes no progress");
    }
}

impl Runtime for ManualRuntime {
    fn now(&self) -> Duration {
        *self.now.borrow()
    }

    #[cfg(feature = "http")]
    fn unix_time(&self) -> Duration {
        Duration::from_millis(self.clock.wall_ms().unsigned_abs())
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let end = self.now() + duration;
        let mut now = self.now.subscribe();
        Box::pin(async move {
            let _ = now.wait_for(|now| *now >= end).await;
        })
    }

    #[cfg(feature = "http")]
    fn limit(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pause(duration)
    }

    fn random(&self) -> u64 {
        // Spread over the whole range.
        self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
