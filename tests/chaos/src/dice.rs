//! Random numbers from a seed.

use std::time::Duration;

/// A small generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Makes the generator of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Returns a number of the full range.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// Returns a number within bounds, both included.
    pub fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Returns an index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        // Fits: it is less than `len`.
        self.below(len as u64) as usize
    }

    /// Returns true with a probability of `share` percent.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// Returns one of several values, with the probability of its weight; `None` only for an empty list.
    pub fn pick<T: Copy>(&mut self, weighted: &[(u64, T)]) -> Option<T> {
        let mut at = self.below(weighted.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in weighted {
            match at.checked_sub(*weight) {
                None => return Some(*item),
                Some(rest) => at = rest,
            }
        }
        None
    }

    /// Returns a time within bounds in milliseconds, with fractions.
    pub fn time(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_micros(self.within(least_ms * 1000, most_ms * 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_same_numbers() {
        let rolls = |seed| (0..4).scan(Dice::new(seed), |dice, _| Some(dice.roll())).collect::<Vec<_>>();
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn weights_and_bounds_are_kept() {
        let mut dice = Dice::new(1);
        let picked: Vec<char> = (0..1000).filter_map(|_| dice.pick(&[(9, 'a'), (0, 'b'), (1, 'c')])).collect();
        assert!(!picked.contains(&'b') && picked.contains(&'c'));
        assert!(picked.iter().filter(|picked| **picked == 'a').count() > 800);
        assert_eq!(dice.pick::<char>(&[]), None);
        assert!((0..1000).map(|_| dice.within(3, 5)).all(|number| (3..=5).contains(&number)));
    }
}
