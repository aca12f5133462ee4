//! Recordings of exchanges with a server, read into steps.

use serde_json::Value;

/// What happens in a recording, in order.
pub(crate) enum Step {
    /// A heading.
    Section(String),
    Exchange(Exchange),
    /// A message on a WebSocket that a server acknowledged: its topic, its event and its payload.
    Acknowledged {
        topic: String,
        event: String,
        payload: Value,
    },
}

/// One request and the answer that was recorded for it.
pub(crate) struct Exchange {
    /// The line in the file.
    pub(crate) line: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) status_line: String,
    pub(crate) answer_headers: Vec<(String, String)>,
    pub(crate) answer: String,
}

pub(crate) struct Recording {
    /// The stores that are named at its head and in its sections.
    pub(crate) stores: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn read(text: &str) -> Recording {
    let lines: Vec<&str> = text.lines().collect();
    let mut recording = Recording { stores: Vec::new(), steps: Vec::new() };
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if let Some(store) = line.strip_prefix("# store ") {
            recording.stores.push(store.split(' ').next().unwrap().to_owned());
        } else if let Some(section) = line.strip_prefix("## ") {
            recording.steps.push(Step::Section(section.to_owned()));
        } else if let Some(command) = line.strip_prefix("$ curl") {
            let (exchange, next) = exchange(command, &lines, at);
            recording.steps.push(Step::Exchange(exchange));
            at = next;
            continue;
        } else if let Some(step) =
            message(line).filter(|(.., sent)| *sent).and_then(|m| acknowledged(m.0, &lines[at..]))
        {
            recording.steps.push(step);
        }
        at += 1;
    }
    recording
}

fn exchange(command: &str, lines: &[&str], at: usize) -> (Exchange, usize) {
    let mut exchange = Exchange {
        line: at + 1,
        method: "GET".to_owned(),
        target: String::new(),
        headers: Vec::new(),
        body: None,
        status_line: String::new(),
        answer_headers: Vec::new(),
        answer: String::new(),
    };
    // What hid the token in these lines took a bit more than the token.
    let command = command.replace("RO' ", " -H 'Authorization: Bearer $DUST_TOKEN_RO' ");
    let mut words = words(&command).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => exchange.method = words.next().unwrap(),
            "-I" => exchange.method = "HEAD".to_owned(),
            "--data-binary" => exchange.body = words.next(),
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                exchange.headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            _ => exchange.target = word,
        }
    }
    let mut next = at + 1;
    while let Some(header) = lines.get(next).and_then(|line| line.strip_prefix("< ")) {
        match header.split_once(": ") {
            Some((name, value)) => exchange.answer_headers.push((name.to_owned(), value.to_owned())),
            None => exchange.status_line = header.to_owned(),
        }
        next += 1;
    }
    let mut body = Vec::new();
    while let Some(line) =
        lines.get(next).filter(|line| !line.is_empty() && message(line).is_none() && !line.starts_with("##"))
    {
        // A remark of the recorder.
        if line.starts_with('[') {
            break;
        }
        body.push(*line);
        next += 1;
    }
    exchange.answer = body.join("\n");
    (exchange, next)
}

/// The words of a shell's line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// A message on a WebSocket, and whether a client sent it.
fn message(line: &str) -> Option<(Vec<Value>, bool)> {
    let (_, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (sent, rest) = match rest.strip_prefix("-> ") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix("<- ")?),
    };
    let json = rest.strip_prefix("text").or_else(|| rest.strip_prefix("binary msgpack"))?;
    Some((serde_json::from_str(json.trim()).ok()?, sent))
}

/// The message, if its reply, one of the next lines, says that it was done.
fn acknowledged(message: Vec<Value>, after: &[&str]) -> Option<Step> {
    let [_, reference, topic, event, payload] = <[Value; 5]>::try_from(message).ok()?;
    let reply = after.iter().skip(1).filter_map(|line| self::message(line)).find(|(reply, sent)| {
        !sent && reply.get(3).is_some_and(|event| event == "phx_reply") && reply.get(1) == Some(&reference)
    })?;
    if reply.0.get(4)?.get("status")? != "ok" {
        return None;
    }
    Some(Step::Acknowledged { topic: topic.as_str()?.to_owned(), event: event.as_str()?.to_owned(), payload })
}
