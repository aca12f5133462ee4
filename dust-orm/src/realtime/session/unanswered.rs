//! What was sent on a channel and is not answered yet.

use std::collections::VecDeque;
use std::time::Duration;

use super::timeout::Timeout;

/// How many messages of one channel may be unanswered at a time.
///
/// A join has to wait until all of them are answered, and new ones wait until the join is: so this bounds how long a hole
/// stays open beside many writers. 64 keep a loopback server busy, and take a server at 2 ms a message 0.13 s.
const MAX_UNANSWERED: usize = 64;

#[derive(Debug)]
struct Sent {
    reference: u64,
    bytes: usize,
}

/// The messages of a channel that are not answered, oldest first.
///
/// A channel reads one message after the other, so an answer to one says that those before it were read too: their answers
/// are lost, and no join can end the channel before it reads them.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    sent: VecDeque<Sent>,
    /// How many bytes they are together.
    bytes: usize,
    /// For the next answer, while one is due.
    wait: Option<Timeout>,
    /// The last message whose own op has come, and when: the channel has read it, and its answer follows.
    read: Option<(u64, Duration)>,
}

impl Unanswered {
    /// Notes that a message was sent. `wait` is for its answer.
    pub(super) fn push(&mut self, reference: u64, bytes: usize, wait: Timeout) {
        self.sent.push_back(Sent { reference, bytes });
        self.bytes += bytes;
        self.wait.get_or_insert(wait);
    }

    /// Whether one more message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.sent.len() < MAX_UNANSWERED
    }

    /// How many bytes were sent that are not answered.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes the answer to a message. `wait` makes the wait for the next one, which has so many bytes, if one is due.
    pub(super) fn answered(&mut self, reference: u64, wait: impl FnOnce(usize) -> Timeout) {
        let before = self.sent.len();
        while let Some(first) = self.sent.front().filter(|first| first.reference <= reference) {
            self.bytes -= first.bytes;
            self.sent.pop_front();
        }
        if self.sent.len() < before {
            self.wait = self.sent.front().map(|next| wait(next.bytes));
        }
    }

    /// Notes that the op of a message has come.
    pub(super) fn read(&mut self, reference: u64, now: Duration) {
        if self.read.is_none_or(|(last, _)| last < reference) {
            self.read = Some((reference, now));
        }
    }

    /// When every message is answered or will not be: `None` while the channel may not have read one. A message whose op has
    /// come is waited for no longer than `grace`, as its answer follows its op at once or is lost.
    pub(super) fn settled_at(&self, grace: Duration) -> Option<Duration> {
        let Some(Sent { reference: last, .. }) = self.sent.back() else { return Some(Duration::ZERO) };
        self.read.filter(|(read, _)| read >= last).map(|(_, at)| at.saturating_add(grace))
    }

    /// The wait for the next answer, while one is due.
    pub(super) fn wait(&mut self) -> Option<&mut Timeout> {
        self.wait.as_mut()
    }

    /// When to look at that wait.
    pub(super) fn look_at(&self) -> Option<Duration> {
        self.wait.map(|wait| wait.look_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn wait(ms: u64) -> Timeout {
        Timeout::new(at(ms), at(10_000), 0)
    }

    #[test]
    fn an_answer_settles_its_message_and_those_before_it() {
        let mut unanswered = Unanswered::default();
        assert_eq!(unanswered.settled_at(at(250)), Some(Duration::ZERO));
        (1..=3).for_each(|reference| unanswered.push(reference, 1, wait(reference)));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.look_at()), (None, Some(at(10_001))));
        unanswered.answered(2, |_| wait(50));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.look_at()), (None, Some(at(10_050))));
        unanswered.answered(2, |_| wait(60));
        assert_eq!(unanswered.look_at(), Some(at(10_050)), "an answer that comes twice is no sign of life");
        assert_eq!(unanswered.bytes(), 1);
        unanswered.answered(3, |_| wait(70));
        assert_eq!((unanswered.settled_at(at(250)), unanswered.look_at()), (Some(Duration::ZERO), None));
    }

    #[test]
    fn a_message_whose_op_has_come_is_waited_for_no_longer_than_the_grace() {
        let mut unanswered = Unanswered::default();
        unanswered.push(1, 1, wait(0));
        unanswered.push(2, 1, wait(0));
        unanswered.read(1, at(10));
        assert_eq!(unanswered.settled_at(at(250)), None);
        unanswered.read(2, at(20));
        assert_eq!(unanswered.settled_at(at(250)), Some(at(270)));
    }

    #[test]
    fn a_full_window_has_no_room_until_an_answer_comes() {
        let mut unanswered = Unanswered::default();
        (1..=MAX_UNANSWERED as u64).for_each(|reference| unanswered.push(reference, 1, wait(0)));
        assert!(!unanswered.has_room());
        unanswered.answered(1, |_| wait(1));
        assert!(unanswered.has_room());
    }
}
