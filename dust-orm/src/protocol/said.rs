//! What a server said, by whatever way, made fit for an error.

use std::time::Duration;

/// The shortest pause after too many requests: a server says `0` a moment before the window opens.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest pause that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How much of a text an error shows, in characters.
const SHOWN: usize = 200;

/// How long to wait after too many requests, given what the server said.
pub(super) fn retry_after(said: Duration) -> Duration {
    said.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER)
}

/// A text as one short line.
pub(super) fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let line = line.trim();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
