//! The address of a request: decoded path segments and query parameters.

use std::collections::BTreeMap;

use dust_protocol::RawJson;

/// Parameters by name, from a query, a form or an object.
pub(crate) type Params = BTreeMap<String, RawJson>;

/// The largest depth of brackets in a parameter's name; a deeper one is a plain name.
const MAX_NESTING: usize = 32;

/// The error of a text that is not UTF-8 after it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

/// The segments of a path: split at `/` first and decoded afterwards, empty ones left out, `.` and `..` left as they
/// are.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, NotUtf8> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| String::from_utf8(percent_decode(segment, false)).map_err(|_| NotUtf8))
        .collect()
}

/// The parameters of a query or a form: `a=1`, `a[]=1` for lists and `a[b]=1` for objects.
pub(crate) fn params(query: &str) -> Result<Params, NotUtf8> {
    let mut root = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| String::from_utf8(percent_decode(text, true)).map_err(|_| NotUtf8);
        let (key, value) = (decode(key)?, decode(value)?);
        match brackets(&key) {
            Some((base, inner)) => {
                let slot = root.entry(base.to_owned()).or_insert_with(|| Node::Map(BTreeMap::new()));
                slot.insert(&inner, value);
            }
            None => {
                root.insert(key, Node::Text(value));
            }
        }
    }
    Ok(root.into_iter().map(|(key, node)| (key, node.to_json())).collect())
}

/// The name before the brackets and the names in them.
fn brackets(key: &str) -> Option<(&str, Vec<&str>)> {
    let (base, rest) = key.split_once('[')?;
    let inner: Vec<&str> = rest.strip_suffix(']')?.split("][").collect();
    (!base.is_empty() && inner.len() <= MAX_NESTING).then_some((base, inner))
}

/// Decodes `%41` to its byte and keeps everything else; `+` is a space in a query.
fn percent_decode(text: &str, plus_is_space: bool) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%').then(|| (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))));
        match escape {
            // Two hexadecimal digits make a byte.
            Some((Some(high), Some(low))) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            _ if *byte == b'+' && plus_is_space => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    decoded
}

enum Node {
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    /// Inserts a value at the keys in brackets; an empty key appends to a list.
    fn insert(&mut self, keys: &[&str], value: String) {
        let Some((key, rest)) = keys.split_first() else {
            *self = Node::Text(value);
            return;
        };
        if key.is_empty() {
            if !matches!(self, Node::List(_)) {
                *self = Node::List(Vec::new());
            }
            if let Node::List(items) = self {
                let mut item = Node::Text(String::new());
                item.insert(rest, value);
                items.push(item);
            }
            return;
        }
        if !matches!(self, Node::Map(_)) {
            *self = Node::Map(BTreeMap::new());
        }
        if let Node::Map(members) = self {
            members.entry((*key).to_owned()).or_insert_with(|| Node::Text(String::new())).insert(rest, value);
        }
    }

    fn to_json(&self) -> RawJson {
        RawJson::from(self.to_value())
    }

    fn to_value(&self) -> serde_json::Value {
        match self {
            Node::Text(text) => text.as_str().into(),
            Node::List(items) => items.iter().map(Node::to_value).collect(),
            Node::Map(members) => {
                serde_json::Value::Object(members.iter().map(|(key, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }
}

/// A parameter that is a string.
pub(crate) fn text(params: &Params, name: &str) -> Option<String> {
    params.get(name).and_then(|value| value.to().ok())
}

/// Parses a positive integer as the server does: an optional sign and digits. A number beyond 64 bits is the largest
/// one, which equals no revision.
pub(crate) fn positive(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX)).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        segments(text).unwrap()
    }

    fn query(text: &str) -> String {
        let params = params(text).unwrap();
        let pairs: Vec<String> = params.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn path_is_split_before_it_is_decoded() {
        assert_eq!(path("/a/b"), ["a", "b"]);
        assert_eq!(path("/a//b/"), ["a", "b"]);
        assert_eq!(path("/x%2Fy"), ["x/y"]);
        assert_eq!(path("/a/../b/./c"), ["a", "..", "b", ".", "c"]);
        assert_eq!(path("/%C3%A9t%C3%A9/été"), ["été", "été"]);
        assert_eq!(path("/a%ZZ/a%2/%"), ["a%ZZ", "a%2", "%"]);
        assert_eq!(path("/plus+plus/a%2Bb"), ["plus+plus", "a+b"]);
        assert_eq!(segments("/%FF"), Err(NotUtf8));
    }

    #[test]
    fn query_parameters_nest() {
        assert_eq!(query("a=1&b=x%20y+z&c&a=2"), r#"a="2" b="x y z" c="""#);
        assert_eq!(query("select[]=keys&select[]=x"), r#"select=["keys","x"]"#);
        assert_eq!(query("a[b]=1&a[c][d]=2"), r#"a={"b":"1","c":{"d":"2"}}"#);
        assert_eq!(query("a=1&a[b]=2"), r#"a={"b":"2"}"#);
        assert_eq!(query("[x]=1&y]=2&z[=3"), r#"[x]="1" y]="2" z[="3""#);
        let deep = format!("a{}", "[b]".repeat(10_000));
        assert_eq!(query(&deep), format!("{deep}=\"\""));
        assert_eq!(params("a=%FF"), Err(NotUtf8));
        assert_eq!(query(""), "");
    }

    #[test]
    fn positive_integer_is_parsed_as_a_server_does() {
        for (text, expected) in
            [("1", Some(1)), ("+5", Some(5)), ("007", Some(7)), ("99999999999999999999", Some(u64::MAX))]
        {
            assert_eq!(positive(text), expected);
        }
        for text in ["", "0", "-1", "1.5", "x", " 1", "\"3\"", "*", "+"] {
            assert_eq!(positive(text), None);
        }
    }
}
