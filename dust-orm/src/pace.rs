//! Reads that are answered at once, and let other tasks of the runtime run in between all the same.

use tokio::task::coop::consume_budget;

/// How many leaves cost as much of a task's budget as one message of a channel. A budget is 128, so that other tasks run after
/// some 4,000 leaves or 128 small reads, which take a millisecond or so.
const LEAVES: usize = 32;

/// Takes part in tokio's cooperative scheduling: a read that came with so many leaves without waiting for anything lets other
/// tasks run once the budget of its task is spent. Outside of a tokio runtime it does nothing.
pub(crate) async fn pace(leaves: usize) {
    for _ in 0..=leaves / LEAVES {
        consume_budget().await;
    }
}
