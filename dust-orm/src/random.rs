//! Random numbers, and pauses that grow with the number of failures.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The distance between two states of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator of random numbers (SplitMix64). Equal seeds give equal numbers. Not for secrets.
#[derive(Debug)]
pub(crate) struct Rng(AtomicU64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(AtomicU64::new(seed))
    }

    /// A generator with a seed from the operating system.
    pub(crate) fn from_system() -> Rng {
        // The standard library draws the keys of its hash maps from the system.
        Rng::new(RandomState::new().hash_one(STEP))
    }

    pub(crate) fn next_u64(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A duration between 0 and `max`, in proportion to a random number.
pub(crate) fn share(random: u64, max: Duration) -> Duration {
    // A float holds 53 bits exactly.
    let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
    max.mul_f64(fraction)
}

/// A pause that doubles with each failure: `min` after none, at most `max`.
#[cfg(feature = "http")]
pub(crate) fn backoff(failures: u32, min: Duration, max: Duration) -> Duration {
    min.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "http")]
    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let pause = |failures| backoff(failures, Duration::from_millis(10), Duration::from_secs(5)).as_millis();
        assert_eq!([0, 1, 5, 8, 9, 31, 32, u32::MAX].map(pause), [10, 20, 320, 2_560, 5_000, 5_000, 5_000, 5_000]);
        assert_eq!(backoff(3, Duration::ZERO, Duration::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn share_is_within_its_maximum() {
        let max = Duration::from_secs(1);
        assert_eq!(share(0, max), Duration::ZERO);
        assert_eq!(share(1 << 63, max), max / 2);
        assert!(share(u64::MAX, max) <= max);
    }

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let numbers = |seed| {
            let rng = Rng::new(seed);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        // The reference implementation's first number of seed 0.
        assert_eq!(numbers(0)[0], 0xe220_a839_7b1d_cdaf);
        assert_ne!(Rng::from_system().next_u64(), Rng::from_system().next_u64());
    }
}
