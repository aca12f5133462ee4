//! Bodies of requests, parsed by their content types.

use dust_protocol::{RawJson, ValueError, value};
use hyper::Method;

use crate::http::{Answer, Payload, Request};
use crate::uri::{self, Params};

/// The length of the longest body, in bytes.
pub(crate) const MAX_BODY: usize = 8_000_000;
/// The length of the longest form, in bytes.
const MAX_FORM: usize = 1_000_000;

/// A parsed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A body of an unknown content type, which is ignored.
    Opaque,
    /// No body, or an empty one.
    Empty,
    /// A form or an object: the whole value and its members.
    Object(RawJson, Params),
    /// Any other JSON.
    Json(RawJson),
}

impl Body {
    /// Parses the body of a request. As on a server, this precedes all other checks, also that of the token.
    pub(crate) fn of(request: &Request) -> Result<Body, Answer> {
        if !matches!(request.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
            return Ok(Body::Opaque);
        }
        let Some(content_type) = request.header("content-type") else { return Ok(Body::Empty) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some((kind, subtype)) = essence.split_once('/') else { return Ok(Body::Opaque) };
        let is_form = subtype == "x-www-form-urlencoded";
        let is_json = subtype == "json" || subtype.ends_with("+json");
        if kind != "application" || !(is_form || is_json) {
            return Ok(Body::Opaque);
        }
        let bytes = match &request.body {
            Payload::Whole(bytes) if is_json || bytes.len() <= MAX_FORM => bytes,
            _ => return Err(Answer::plain(413)),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| Answer::plain(if is_form { 415 } else { 400 }))?;
        if is_form { Body::form(text) } else { Body::json(text) }
    }

    fn form(text: &str) -> Result<Body, Answer> {
        let params = uri::params(text).map_err(|_| Answer::plain(415))?;
        let whole = RawJson::from_serialize(&params).map_err(|_| Answer::plain(400))?;
        Ok(Body::Object(whole, params))
    }

    fn json(text: &str) -> Result<Body, Answer> {
        if text.is_empty() {
            return Ok(Body::Empty);
        }
        let parsed = RawJson::parse(text).map_err(|_| Answer::plain(400))?;
        let json = match value::normalise(&parsed) {
            Ok(json) => json,
            // Texts that the JSON parser of a server refuses.
            Err(ValueError::NotJson(_)) => return Err(Answer::plain(400)),
            Err(ValueError::NumberOutOfRange(number)) if number.contains(['.', 'e', 'E']) => {
                return Err(Answer::plain(400));
            }
            // Values that only this store refuses; the write reports them.
            Err(_) => parsed,
        };
        if !json.is_object() {
            return Ok(Body::Json(json));
        }
        let members = json.to().map_err(|_| Answer::plain(400))?;
        Ok(Body::Object(json, members))
    }

    /// The body as the value to write.
    pub(crate) fn value(&self) -> Result<RawJson, Answer> {
        const EMPTY: &str = "request body is empty. To write a JSON null value, send the literal string \"null\" with \
                             content-type: application/json. To remove an entry, use DELETE.";
        match self {
            Body::Opaque => Err(Answer::invalid("request body could not be parsed")),
            Body::Empty => Err(Answer::invalid(EMPTY)),
            Body::Json(value) => Ok(value.clone()),
            Body::Object(whole, members) => match members.get("_json") {
                Some(value) => Ok(value.clone()),
                None if members.is_empty() => Err(Answer::invalid(EMPTY)),
                None => Ok(whole.clone()),
            },
        }
    }

    /// The parameters of the query, replaced by the members of the body.
    pub(crate) fn over(&self, query: &Params) -> Params {
        let mut params = query.clone();
        if let Body::Object(_, members) = self {
            params.extend(members.clone());
        }
        params
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::HeaderMap;

    use super::*;

    fn body(content_type: Option<&str>, bytes: &[u8]) -> Result<Body, u16> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert("content-type", content_type.parse().unwrap());
        }
        let payload = Payload::Whole(Bytes::copy_from_slice(bytes));
        Body::of(&Request::new(Method::PUT, "/", headers, payload)).map_err(|answer| answer.status)
    }

    fn value(content_type: Option<&str>, text: &str) -> String {
        match body(content_type, text.as_bytes()).unwrap().value() {
            Ok(value) => value.to_string(),
            Err(answer) => String::from_utf8(answer.body.to_vec()).unwrap(),
        }
    }

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn value_is_taken_from_the_body() {
        assert_eq!(value(JSON, " {\"b\":1, \"a\":2,\"a\":3} "), r#"{"a":2,"b":1}"#);
        assert_eq!(value(JSON, "null"), "null");
        assert_eq!(value(JSON, r#"{"_json":5,"x":1}"#), "5");
        assert_eq!(value(Some("application/merge+json"), "[1]"), "[1]");
        assert_eq!(value(Some("application/x-www-form-urlencoded"), "a=1&b[c]=2"), r#"{"a":"1","b":{"c":"2"}}"#);
        assert!(value(JSON, "{}").contains("request body is empty"));
        assert!(value(JSON, "").contains("request body is empty"));
        assert!(value(None, "1").contains("request body is empty"));
        assert!(value(Some("text/plain"), "1").contains("could not be parsed"));
    }

    #[test]
    fn invalid_body_is_refused() {
        for text in ["{\"a\":", "\"\\ud800\"", "1E400", "nul", " ", "{\"a\":[-1e999]}"] {
            assert_eq!(body(JSON, text.as_bytes()), Err(400), "{text}");
        }
        assert_eq!(body(JSON, b"\"\xff\""), Err(400));
        assert_eq!(body(Some("application/x-www-form-urlencoded"), b"a=\xff"), Err(415));
        assert_eq!(body(Some("application/x-www-form-urlencoded"), &vec![b'a'; MAX_FORM + 1]), Err(413));
        let too_large = Request::new(
            Method::PUT,
            "/",
            HeaderMap::from_iter([(hyper::header::CONTENT_TYPE, "application/json".parse().unwrap())]),
            Payload::TooLarge,
        );
        assert_eq!(Body::of(&too_large).unwrap_err().status, 413);
        let deep = "[".repeat(300_000) + &"]".repeat(300_000);
        assert!(matches!(body(JSON, deep.as_bytes()), Ok(Body::Json(_))));
    }
}
