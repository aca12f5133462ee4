//! Texts of a server, cut to what an error shows.

/// The length of an excerpt, in characters.
const MAX_CHARS: usize = 200;

/// A text as one line of at most 200 characters, control characters replaced by spaces.
///
/// ```
/// use dust_protocol::excerpt::excerpt;
///
/// assert_eq!(excerpt("  bad\ninput "), "bad input");
/// ```
pub fn excerpt(text: &str) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let line = line.trim();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
