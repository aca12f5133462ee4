//! Long texts that the recordings shorten, generated again.

/// The request's text in full: the recorded one ends in `...(N chars)`. `None` if there is no rule for it.
pub(crate) fn restore(section: &str, recorded: &str, answer: &str) -> Option<String> {
    let (start, length) = split(recorded)?;
    let text = match section {
        "1001 paths" => {
            let paths: Vec<String> = (0..1001).map(|at| format!("\"p{at}\"")).collect();
            format!("{{\"paths\":[{}]}}", paths.join(","))
        }
        "1000 ops" => ops((0..1000).map(|at| (format!("big/{at:04}"), at))),
        "1001 ops" => ops((0..1001).map(|at| (format!("big/{at:04}"), at))),
        // The answer has the paths.
        "data" => {
            let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
            let paths = answer.get("ops")?.as_array()?.iter().filter_map(|op| op.get("path")?.as_str());
            ops(paths.map(str::to_owned).zip(0..))
        }
        // An address: the recorded length is that of the whole URL.
        _ if start.ends_with("LLLL") => {
            let bytes = section.strip_suffix(" byte segment")?.parse().ok()?;
            return Some(format!("{}{}", start.trim_end_matches('L'), "L".repeat(bytes)));
        }
        _ => return None,
    };
    assert!(text.starts_with(start), "{section}: made {}", &text[..start.len().min(text.len())]);
    assert_eq!(text.chars().count(), length, "{section}");
    Some(text)
}

fn ops(paths: impl Iterator<Item = (String, usize)>) -> String {
    let ops: Vec<String> =
        paths.map(|(path, value)| format!("{{\"op\":\"set\",\"path\":\"{path}\",\"value\":{value}}}")).collect();
    format!("{{\"ops\":[{}]}}", ops.join(","))
}

/// Splits a shortened text into its start and the number of characters of the whole.
pub(crate) fn split(text: &str) -> Option<(&str, usize)> {
    let (start, rest) = text.rsplit_once("...(")?;
    Some((start, rest.strip_suffix(" chars)")?.parse().ok()?))
}

/// The bodies that were not recorded.
pub(crate) fn big(section: &str) -> Option<String> {
    if section == "POST 8.1 MB" {
        return Some(format!("{{\"path\":\"big\",\"value\":\"{}\"}}", "x".repeat(8_100_000)));
    }
    let bytes = section.strip_prefix("string of ")?.strip_suffix(" bytes")?.parse().ok()?;
    Some(format!("\"{}\"", "x".repeat(bytes)))
}
