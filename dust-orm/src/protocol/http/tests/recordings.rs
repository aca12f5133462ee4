//! The recorded exchanges over HTTP.

use super::*;

/// A recorded exchange.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) file: String,
    /// The line that begins with `$ curl`.
    pub(super) command: String,
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: String,
}

impl Exchange {
    pub(super) fn method(&self) -> &str {
        if self.command.contains("curl -I ") {
            return "HEAD";
        }
        let named = self.command.split_once("-X ").map(|(_, rest)| rest);
        ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"]
            .into_iter()
            .find(|method| named.is_some_and(|named| named.starts_with(method)))
            .unwrap_or("GET")
    }

    /// What follows `/entries`, or `None` for another route.
    pub(super) fn target(&self) -> Option<&str> {
        let (_, url) = self.command.rsplit_once("/api/stores/")?;
        let (_, target) = url.split_once("/entries")?;
        Some(target.trim_end_matches('\''))
    }

    pub(super) fn operation(&self) -> Option<Operation> {
        Some(match (self.method(), self.target()?) {
            ("GET", "" | "/") => Operation::List,
            ("GET", target) if target.starts_with('?') => Operation::List,
            ("GET", _) => Operation::Get,
            ("POST", "/batch") => Operation::GetMany,
            ("POST", "/batch_write") => Operation::BatchWrite,
            ("PUT", _) | ("POST", "") => Operation::Set,
            ("DELETE", _) => Operation::Delete,
            _ => return None,
        })
    }

    /// What a recorded list asks for. Nothing that was answered says more than a server takes it for.
    pub(super) fn list_request(&self) -> ListRequest {
        let url = Url::parse(&format!("http://dust{}", self.target().unwrap_or_default())).unwrap();
        let find = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let selector = match (find("from"), find("to")) {
            (Some(from), Some(to)) => Selector::Range { from: from.parse().unwrap(), to: to.parse().unwrap() },
            _ => Selector::Pattern(Glob::parse(find("pattern").as_deref().unwrap_or("**")).unwrap()),
        };
        ListRequest {
            selector,
            limit: find("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50),
            order: if find("order").as_deref() == Some("desc") { Order::Descending } else { Order::Ascending },
            select: match find("select").as_deref() {
                Some("keys") => Select::Keys,
                Some("prefixes") => Select::Prefixes,
                _ => Select::Entries,
            },
            after: find("after"),
        }
    }

    /// Whether the recording gives the beginning only, of the answer or of the request.
    pub(super) fn is_cut(&self) -> bool {
        self.body.ends_with(" chars)") || self.command.ends_with(" chars)'")
    }

    pub(super) fn error(&self) -> DustErr {
        let path = Path::parse("some/path").unwrap();
        let call = Call {
            store: "acme/reading",
            operation: self.operation().unwrap_or(Operation::Get),
            about: About::Path(&path),
        };
        let refusal = Refusal {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            location: None,
            body: self.body.as_bytes(),
            sent: 0,
            now: super::NOW,
        };
        refusal.error(&call)
    }
}

pub(super) fn recordings() -> Vec<Exchange> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wire");
    let mut exchanges: Vec<Exchange> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('g') || !name.ends_with(".txt") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let mut open = false;
        for line in text.lines() {
            if line.starts_with("$ curl") {
                open = true;
                exchanges.push(Exchange {
                    file: name.clone(),
                    command: line.to_owned(),
                    status: 0,
                    retry_after: None,
                    body: String::new(),
                });
            } else if line.is_empty() {
                open = false;
            } else if let Some(exchange) = exchanges.last_mut().filter(|_| open) {
                match line.strip_prefix("< ") {
                    Some(head) => match (head.strip_prefix("HTTP/1.1 "), head.strip_prefix("retry-after: ")) {
                        (Some(status), _) => exchange.status = status[..3].parse().unwrap(),
                        (_, Some(seconds)) => exchange.retry_after = Some(seconds.to_owned()),
                        _ => {}
                    },
                    None => exchange.body.push_str(line),
                }
            }
        }
    }
    assert!(exchanges.len() > 400, "only {} exchanges were found", exchanges.len());
    exchanges
}

/// A text whose `%xx` are what they stand for; a `%` alone is itself.
pub(super) fn decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let code = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(decoded).unwrap()
}
