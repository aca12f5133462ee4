//! The parsers of server messages, paths and patterns.

use chaos::dice::Dice;
use dust_protocol::channel::{Incoming, Message};
use dust_protocol::http as wire;
use dust_protocol::path::percent_encode_into;
use dust_protocol::{ListRequest, Path, Pattern, RawJson, Select, envelope, flatten};

use crate::mutate::{mutate, mutate_text, noise};
use crate::recordings::Recordings;

pub(super) fn run(recordings: &Recordings, seed: u64) -> Result<(), String> {
    let dice = &mut Dice::new(seed);
    for _ in 0..20 {
        let (one, other) = (dice.index(recordings.answers.len()), dice.index(recordings.answers.len()));
        let (one, other) = (&recordings.answers[one], &recordings.answers[other]);
        let body =
            if dice.percent(10) { noise(dice, 200) } else { mutate(dice, one.body.as_bytes(), other.body.as_bytes()) };
        answer(dice, &body)?;

        let frames = &recordings.frames;
        let (one, other) = (dice.index(frames.len()), dice.index(frames.len()));
        let frame = if dice.percent(10) {
            String::from_utf8_lossy(&noise(dice, 200)).into_owned()
        } else {
            mutate_text(dice, &frames[one], &frames[other])
        };
        read_frame(&frame)?;

        let text = String::from_utf8_lossy(&noise(dice, 40)).into_owned();
        texts(&text)?;
    }
    Ok(())
}

fn answer(dice: &mut Dice, body: &[u8]) -> Result<(), String> {
    let at = super::path("links/dust")?;
    let read = wire::entry(body, &at).err();
    let errors = [read, wire::store_seq(body).err(), wire::leaves(body, std::slice::from_ref(&at)).err()];
    let pattern =
        Pattern::parse(["**", "items/*", "*/x", "links/**"][dice.index(4)]).map_err(|error| error.to_string())?;
    for select in [Select::Entries, Select::Keys, Select::Prefixes] {
        let request = ListRequest::pattern(pattern.clone()).select(select);
        let page = wire::page(body, &request);
        if select == Select::Entries {
            let packed = wire::leaf_page(body, &request).map(|page| (page.leaves.len(), page.next_cursor));
            let listed = page.clone().map(|page| (page.items.len(), page.next_cursor));
            if packed != listed {
                return Err(format!("{packed:?} packed, {listed:?} listed"));
            }
        }
        match page {
            // Every accepted entry has to match the request.
            Ok(page) if page.items.len() > request.limit => return Err(format!("{} items", page.items.len())),
            Ok(page) => {
                let stray = page.items.iter().find(|item| select != Select::Prefixes && !pattern.matches(item.path()));
                if let Some(stray) = stray {
                    return Err(format!("`{}` does not match `{}`", stray.path(), pattern.as_str()));
                }
            }
            Err(why) => short(&why.to_string())?,
        }
    }
    errors.iter().flatten().try_for_each(|why| short(&why.to_string()))
}

/// Checks that an error quotes only a part of its input.
fn short(text: &str) -> Result<(), String> {
    let has_break = text.chars().any(char::is_control);
    // Three quotations at the most, of characters of up to four bytes.
    if text.len() > 3_000 || has_break {
        return Err(format!("an error of {} bytes: {}", text.len(), text.chars().take(300).collect::<String>()));
    }
    Ok(())
}

fn read_frame(text: &str) -> Result<(), String> {
    match Incoming::decode(text) {
        Ok(Incoming { message: Message::Event(op), .. }) => texts(op.value.as_str()),
        Ok(Incoming { message: Message::Reply { outcome: Ok(response), .. }, .. }) => {
            for error in [response.joined().err(), response.status().err(), response.written().err()].iter().flatten() {
                short(&error.to_string())?;
            }
            Ok(())
        }
        Ok(Incoming { message: Message::Reply { outcome: Err(refusal), .. }, .. }) => short(&refusal.summary()),
        Ok(_) => Ok(()),
        Err(error) => short(&error.to_string()),
    }
}

/// Paths, patterns and values.
fn texts(text: &str) -> Result<(), String> {
    if let Ok(path) = Path::parse(text) {
        let again = Path::from_segments(path.segments()).map_err(|error| error.to_string())?;
        let mut url = String::new();
        percent_encode_into(path.as_str(), &mut url);
        if again != path || url.contains(['?', '#', ' ']) {
            return Err(format!("the path {text:?} does not read back"));
        }
    }
    if let Ok(pattern) = Pattern::parse(text) {
        let _ = (pattern.matches(&super::path("a/b")?), pattern.literal_prefix().len());
    }
    if let Ok(value) = RawJson::parse(text) {
        let _ = (envelope::to_plain(&value), envelope::unwrap(&value), envelope::to_snapshot_leaf(&value));
        let mut leaves = Vec::new();
        let _ = flatten::flatten(&super::path("a")?, &value).map(|flat| leaves.extend(flat));
        let _ = value.to::<serde_json::Value>();
    }
    Ok(())
}
