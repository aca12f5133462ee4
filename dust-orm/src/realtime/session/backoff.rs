//! Pauses that grow, and the randomness that keeps clients from coming back all at once.

use std::time::Duration;

/// A small generator of random numbers (SplitMix64): the same seed gives the same session.
#[derive(Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A pause after so many failures: between half and the whole of `min` doubled so often, but `max` at the most.
    pub(super) fn pause(&mut self, failures: u32, min: Duration, max: Duration) -> Duration {
        let whole = min.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max);
        let half = whole / 2;
        // A share of 2^32, which is fine enough.
        let share = (self.roll() >> 32) as f64 / f64::from(u32::MAX);
        half + half.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds() {
        let (min, max) = (Duration::from_millis(10), Duration::from_secs(5));
        let mut dice = Rng::new(1);
        for failures in [0, 1, 5, 9, 31, 32, 1000, u32::MAX] {
            let whole = min.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max);
            for _ in 0..200 {
                let pause = dice.pause(failures, min, max);
                assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
            }
        }
        assert_eq!(dice.pause(3, Duration::ZERO, max), Duration::ZERO);
    }

    #[test]
    fn a_seed_decides_everything() {
        let rolls = |seed| (0..4).scan(Rng::new(seed), |dice, _| Some(dice.roll())).collect::<Vec<_>>();
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }
}
