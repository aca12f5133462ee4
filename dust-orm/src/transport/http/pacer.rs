//! Delays of writes that keep them within the rate limit.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Length of a window of the server's rate limit. A window begins with a minute of the wall clock.
const WINDOW: Duration = Duration::from_secs(60);

/// The number of writes that the server still accepts in this window.
///
/// Every answer of a server states the exact number; between answers the pacer counts the writes in progress. Times are
/// those of this machine's wall clock. A refusal states when the server's window ends, and so the difference of its
/// clock.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// The end of the window, since 1970.
    end: Duration,
    /// The number of writes left; `None` until the server has stated it.
    left: Option<u32>,
}

impl Pacer {
    /// Takes one of the writes that are left, or returns the time until the next window.
    pub(super) fn take(&self, unix_time: Duration) -> Result<(), Duration> {
        let mut window = self.window();
        window.roll(unix_time);
        match &mut window.left {
            Some(0) => Err(window.end - unix_time),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Records the content of an answer to a write: the writes left, and after a refusal the start of the next window.
    pub(super) fn observe(&self, unix_time: Duration, remaining: Option<u32>, refused_for: Option<Duration>) {
        let mut window = self.window();
        window.roll(unix_time);
        if let Some(wait) = refused_for {
            window.end = unix_time.saturating_add(wait.min(WINDOW));
            window.left = Some(0);
        } else if let Some(remaining) = remaining {
            // Answers may arrive in another order than they were given; within a window the number only decreases.
            window.left = Some(window.left.map_or(remaining, |left| left.min(remaining)));
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Begins another window if this one has ended, or if the clock was set back.
    fn roll(&mut self, unix_time: Duration) {
        if self.end > unix_time && self.end - unix_time <= WINDOW {
            return;
        }
        // All windows end at the same second of a minute.
        let phase = self.end.as_secs() % WINDOW.as_secs();
        let since = (unix_time.as_secs() + WINDOW.as_secs() - phase) % WINDOW.as_secs();
        self.end = Duration::from_secs(unix_time.as_secs() + WINDOW.as_secs() - since);
        self.left = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moment `seconds` after a full hour.
    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn writes_go_through_until_the_server_says_how_many_are_left() {
        let pacer = Pacer::default();
        assert_eq!(pacer.take(at(1)), Ok(()));
        assert_eq!(pacer.take(at(2)), Ok(()));
    }

    #[test]
    fn writes_wait_for_the_next_minute_once_they_are_used_up() {
        let pacer = Pacer::default();
        pacer.observe(at(3), Some(1), None);
        assert_eq!(pacer.take(at(4)), Ok(()));
        assert_eq!(pacer.take(at(5)), Err(Duration::from_secs(55)));
        assert_eq!(pacer.take(at(60)), Ok(()));
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_give_writes_back() {
        let pacer = Pacer::default();
        pacer.observe(at(1), Some(0), None);
        pacer.observe(at(2), Some(5), None);
        assert!(pacer.take(at(3)).is_err());
    }

    #[test]
    fn a_refusal_tells_when_the_servers_minute_ends() {
        let pacer = Pacer::default();
        pacer.observe(at(20), Some(0), Some(Duration::from_secs(30)));
        assert_eq!(pacer.take(at(20)), Err(Duration::from_secs(30)));
        assert_eq!(pacer.take(at(50)), Ok(()));
        pacer.observe(at(51), Some(0), None);
        assert_eq!(pacer.take(at(80)), Err(Duration::from_secs(30)), "windows keep the server's phase");
    }

    #[test]
    fn a_clock_that_is_set_back_does_no_harm() {
        let pacer = Pacer::default();
        pacer.observe(at(20), None, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(pacer.take(at(20)), Err(WINDOW), "a window is no longer than that");
        assert_eq!(pacer.take(Duration::from_secs(3)), Ok(()));
        pacer.observe(Duration::from_secs(3), Some(0), None);
        assert_eq!(pacer.take(Duration::from_secs(4)), Err(Duration::from_secs(16)));
        assert_eq!(pacer.take(Duration::ZERO), Err(Duration::from_secs(20)));
    }
}
