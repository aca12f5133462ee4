//! A link and its leaves.

use serde_json::{Map, Value};

use super::client::Error;

#[derive(Debug)]
pub struct Link {
    pub slug: String,
    pub title: String,
    pub url: String,
    pub note: Option<String>,
}

impl Link {
    /// The fields as they are stored, each at `links/<slug>/<field>`.
    pub fn leaves(&self) -> [(&'static str, Value); 3] {
        [("title", self.title.clone().into()), ("url", self.url.clone().into()), ("note", self.note.clone().into())]
    }

    /// Returns `None` for a softly deleted record, and for leaves that are not a link.
    pub fn from_leaves(slug: &str, leaves: &Map<String, Value>) -> Option<Link> {
        if leaves.contains_key("deleted_at") {
            return None;
        }
        let text = |field: &str| leaves.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Link { slug: slug.to_owned(), title: text("title")?, url: text("url")?, note: text("note") })
    }
}

/// Makes a link from the parameters of a form, or returns the first error.
pub fn check(params: &Value) -> Result<Link, Error> {
    let text = |field: &str| params.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let required = |field: &str| text(field).map(str::to_owned).ok_or(("invalid", format!("{field} can't be blank")));
    let slug = required("slug")?;
    if slug.contains(|character: char| !matches!(character, 'a'..='z' | '0'..='9' | '-')) {
        return Err(("invalid", "slug has invalid format".to_owned()));
    }
    Ok(Link { slug, title: required("title")?, url: required("url")?, note: text("note").map(str::to_owned) })
}
