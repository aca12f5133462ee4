//! The answers and frames of a real server from the recordings in `tests/wire`.

use recordings::{Exchange, all_exchanges, received_frames};

/// All recorded answers and frames.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// Exchanges over HTTP.
    pub answers: Vec<Exchange>,
    /// Frames that a client received.
    pub frames: Vec<String>,
}

impl Recordings {
    /// Reads the recordings. Their order determines the meaning of a seed.
    pub fn load() -> Recordings {
        let mut answers = all_exchanges();
        answers.retain(|answer| answer.status != 0);
        Recordings { answers, frames: received_frames() }
    }
}
