//! The routes for lists of entries, keys and prefixes.

use dust_protocol::list::MAX_PAGE_LEAVES;
use dust_protocol::read::ListError;
use dust_protocol::{ListItem, ListRequest, Order, Page, Path, Pattern, Select, Selector};
use dust_store::StoreErrorKind;

use super::Call;
use super::entries::refused;
use crate::http::{Answer, Reply};
use crate::json::{self, Object};
use crate::uri::{self, Params, positive};

/// The default number of items on a page.
const DEFAULT_LIMIT: usize = 50;

pub(super) fn list(call: &Call<'_>) -> Reply {
    let has = |name: &str| call.query.contains_key(name);
    match (has("pattern"), has("from"), has("to")) {
        (true, true, _) | (true, _, true) => {
            return Err(Answer::detailed("conflicting_params", "use either pattern or from/to, not both"));
        }
        (_, true, false) => return Err(Answer::invalid("from requires to")),
        (_, false, true) => return Err(Answer::invalid("to requires from")),
        _ => {}
    }
    let store = call.readable()?;
    let request = request(call.query)?;
    let page = store.list(&request).map_err(|error| match error.kind() {
        StoreErrorKind::List(ListError::InvalidPatternForPrefixes(_)) => Answer::detailed(
            error.name(),
            "select=prefixes accepts only `**` (every top-level prefix) or a `<base>.**` pattern (every direct-child \
             prefix under <base>). Other patterns are rejected because the prefix projection is not well-defined for \
             them.",
        ),
        StoreErrorKind::List(ListError::UnsupportedSelect) => {
            Answer::detailed(error.name(), "select=prefixes not supported for range")
        }
        _ => refused(&error),
    })?;
    Ok(Answer::ok(rendered(&page)))
}

fn request(params: &Params) -> Result<ListRequest, Answer> {
    let selector = if params.contains_key("from") {
        Selector::Range { from: bound(params, "from")?, to: bound(params, "to")? }
    } else {
        Selector::Pattern(pattern(params)?)
    };
    let limit = match params.get("limit") {
        None => DEFAULT_LIMIT,
        Some(_) => uri::text(params, "limit")
            .and_then(|text| positive(&text))
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit <= MAX_PAGE_LEAVES)
            .ok_or_else(|| Answer::invalid("limit must be 1..1000"))?,
    };
    let order = choice(params, "order", &[("asc", Order::Ascending), ("desc", Order::Descending)])?;
    let selects = [("entries", Select::Entries), ("keys", Select::Keys), ("prefixes", Select::Prefixes)];
    let select = choice(params, "select", &selects)?;
    let after = match params.get("after") {
        None => None,
        Some(_) => Some(uri::text(params, "after").ok_or_else(|| Answer::invalid("after must be a string"))?),
    };
    Ok(ListRequest { selector, limit, order, select, after: after.filter(|after| !after.is_empty()) })
}

fn pattern(params: &Params) -> Result<Pattern, Answer> {
    let pattern = match params.get("pattern") {
        None => "**".to_owned(),
        Some(_) => uri::text(params, "pattern")
            .filter(|pattern| !pattern.is_empty())
            .ok_or_else(|| Answer::invalid("pattern must be a non-empty string"))?,
    };
    Pattern::parse(&pattern).map_err(|_| Answer::invalid("pattern has empty segments"))
}

fn bound(params: &Params, name: &str) -> Result<Path, Answer> {
    let text = uri::text(params, name).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Answer::invalid(&format!("{name} must be a non-empty string")))?;
    Path::parse(&text).map_err(|_| Answer::invalid(&format!("{name} must be a valid path")))
}

fn choice<T: Copy + Default>(params: &Params, name: &str, choices: &[(&str, T)]) -> Result<T, Answer> {
    let Some(given) = params.get(name) else { return Ok(T::default()) };
    let text = uri::text(params, name);
    choices
        .iter()
        .find(|(choice, _)| text.as_deref() == Some(*choice))
        .map(|(_, value)| *value)
        .ok_or_else(|| Answer::invalid(&format!("{name}={}", json::inspect(given))))
}

fn rendered(page: &Page) -> String {
    let items = page.items.iter().map(|item| match item {
        ListItem::Path(path) => json::string(path.as_str()),
        ListItem::Entry(entry) => Object::new()
            .string("path", entry.path.as_str())
            .number("revision", entry.revision)
            .string("type", entry.kind.name())
            .value("value", &entry.value)
            .end(),
    });
    let cursor = page.next_cursor.as_deref().map_or_else(|| "null".to_owned(), json::string);
    Object::new().raw("items", &json::array(items)).raw("next_cursor", &cursor).end()
}
