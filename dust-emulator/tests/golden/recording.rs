//! Recordings of exchanges with a server, read into steps.

/// A step of a recording.
pub(crate) enum Step {
    /// A heading.
    Section(String),
    Exchange(Exchange),
    /// The following steps concern this store.
    Store(String),
    /// A line about a WebSocket.
    Socket(Line),
    /// A remark of the recorder about its sockets or the server.
    Remark(String),
}

/// One request and its recorded answer.
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
    /// The stores that its head and its sections name.
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
            let store = store.split(' ').next().unwrap().to_owned();
            recording.stores.push(store.clone());
            recording.steps.push(Step::Store(store));
        } else if let Some(section) = line.strip_prefix("## ") {
            recording.steps.push(Step::Section(section.to_owned()));
        } else if let Some(command) = line.strip_prefix("$ curl") {
            let (exchange, next) = exchange(command, &lines, at);
            recording.steps.push(Step::Exchange(exchange));
            at = next;
            continue;
        } else if let Some(line) = socket_line(line, at + 1) {
            recording.steps.push(Step::Socket(line));
        } else if line.starts_with("-> [") || line.starts_with("<- [") {
            unnamed(line, at + 1, &mut recording);
        } else if line.starts_with('[') || line.starts_with("compact ") || line.starts_with("   (nothing more") {
            recording.steps.push(Step::Remark(line.to_owned()));
        }
        at += 1;
    }
    recording
}

/// A frame of a recording with one socket, which has no name and begins with its first join.
fn unnamed(line: &str, number: usize, recording: &mut Recording) {
    let (way, json) = line.split_once(' ').unwrap();
    let frame: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    let store = frame[2].as_str().unwrap().trim_start_matches("store:").to_owned();
    if !recording.stores.contains(&store) {
        recording.stores.push(store.clone());
        recording.steps.push(Step::Store(store));
    }
    let mut push = |what| recording.steps.push(Step::Socket(Line { number, name: String::new(), what }));
    if way == "<-" {
        return push(Happened::Received(Form::Text, json.to_owned()));
    }
    if frame[..2] == ["1", "1"] {
        push(Happened::Connect("token=$TOKEN&device_id=pyws&capver=3&vsn=2.0.0".to_owned()));
    }
    push(Happened::Sent(Form::Text, json.to_owned()));
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
    // The tool that replaced the token in these lines removed more than the token.
    let command = command.replace("RO' ", " -H 'Authorization: Bearer $DUST_TOKEN_RO' ");
    let mut words = words(&command).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => exchange.method = words.next().unwrap(),
            "-I" => exchange.method = "HEAD".to_owned(),
            "--data-binary" | "-d" => exchange.body = words.next(),
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
    while let Some(line) = lines.get(next).filter(|line| !line.is_empty() && !line.starts_with("##")) {
        // A socket, or a remark of the recorder.
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

/// One line about a WebSocket.
pub(crate) struct Line {
    /// The line in the file.
    pub(crate) number: usize,
    /// The name of the socket.
    pub(crate) name: String,
    pub(crate) what: Happened,
}

pub(crate) enum Happened {
    /// An attempt to connect with these parameters.
    Connect(String),
    Accepted,
    Refused(u16),
    Sent(Form, String),
    /// Sent unchanged: text, or bytes.
    SentText(String),
    SentBytes(Vec<u8>),
    Received(Form, String),
    Closed(u16),
}

/// The form of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Binary,
}

fn socket_line(line: &str, number: usize) -> Option<Line> {
    let (name, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let code = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok());
    let what = if let Some(target) = rest.strip_prefix("CONNECT ") {
        Happened::Connect(target.split_once('?')?.1.to_owned())
    } else if rest.starts_with("101 ") {
        Happened::Accepted
    } else if let Some(rest) = rest.strip_prefix("handshake refused: HTTP ") {
        Happened::Refused(code(rest)?)
    } else if let Some(bytes) = rest.strip_prefix("-> raw b'") {
        Happened::SentBytes(unescaped(bytes.strip_suffix('\'')?))
    } else if let Some(text) = rest.strip_prefix("-> raw '") {
        Happened::SentText(text.strip_suffix('\'')?.to_owned())
    } else if let Some(rest) = rest.strip_prefix("-> ") {
        let (form, json) = framed(rest)?;
        Happened::Sent(form, json)
    } else if let Some(rest) = rest.strip_prefix("<- CLOSED ") {
        Happened::Closed(code(rest)?)
    } else {
        let (form, json) = framed(rest.strip_prefix("<- ")?)?;
        Happened::Received(form, json)
    };
    Some(Line { number, name: name.to_owned(), what })
}

fn framed(rest: &str) -> Option<(Form, String)> {
    let (form, json) = match rest.strip_prefix("text ") {
        Some(json) => (Form::Text, json),
        None => (Form::Binary, rest.strip_prefix("binary msgpack ")?),
    };
    Some((form, json.trim().to_owned()))
}

/// The bytes of a Python literal: `\x00` is a byte, other characters are themselves.
pub(crate) fn unescaped(literal: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = literal.split("\\x");
    bytes.extend_from_slice(parts.next().unwrap().as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}
