//! Routes for stores and tokens, and the routes that only refer to others.

use std::collections::BTreeSet;

use dust_protocol::envelope;
use hyper::Method;

use super::Call;
use crate::auth::{Access, Token};
use crate::http::{Answer, Reply};
use crate::json::{self, Object};
use crate::stores::{Held, StoreName};
use crate::uri::{self, Params};

pub(super) fn stores(call: &Call<'_>) -> Reply {
    if call.request.method == Method::POST { create_store(call) } else { list_stores(call) }
}

fn list_stores(call: &Call<'_>) -> Reply {
    require(call, "stores:read")?;
    let org = own_org(call);
    let stores = visible(call, &org);
    let stores = stores.iter().map(store_object);
    Ok(Answer::ok(Object::new().string("org", &org).raw("stores", &json::array(stores)).end()))
}

fn create_store(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let name = uri::text(&params, "name").ok_or_else(|| Answer::invalid("name is required"))?;
    require(call, "stores:create")?;
    let invalid = || Answer::error(422, "invalid_store");
    let name = StoreName::parse(&format!("{}/{name}", own_org(call))).map_err(|_| invalid())?;
    if call.state.stores.get(name.org(), name.name()).is_some() {
        return Err(invalid());
    }
    let held = call.state.stores.open_or_create(&name).map_err(|_| Answer::broken(500))?;
    Ok(Answer::json(201, Object::new().raw("store", &store_object(&held)).end()))
}

fn store_object(held: &Held) -> String {
    Object::new()
        .raw("expires_at", "null")
        .string("full_name", &held.name.to_string())
        .string("id", &held.id)
        .string("inserted_at", &envelope::iso(held.since_ms, 6))
        .string("name", held.name.name())
        .string("status", "active")
        .end()
}

pub(super) fn tokens(call: &Call<'_>) -> Reply {
    match (&call.request.method, call.matched.rest().first()) {
        (&Method::POST, _) => create_token(call),
        (&Method::DELETE, Some(id)) => revoke_token(call, id),
        _ => list_tokens(call),
    }
}

fn list_tokens(call: &Call<'_>) -> Reply {
    require(call, "tokens:read")?;
    let tokens = call.state.tokens.all();
    let tokens = tokens.iter().filter(|token| call.token.org.is_none() || token.org == call.token.org).map(|token| {
        let expires_at =
            token.expires_at_ms.map_or_else(|| "null".to_owned(), |ms| json::string(&envelope::iso(ms, 6)));
        described(call, token, Object::new().raw("expires_at", &expires_at), None).end()
    });
    Ok(Answer::ok(Object::new().raw("tokens", &json::array(tokens)).end()))
}

fn create_token(call: &Call<'_>) -> Reply {
    let params = call.body.over(call.query);
    let name = uri::text(&params, "name").ok_or_else(|| Answer::invalid("name is required"))?;
    require(call, "tokens:write")?;
    let org = own_org(call);
    let access = access(call, &params, &org)?;
    let scopes: BTreeSet<String> = match params.get("scopes").and_then(|scopes| scopes.to().ok()) {
        Some(scopes) => scopes,
        None => {
            let flag = |name: &str, default| params.get(name).map_or(default, |flag| flag.as_str() == "true");
            let all = Token::new("").scopes;
            let (read, write) = (flag("read", true), flag("write", false));
            all.into_iter().filter(|scope| if scope.ends_with(":read") { read } else { write }).collect()
        }
    };
    let within = match (&access, &call.token.access) {
        (_, Access::All) => true,
        (Access::Selected(asked), Access::Selected(own)) => asked.is_subset(own),
        (Access::All, Access::Selected(_)) => false,
    };
    if !within || !scopes.is_subset(&call.token.scopes) {
        return Err(Answer::forbidden());
    }
    let mut token = Token::generate().scopes(scopes).org(org);
    (token.name, token.access) = (name, access);
    let token = call.state.tokens.add(token);
    Ok(Answer::json(201, described(call, &token, Object::new(), Some(&token.secret)).end()))
}

/// The requested stores of a new token.
fn access(call: &Call<'_>, params: &Params, org: &str) -> Result<Access, Answer> {
    if uri::text(params, "store_access_mode").as_deref() == Some("all") {
        return Ok(Access::All);
    }
    let list = |name: &str| params.get(name).and_then(|list| list.to::<Vec<String>>().ok());
    let known = visible(call, org);
    let (asked, by_id) = match (list("store_ids"), list("store_names"), uri::text(params, "store_name")) {
        (Some(ids), ..) => (ids, true),
        (_, Some(names), _) => (names, false),
        (.., Some(name)) => (vec![name], false),
        _ => return Err(Answer::invalid("selected store access requires store_ids or store_name")),
    };
    let find = |asked: &String| known.iter().find(|held| *asked == if by_id { &*held.id } else { held.name.name() });
    let names = asked.iter().map(|asked| find(asked).map(|held| held.name.clone()));
    Ok(Access::Selected(names.collect::<Option<_>>().ok_or_else(Answer::not_found)?))
}

fn revoke_token(call: &Call<'_>, id: &str) -> Reply {
    require(call, "tokens:write")?;
    let own = |token: &Token| token.id == id && (call.token.org.is_none() || token.org == call.token.org);
    if call.state.tokens.revoke(own) { Ok(Answer::ok(r#"{"ok":true}"#.to_owned())) } else { Err(Answer::not_found()) }
}

/// Adds the members of a token; its secret only if it is new.
fn described(call: &Call<'_>, token: &Token, object: Object, secret: Option<&str>) -> Object {
    let permission = |scope: &str| token.has_scope(scope).to_string();
    let permissions =
        Object::new().raw("read", &permission("entries:read")).raw("write", &permission("entries:write")).end();
    let scopes = json::array(token.scopes.iter().map(|scope| json::string(scope)));
    let (mode, stores) = match &token.access {
        Access::All => ("all", Vec::new()),
        Access::Selected(names) => {
            let held = names.iter().filter_map(|name| call.state.stores.get(name.org(), name.name()));
            let stores = held.map(|held| Object::new().string("id", &held.id).string("name", held.name.name()).end());
            ("selected", stores.collect())
        }
    };
    let object = object.string("id", &token.id).string("name", &token.name).raw("permissions", &permissions);
    let object = secret.into_iter().fold(object, |object, secret| object.string("raw_token", secret));
    object.raw("scopes", &scopes).string("store_access_mode", mode).raw("stores", &json::array(stores))
}

/// Answers with the address of the WebSocket.
pub(super) fn realtime(call: &Call<'_>) -> Reply {
    let host = call.request.header("host").unwrap_or("localhost");
    let detail = "Realtime is via WebSocket. Connect to ws_url and join the topic store:<org>/<store>. The TypeScript \
                  and Elixir SDKs handle this automatically.";
    let body = Object::new()
        .string("detail", detail)
        .string("docs", "https://github.com/xlabs-hq/dust#realtime")
        .string("error", "upgrade_required")
        .string("ws_url", &format!("ws://{host}/ws/sync"));
    Err(Answer::json(426, body.end()))
}

/// Answers that there are no webhooks.
pub(super) fn webhooks(call: &Call<'_>) -> Reply {
    if call.request.method == Method::GET {
        call.store("webhooks:read")?;
        return Ok(Answer::ok(r#"{"webhooks":[]}"#.to_owned()));
    }
    call.store("webhooks:write")?;
    let body = Object::new().string("detail", "the emulator has no webhooks").string("error", "not_implemented");
    Err(Answer::json(501, body.end()))
}

fn require(call: &Call<'_>, scope: &str) -> Result<(), Answer> {
    if call.token.has_scope(scope) { Ok(()) } else { Err(Answer::forbidden()) }
}

/// The token's organisation; that of the first store for a token of every organisation.
fn own_org(call: &Call<'_>) -> String {
    let first = || call.state.stores.all().first().map(|held| held.name.org().to_owned());
    call.token.org.clone().or_else(first).unwrap_or_default()
}

/// The stores of an organisation that the token may use.
fn visible(call: &Call<'_>, org: &str) -> Vec<Held> {
    let held = call.state.stores.all();
    held.into_iter().filter(|held| held.name.org() == org && call.token.reaches(&held.name)).collect()
}
