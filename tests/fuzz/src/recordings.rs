//! The answers and frames of a real server, as the recordings in `tests/wire` have them.

use recordings::{Exchange, all_exchanges, received_frames};

/// Everything that was recorded.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// Exchanges over HTTP.
    pub answers: Vec<Exchange>,
    /// Frames that a client received.
    pub frames: Vec<String>,
}

impl Recordings {
    /// Reads them. Their order decides the meaning of a seed.
    pub fn load() -> Recordings {
        let mut answers = all_exchanges();
        answers.retain(|answer| answer.status != 0);
        Recordings { answers, frames: received_frames() }
    }
}
