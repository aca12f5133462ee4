//! The budget that pays for all retries of a transport.

use std::sync::atomic::{AtomicU32, Ordering};

/// Tokens for retries: a retry takes some, a success returns one. A server that fails receives repeated retries only
/// while there are successes, too.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU32,
    capacity: u32,
}

/// The cost of a retry, in tokens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cost {
    Retry = 5,
    /// The cost after a timeout, which has already cost the server, and the caller, more.
    AfterTimeout = 10,
}

impl Budget {
    pub(super) fn new(capacity: u32) -> Budget {
        Budget { left: AtomicU32::new(capacity), capacity }
    }

    /// Takes the cost of a retry. True if enough tokens were left; otherwise none are taken.
    pub(super) fn pay(&self, cost: Cost) -> bool {
        let pay = |left: u32| left.checked_sub(cost as u32);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }

    pub(super) fn success(&self) {
        let refill = |left: u32| (left < self.capacity).then_some(left + 1);
        // An error means that the budget is full.
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_paid_for_until_nothing_is_left() {
        let budget = Budget::new(20);
        assert!(budget.pay(Cost::AfterTimeout));
        assert!(budget.pay(Cost::Retry));
        assert!(!budget.pay(Cost::AfterTimeout));
        assert!(budget.pay(Cost::Retry));
        assert!(!budget.pay(Cost::Retry));
    }

    #[test]
    fn successes_refill_it_up_to_its_capacity() {
        let budget = Budget::new(5);
        budget.success();
        assert!(budget.pay(Cost::Retry));
        (0..4).for_each(|_| budget.success());
        assert!(!budget.pay(Cost::Retry));
        budget.success();
        assert!(budget.pay(Cost::Retry));
        assert!(!budget.pay(Cost::Retry), "what was refilled beyond the capacity is lost");
    }
}
