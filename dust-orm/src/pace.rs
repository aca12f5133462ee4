//! Cooperative scheduling for reads that never wait.

use tokio::task::coop::consume_budget;

/// The number of leaves that cost one unit of a task's budget, as one message of a channel does. A budget is 128 units,
/// so that other tasks run after some 4,000 leaves or 128 small reads, which take about one millisecond.
const LEAVES_PER_UNIT: usize = 32;

/// Charges a read of `leaves` leaves to the budget of the tokio task, and lets other tasks run once it is spent.
/// Outside of a tokio runtime it does nothing.
pub(crate) async fn pace(leaves: usize) {
    for _ in 0..=leaves / LEAVES_PER_UNIT {
        consume_budget().await;
    }
}
