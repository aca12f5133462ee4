//! The messages of a channel that are not answered yet.

use std::collections::VecDeque;
use std::time::Duration;

use super::timeout::Timeout;

/// Number of messages of one channel that may be unanswered at a time.
///
/// A join waits until all of them are answered, and new messages wait until the join is: so this bounds the time that a
/// hole stays open beside many writers. 64 keep a loopback server busy, and take 0.13 s on a server at 2 ms a message.
const MAX_UNANSWERED: usize = 64;

#[derive(Debug)]
struct Sent {
    reference: u64,
    bytes: usize,
}

/// The messages of a channel that are not answered, oldest first.
///
/// A channel reads its messages in order. So an answer to one means that those before it were read too: their answers
/// are lost, and no join can discard them unread.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    sent: VecDeque<Sent>,
    /// The bytes of all of them.
    bytes: usize,
    /// The wait for the next answer, while one is due.
    timeout: Option<Timeout>,
    read: Option<Read>,
}

/// The last message whose own op has arrived: the channel has read it, and its answer follows.
#[derive(Clone, Copy, Debug)]
struct Read {
    reference: u64,
    at: Duration,
}

impl Unanswered {
    /// Adds a message. `timeout` is the wait for its answer.
    pub(super) fn push(&mut self, reference: u64, bytes: usize, timeout: Timeout) {
        self.sent.push_back(Sent { reference, bytes });
        self.bytes += bytes;
        self.timeout.get_or_insert(timeout);
    }

    /// True if one more message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.sent.len() < MAX_UNANSWERED
    }

    /// The bytes of the messages that are not answered.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes a message that is answered, and those before it. `timeout` makes the wait for the next answer, if one is
    /// due, from the bytes of its message.
    pub(super) fn answered(&mut self, reference: u64, timeout: impl FnOnce(usize) -> Timeout) {
        let before = self.sent.len();
        while let Some(first) = self.sent.front().filter(|first| first.reference <= reference) {
            self.bytes -= first.bytes;
            self.sent.pop_front();
        }
        if self.sent.len() < before {
            self.timeout = self.sent.front().map(|next| timeout(next.bytes));
        }
    }

    /// Notes that the op of a message has arrived.
    pub(super) fn op_arrived(&mut self, reference: u64, now: Duration) {
        if self.read.is_none_or(|last| last.reference < reference) {
            self.read = Some(Read { reference, at: now });
        }
    }

    /// The time at which every message is answered or never will be; `None` while the channel may not have read one.
    /// The wait for a message whose op has arrived is at most `grace`, as its answer follows its op at once or is lost.
    pub(super) fn settled_at(&self, grace: Duration) -> Option<Duration> {
        let Some(last) = self.sent.back() else { return Some(Duration::ZERO) };
        self.read.filter(|read| read.reference >= last.reference).map(|read| read.at.saturating_add(grace))
    }

    /// The wait for the next answer, while one is due.
    pub(super) fn timeout(&mut self) -> Option<&mut Timeout> {
        self.timeout.as_mut()
    }

    /// The time of the next check of that wait.
    pub(super) fn check_at(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.check_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn timeout(ms: u64) -> Timeout {
        Timeout::new(at(ms), at(10_000), 0)
    }

    #[test]
    fn answer_settles_its_message_and_those_before_it() {
        let mut unanswered = Unanswered::default();
        assert_eq!(unanswered.settled_at(at(250)), Some(Duration::ZERO));
        (1..=3).for_each(|reference| unanswered.push(reference, 1, timeout(reference)));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.check_at()), (None, Some(at(10_001))));
        unanswered.answered(2, |_| timeout(50));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.check_at()), (None, Some(at(10_050))));
        unanswered.answered(2, |_| timeout(60));
        assert_eq!(unanswered.check_at(), Some(at(10_050)), "a repeated answer does not extend the wait");
        assert_eq!(unanswered.bytes(), 1);
        unanswered.answered(3, |_| timeout(70));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.check_at()), (Some(Duration::ZERO), None));
    }

    #[test]
    fn message_whose_op_has_arrived_is_settled_after_grace() {
        let mut unanswered = Unanswered::default();
        unanswered.push(1, 1, timeout(0));
        unanswered.push(2, 1, timeout(0));
        unanswered.op_arrived(1, at(10));
        assert_eq!(unanswered.settled_at(at(250)), None);
        unanswered.op_arrived(2, at(20));
        assert_eq!(unanswered.settled_at(at(250)), Some(at(270)));
    }

    #[test]
    fn full_window_has_no_room_until_an_answer_arrives() {
        let mut unanswered = Unanswered::default();
        (1..=MAX_UNANSWERED as u64).for_each(|reference| unanswered.push(reference, 1, timeout(0)));
        assert!(!unanswered.has_room());
        unanswered.answered(1, |_| timeout(1));
        assert!(unanswered.has_room());
    }
}
