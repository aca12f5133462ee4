//! The HTML of the pages. Pages and events render a link by the same function.

use std::fmt::Write;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use dust_orm::{DustErr, FieldError};
use serde_json::Value;

use crate::site::Site;
use crate::{failure, link};

/// The style and the script.
pub(crate) fn assets() -> Router<Site> {
    let style = ([(CONTENT_TYPE, "text/css"), (CACHE_CONTROL, "no-cache")], include_str!("../assets/style.css"));
    let script = ([(CONTENT_TYPE, "text/javascript"), (CACHE_CONTROL, "no-cache")], include_str!("../assets/live.js"));
    Router::new().route("/style.css", get(async || style)).route("/live.js", get(async || script))
}

/// The list and a form.
pub(crate) fn index(form: &str, links: &[link::Model], after: u64) -> String {
    let items = items(links);
    page(
        "Links",
        &format!(
            r#"<section aria-labelledby="new"><h2 id="new">A new link</h2>{form}</section>
<section aria-labelledby="all"><h2 id="all" tabindex="-1">All links</h2>
<ul id="links" data-after="{after}">{items}</ul><p class="empty">There are none yet.</p></section>"#
        ),
    )
}

pub(crate) fn edit(slug: &str, params: &Value, refused: Option<&DustErr>) -> String {
    let form = Form { params, refused, action: &format!("/links/{}", in_url(slug)), method: "PATCH", submit: "Save" };
    let revision = escape(params.get("revision").and_then(Value::as_str).unwrap_or_default());
    let fields = [form.title(), form.url(), form.note()].concat();
    let hidden = format!(r#"<input type="hidden" name="revision" value="{revision}">"#);
    let form = form.render(&(fields + &hidden), r#" <a href="/">Back to the list</a>"#);
    page(
        "Edit a link",
        &format!(
            r#"<section aria-labelledby="edit" data-events="/events/{}"><h2 id="edit">Edit {}</h2>{form}</section>"#,
            in_url(slug),
            escape(slug)
        ),
    )
}

pub(crate) fn new_link(params: &Value, refused: Option<&DustErr>) -> String {
    let form = Form { params, refused, action: "/links", method: "POST", submit: "Add" };
    form.render(&[form.slug(), form.title(), form.url(), form.note()].concat(), "")
}

pub(crate) fn trouble(message: &str) -> String {
    page(
        "Links",
        &format!(r#"<section><p class="alert" role="alert">{message}</p><a href="/">To the list</a></section>"#),
    )
}

pub(crate) fn items(links: &[link::Model]) -> String {
    links.iter().map(item).collect()
}

pub(crate) fn item(link: &link::Model) -> String {
    let (slug, title, place) = (escape(&link.slug), escape(&link.title), in_url(&link.slug));
    // Other programs write to the store too, and the URL of their link may be unsafe to follow.
    let title = match link::is_web(&link.url) {
        true => format!(r#"<a class="title" href="{}" rel="noopener">{title}</a>"#, escape(&link.url)),
        false => format!(r#"<span class="title">{title}</span>"#),
    };
    let label = escape(&link.title);
    let site = link.url.split_once("://").map_or(&*link.url, |(_, rest)| rest).trim_end_matches('/');
    let note = link.note.as_deref().map(|note| format!("<p>{}</p>", escape(note))).unwrap_or_default();
    format!(
        r#"<li id="link-{slug}" data-slug="{slug}"><div>{title}<small>{site}</small>{note}</div>
<form method="post" action="/links/{place}/delete" data-api="/api/links/{place}" data-method="DELETE"><a class="button"
 href="/links/{place}" aria-label="Edit {label}">Edit</a><button
 aria-label="Delete {label}">Delete</button></form></li>"#,
        site = escape(site),
    )
}

/// A form with its input and its errors.
struct Form<'f> {
    params: &'f Value,
    refused: Option<&'f DustErr>,
    action: &'f str,
    method: &'f str,
    submit: &'f str,
}

impl Form<'_> {
    fn slug(&self) -> String {
        self.field(
            "slug",
            "Name",
            r#"required maxlength="40" autocomplete="off" autocapitalize="none" spellcheck="false""#,
        )
    }

    fn title(&self) -> String {
        self.field("title", "Title", r#"required maxlength="80" autocomplete="off""#)
    }

    fn url(&self) -> String {
        self.field("url", "Address", r#"required inputmode="url" autocomplete="off" placeholder="https://""#)
    }

    fn note(&self) -> String {
        self.field("note", "Note (optional)", r#"maxlength="200" autocomplete="off""#)
    }

    /// A field with the changeset's errors beside it.
    fn field(&self, name: &str, label: &str, attributes: &str) -> String {
        let value = escape(self.params.get(name).and_then(Value::as_str).unwrap_or_default());
        let errors = self.refused.and_then(DustErr::errors);
        let wrong = errors.map(|errors| errors.get(name)).unwrap_or_default();
        let messages: Vec<String> = wrong.iter().map(FieldError::message).collect();
        let is_first = errors.and_then(|errors| errors.iter().next()).is_some_and(|(first, _)| first == name);
        let invalid = if messages.is_empty() { "" } else { r#" aria-invalid="true""# };
        let focus = if is_first { " autofocus" } else { "" };
        format!(
            r#"<div class="field"><label for="{name}">{label}</label>
<input id="{name}" name="{name}" value="{value}" aria-describedby="{name}-error" {attributes}{invalid}{focus}>
<p class="error" id="{name}-error">{}</p></div>"#,
            escape(&messages.join(", "))
        )
    }

    fn render(&self, fields: &str, beside: &str) -> String {
        let Form { action, method, submit, .. } = self;
        let alert = self.refused.map(failure::message).unwrap_or_default();
        // The browser's own checks are off, so that all messages come from the changeset.
        let mut form = format!(
            r#"<form method="post" action="{action}" data-api="/api{action}" data-method="{method}" novalidate>"#
        );
        // Writing to a String cannot fail.
        let _ = write!(
            form,
            r#"<p class="alert" role="alert">{alert}</p>{fields}<p class="submit"><button class="main">{submit}</button>{beside}</p></form>"#
        );
        form
    }
}

fn page(title: &str, main: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">
<script type="module" src="/live.js"></script></head>
<body><header><h1><a href="/">Links</a></h1><p id="state" role="status"></p></header>
<main>{main}</main><p id="news" class="unseen" role="status"></p></body></html>"#
    )
}

/// A slug as one segment of a URL's path.
pub(crate) fn in_url(slug: &str) -> String {
    let mut segment = String::with_capacity(slug.len());
    for byte in slug.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => segment.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(segment, "%{other:02X}")),
        }
    }
    segment
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
