//! The route for the bytes of files.

use dust_protocol::JsonObject;
use serde::Deserialize;

use super::Call;
use super::entries::refused;
use crate::http::{Answer, Reply};

/// The members of a reference to a file.
#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    filename: Option<String>,
}

pub(super) fn get(call: &Call<'_>) -> Reply {
    let hash = call.matched.rest().first().map(String::as_str).unwrap_or_default();
    if !call.token.has_scope("files:read") {
        return Err(Answer::forbidden());
    }
    let mut reference = None;
    for held in call.state.stores.all() {
        if reference.is_none() && call.token.sees_org(held.name.org()) && call.token.reaches(&held.name) {
            reference = held.store.file_reference(hash).map_err(|error| refused(&error))?;
        }
    }
    let reference = reference.and_then(|reference| reference.to::<JsonObject<Reference>>().ok());
    let JsonObject(reference) = reference.ok_or_else(Answer::forbidden)?;
    let content = call.state.stores.file_content(hash).map_err(|error| refused(&error))?;
    let content = content.ok_or_else(Answer::not_found)?;
    let content_type = reference.content_type.filter(|kind| is_harmless(kind));
    let content_type = content_type.map_or_else(|| OCTETS.to_owned(), |kind| format!("{kind}; charset=utf-8"));
    let name = reference.filename.map_or_else(String::new, |name| format!("; {}", filename(&name)));
    Ok(Answer::bytes(&content_type, content).with("content-disposition", format!("attachment{name}")))
}

const OCTETS: &str = "application/octet-stream";

/// True if a content type is valid and is not shown as a page by browsers: any writer may store a file.
fn is_harmless(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |text: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !text.is_empty() && text.bytes().all(inside)
    };
    let printable = content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let Some((major, minor)) = kind.split_once('/') else { return false };
    let is_page = minor.contains("html") || minor.contains("xml") || minor.contains("script") || minor == "pdf";
    printable && is_token(major) && is_token(minor) && !is_page && major != "multipart"
}

/// The parameters of `content-disposition` for a name of any characters: a harmless name as it is, any other in the
/// form of RFC 6266, with a similar plain name for older clients.
fn filename(name: &str) -> String {
    let plain = |c: char| (' '..='~').contains(&c) && !"\"\\%/".contains(c);
    let likeness: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if likeness == name {
        return format!("filename=\"{name}\"");
    }
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("filename=\"{likeness}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_stays_inside_its_header() {
        for (name, header) in [
            ("h.txt", "filename=\"h.txt\""),
            ("a b;c=d.txt", "filename=\"a b;c=d.txt\""),
            ("a\"; x=\"b", "filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
            ("a\r\nset-cookie: x", "filename=\"a__set-cookie: x\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x"),
            ("../\\é", "filename=\"..___\"; filename*=UTF-8''..%2F%5C%C3%A9"),
            ("", "filename=\"\""),
        ] {
            assert_eq!(filename(name), header);
        }
    }

    #[test]
    fn harmful_content_type_is_replaced() {
        for kind in ["text/plain", "image/png", "application/vnd.api+json", "text/plain; charset=x", "video/mp4"] {
            assert!(is_harmless(kind), "{kind}");
        }
        for kind in [
            "text/html",
            "TEXT/HTML; charset=x",
            " text/html",
            "application/xhtml+xml",
            "image/svg+xml",
            "text/xml",
            "text/javascript",
            "application/pdf",
            "",
            "text",
            "text/",
            "text/plain\r\nx: y",
            "text/html,text/plain",
            "multipart/x-mixed-replace",
            "text/é",
        ] {
            assert!(!is_harmless(kind), "{kind}");
        }
    }
}
