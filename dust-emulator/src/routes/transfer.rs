//! The routes for exports, imports and clones of whole stores.

use super::Call;
use super::entries::refused;
use crate::export;
use crate::http::{Answer, Payload, Reply};
use crate::import;
use crate::json::{self, Object};
use crate::stores::StoreName;
use crate::uri;

pub(super) fn export(call: &Call<'_>) -> Reply {
    let held = call.store("entries:read")?;
    if uri::text(call.query, "format").as_deref() == Some("sqlite") {
        return Err(Answer::invalid("the emulator exports JSON lines only; leave format out"));
    }
    let lines = export::export_lines(&held.name.to_string(), &held.store, call.state.clock.wall_ms());
    Ok(Answer::bytes("application/x-ndjson; charset=utf-8", lines.map_err(|error| refused(&error))?))
}

pub(super) fn import(call: &Call<'_>) -> Reply {
    let held = call.store("entries:write")?;
    let Payload::Whole(bytes) = &call.request.body else { return Err(Answer::plain(413)) };
    let text = std::str::from_utf8(bytes).map_err(|_| Answer::invalid("the lines are not UTF-8"))?;
    let done = import::import_lines(&held.store, text, "system:import");
    let failed = done.failed.iter().map(|failed| {
        let path = failed.path.as_deref().map_or_else(|| "null".to_owned(), json::string);
        Object::new().number("line", failed.line as u64).raw("path", &path).string("reason", &failed.reason).end()
    });
    let ok = done.failed.is_empty();
    let body = Object::new()
        .raw("failed", &json::array(failed))
        .number("imported", done.imported as u64)
        .raw("ok", &ok.to_string())
        .number("skipped", done.skipped as u64)
        .number("unparseable", done.unparseable as u64);
    Ok(Answer::ok(body.end()))
}

pub(super) fn clone(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let name = uri::text(&params, "name").ok_or_else(|| Answer::invalid("name is required"))?;
    let source = call.store("stores:clone")?;
    let taken = || Answer::error(422, "name_taken");
    let target = StoreName::parse(&format!("{}/{name}", source.name.org())).map_err(|_| taken())?;
    if call.state.stores.get(target.org(), target.name()).is_some() {
        return Err(taken());
    }
    let lines = export::export_lines("", &source.store, 0).map_err(|error| refused(&error))?;
    let held = call.state.stores.open_or_create(&target).map_err(|_| Answer::broken(500))?;
    import::import_lines(&held.store, &lines, "system:clone");
    let store = Object::new().string("full_name", &target.to_string()).string("id", &held.id);
    let store = store.string("name", target.name()).end();
    Ok(Answer::json(201, Object::new().raw("ok", "true").raw("store", &store).end()))
}
