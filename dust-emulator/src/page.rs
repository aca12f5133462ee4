//! The page at `/`: stores, keys as a tree, values. It has no script.

use std::collections::BTreeMap;

use dust_protocol::{Entry, ListItem, ListRequest, Path, Pattern};

use crate::http::{Answer, Reply};
use crate::json;
use crate::state::State;
use crate::stores::Held;
use crate::uri::{self, Params};

/// The number of leaves on one page.
const LEAVES: usize = 500;
/// The depth of the tree; deeper leaves are shown in one line.
const MAX_DEPTH: usize = 24;
/// The shown length of a value, in characters.
const SHOWN: usize = 600;

const STYLE: &str = include_str!("page.css");

pub(crate) fn answer(state: &State, query: &Params) -> Reply {
    match uri::text(query, "store") {
        None => Ok(Answer::html(200, stores(state))),
        Some(name) => {
            let held = name.split_once('/').and_then(|(org, name)| state.stores.get(org, name));
            let Some(held) = held else {
                let body =
                    format!("<p>There is no store <b>{}</b>.</p><p><a href=\"/\">All stores</a></p>", escape(&name));
                return Err(Answer::html(404, page("No such store", &body)));
            };
            Ok(Answer::html(200, store(&held, query)?))
        }
    }
}

fn stores(state: &State) -> String {
    let rows: String = state
        .stores
        .all()
        .iter()
        .map(|held| {
            let name = escape(&held.name.to_string());
            let leaves = held.store.entry_count().unwrap_or_default();
            let seq = held.store.current_seq();
            format!(
                "<tr><td><a href=\"/?store={name}\">{name}</a></td><td class=n>{leaves}</td><td class=n>{seq}</td></tr>"
            )
        })
        .collect();
    let body = format!(
        "<h1>Stores</h1><table><thead><tr><th>Store<th class=n>Leaves<th class=n>Last op</tr></thead>\
         <tbody>{rows}</tbody></table>\
         <p class=hint>Requests so far: <a href=\"/_emulator/requests\">/_emulator/requests</a>. Faults waiting: \
         <a href=\"/_emulator/faults\">/_emulator/faults</a>.</p>"
    );
    page("Dust emulator", &body)
}

fn store(held: &Held, query: &Params) -> Result<String, Answer> {
    let broken = |_| Answer::html(500, page("Failed", "<p>The store could not be read.</p>"));
    let name = held.name.to_string();
    let at = uri::text(query, "at").and_then(|at| Path::parse(&at).ok());
    let pattern = at.as_ref().and_then(Pattern::below).or_else(|| Pattern::parse("**").ok());
    let mut page_of_leaves = Default::default();
    if let Some(pattern) = pattern {
        let after = uri::text(query, "after").filter(|after| !after.is_empty());
        let request = ListRequest::pattern(pattern).limit(LEAVES).after(after);
        page_of_leaves = held.store.list(&request).map_err(broken)?;
    }
    let mut tree = Tree::default();
    let below = at.as_ref().map_or(0, Path::depth);
    let mut shown = 0;
    for entry in page_of_leaves.items.into_iter().filter_map(ListItem::into_entry) {
        tree.insert(entry, below);
        shown += 1;
    }
    let mut body = format!("<nav><a href=\"/\">Stores</a> › {}</nav>", crumbs(&name, at.as_ref()));
    let leaf = at.as_ref().and_then(|at| held.store.get_many(std::slice::from_ref(at)).ok()?.pop().flatten());
    if let Some(leaf) = &leaf {
        body.push_str(&format!("<p class=leaf>{}</p>", value(leaf)));
    }
    if shown == 0 && leaf.is_none() {
        body.push_str("<p class=hint>Nothing is here.</p>");
    }
    tree.render(&name, at.as_ref().map_or("", Path::as_str), &mut body);
    if let Some(cursor) = page_of_leaves.next_cursor {
        let at = at.as_ref().map_or("", Path::as_str);
        let link = format!("/?store={}&at={}&after={}", url(&name), url(at), url(&cursor));
        body.push_str(&format!("<p><a href=\"{}\">The next {LEAVES} leaves</a></p>", escape(&link)));
    }
    let (leaves, seq) = (held.store.entry_count().unwrap_or_default(), held.store.current_seq());
    body.push_str(&format!("<p class=hint>{shown} of {leaves} leaves shown; the last op was {seq}.</p>"));
    Ok(page(&name, &body))
}

/// The store and the segments of a path, each a link.
fn crumbs(store: &str, at: Option<&Path>) -> String {
    let mut crumbs = format!("<a href=\"/?store={0}\">{0}</a>", escape(store));
    let mut rendered = String::new();
    for segment in at.map(Path::as_str).unwrap_or_default().split('/').filter(|segment| !segment.is_empty()) {
        if !rendered.is_empty() {
            rendered.push('/');
        }
        rendered.push_str(segment);
        crumbs.push_str(&format!(" › {}", link(store, &rendered, segment)));
    }
    crumbs
}

fn link(store: &str, at: &str, text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape(&format!("/?store={}&at={}", url(store), url(at))), shown(text))
}

fn value(entry: &Entry) -> String {
    let mut text = String::new();
    json::push_value(&entry.value, &mut text);
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { format!("… ({} bytes)", text.len()) } else { String::new() };
    let (kind, revision) = (entry.kind.name(), entry.revision);
    format!(
        "<code class=\"v {kind}\">{}</code>{} <span class=meta><span class=kind>{kind}</span> @{revision}</span>",
        escape(&short),
        escape(&more)
    )
}

/// Leaves by their segments.
#[derive(Default)]
struct Tree {
    leaf: Option<Entry>,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn insert(&mut self, entry: Entry, below: usize) {
        let rendered = entry.path.as_str().to_owned();
        let mut at = self;
        for segment in rendered.splitn(below + MAX_DEPTH, '/').skip(below) {
            at = at.children.entry(segment.to_owned()).or_default();
        }
        at.leaf = Some(entry);
    }

    /// The number of leaves below.
    fn count(&self) -> usize {
        self.children.values().map(|child| usize::from(child.leaf.is_some()) + child.count()).sum()
    }

    fn render(&self, store: &str, at: &str, out: &mut String) {
        if self.children.is_empty() {
            return;
        }
        out.push_str("<ul>");
        for (segment, child) in &self.children {
            let path = if at.is_empty() { segment.clone() } else { format!("{at}/{segment}") };
            out.push_str("<li>");
            let leaf = child.leaf.as_ref().map(|leaf| format!(" {}", value(leaf))).unwrap_or_default();
            if child.children.is_empty() {
                out.push_str(&format!("<span class=k>{}</span>{leaf}", shown(segment)));
            } else {
                let name = link(store, &path, segment);
                out.push_str(&format!(
                    "<details open><summary>{name} <span class=meta>{}</span>{leaf}</summary>",
                    child.count()
                ));
                child.render(store, &path, out);
                out.push_str("</details>");
            }
            out.push_str("</li>");
        }
        out.push_str("</ul>");
    }
}

/// A segment escaped for HTML, with visible control characters.
fn shown(segment: &str) -> String {
    let visible: String = segment
        .chars()
        .map(|character| match u32::from(character) {
            // The symbols of control characters have the same order.
            code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
            0x20 if segment.trim().is_empty() => '␠',
            _ => character,
        })
        .collect();
    escape(&visible)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{}</title><style>{STYLE}</style><main>{body}</main></html>\n",
        escape(title)
    )
}

/// Text between tags and in attributes between quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Text in a query.
fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(byte.into()),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
