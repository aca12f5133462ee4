//! The number of records in one request of a bulk write.

use std::time::Duration;

use dust_protocol::Op;
use dust_protocol::list::MAX_BATCH_OPS;

/// The time from which on a chunk halves the next one. The time that a server needs per op grows with its store, and
/// after 5 s the result of a batch is unknown.
const SLOW: Duration = Duration::from_secs(2);
/// The time up to which a chunk doubles the next one.
const FAST: Duration = Duration::from_millis(500);
/// The smallest limit of ops. Smaller requests gain nothing.
const FEWEST: usize = 50;
/// The most bytes that a batch adds to the path and the value of an op.
const AROUND_AN_OP: usize = 64;

/// The size of the next chunk: at most that of one batch, less while the server is slow.
#[derive(Debug)]
pub(super) struct ChunkSize {
    ops: usize,
    bytes: usize,
}

impl ChunkSize {
    pub(super) fn new(bytes: usize) -> ChunkSize {
        ChunkSize { ops: MAX_BATCH_OPS, bytes }
    }

    /// The number of these records, from the first on, to send together: at least one, and whole records only. A record
    /// that is too large for any batch is sent alone and refused.
    pub(super) fn take<T>(&self, records: &[(Vec<Op>, T)]) -> usize {
        let (mut ops, mut bytes) = (0, 0);
        let fits = |(record, _): &&(Vec<Op>, T)| {
            ops += record.len();
            bytes += record.iter().map(size).sum::<usize>();
            ops <= self.ops && bytes <= self.bytes
        };
        records.iter().take_while(fits).count().max(1)
    }

    /// Adapts the size to the time that a chunk took.
    pub(super) fn adapt(&mut self, time: Duration) {
        if time >= SLOW {
            self.ops = (self.ops / 2).max(FEWEST);
        } else if time <= FAST {
            self.ops = (self.ops * 2).min(MAX_BATCH_OPS);
        }
    }
}

fn size(op: &Op) -> usize {
    AROUND_AN_OP + op.path.as_str().len() + op.value().map_or(0, |value| value.as_str().len())
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Path, RawJson};

    use super::*;

    fn records(count: usize, ops: usize, value: usize) -> Vec<(Vec<Op>, ())> {
        let op = Op::set(Path::parse("a").unwrap(), RawJson::from(serde_json::Value::from("x".repeat(value))));
        vec![(vec![op; ops], ()); count]
    }

    #[test]
    fn chunk_fills_batch_with_whole_records() {
        let size = ChunkSize::new(usize::MAX);
        assert_eq!(size.take(&records(10, 3, 1)), 10);
        assert_eq!(size.take(&records(2000, 3, 1)), 333);
        assert_eq!(size.take(&records(2, 1001, 1)), 1);
    }

    #[test]
    fn chunk_keeps_limit_of_bytes() {
        let size = ChunkSize::new(10_000);
        assert_eq!(size.take(&records(20, 1, 900)), 10_000 / (AROUND_AN_OP + 1 + 902));
        assert_eq!(size.take(&records(2, 1, 20_000)), 1);
    }

    #[test]
    fn chunk_shrinks_while_server_is_slow() {
        let mut size = ChunkSize::new(usize::MAX);
        let all = records(2000, 1, 1);
        let mut sizes = Vec::new();
        for time in [3000, 3000, 1000, 100, 100, 100] {
            size.adapt(Duration::from_millis(time));
            sizes.push(size.take(&all));
        }
        assert_eq!(sizes, [500, 250, 250, 500, 1000, 1000]);
        (0..10).for_each(|_| size.adapt(Duration::from_secs(9)));
        assert_eq!(size.take(&all), FEWEST);
    }
}
