//! The budget that all retries of a transport are paid from.

use std::sync::atomic::{AtomicU32, Ordering};

/// Tokens: a retry takes some, a success gives one back. A server in trouble is asked again and again only while there
/// are successes, too.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU32,
    capacity: u32,
}

/// What a retry costs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cost {
    Retry = 5,
    /// A timeout has already cost the server, and the caller, more.
    AfterTimeout = 10,
}

impl Budget {
    pub(super) fn new(capacity: u32) -> Budget {
        Budget { left: AtomicU32::new(capacity), capacity }
    }

    /// Whether there is enough left for a retry, which is then paid.
    pub(super) fn pay(&self, cost: Cost) -> bool {
        let pay = |left: u32| left.checked_sub(cost as u32);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }

    pub(super) fn success(&self) {
        let refill = |left: u32| (left < self.capacity).then_some(left + 1);
        // An error says that it is full.
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
