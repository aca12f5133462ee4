//! The emulator's own endpoints, for tests in other languages, below `/_emulator`.

use dust_protocol::JsonObject;
use serde::{Deserialize, Serialize};

use super::Matched;
use crate::faults::Fault;
use crate::http::{Answer, Payload, Reply, Request};
use crate::json::Object;
use crate::state::State;

pub(super) fn answer(state: &State, matched: &Matched, request: &Request) -> Reply {
    let rest: Vec<&str> = matched.rest().iter().map(String::as_str).collect();
    match (request.method.as_str(), rest.as_slice()) {
        ("GET", ["faults"]) => json(200, &state.faults.pending()),
        ("POST", ["faults"]) => {
            let Payload::Whole(bytes) = &request.body else { return Err(Answer::plain(413)) };
            let wrong = |error: serde_json::Error| Answer::invalid(&format!("not a fault: {error}"));
            let JsonObject(fault): JsonObject<Fault> = serde_json::from_slice(bytes).map_err(wrong)?;
            state.faults.add(fault.clone());
            json(201, &fault)
        }
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            json(200, &state.faults.pending())
        }
        ("GET", ["requests"]) => json(200, &state.journal.all()),
        ("DELETE", ["requests"]) => {
            state.journal.clear();
            json(200, &state.journal.all())
        }
        ("GET", ["sockets"]) => Ok(sockets(state)),
        ("DELETE", ["sockets"]) => {
            state.hub.disconnect_all();
            Ok(sockets(state))
        }
        ("DELETE", ["channels"]) => {
            state.hub.crash_channels();
            Ok(sockets(state))
        }
        ("POST", ["catch-ups"]) => {
            let Payload::Whole(bytes) = &request.body else { return Err(Answer::plain(413)) };
            let wrong =
                |error| Answer::invalid(&format!("not a number of events, such as {{\"hold_after\":3}}: {error}"));
            let JsonObject(Hold { hold_after }) = serde_json::from_slice(bytes).map_err(wrong)?;
            state.hub.hold_catch_ups(Some(hold_after));
            Ok(sockets(state))
        }
        ("DELETE", ["catch-ups"]) => {
            state.hub.hold_catch_ups(None);
            Ok(sockets(state))
        }
        (_, ["faults" | "requests" | "sockets" | "channels" | "catch-ups"]) => Err(Answer::plain(405)),
        _ => Err(Answer::plain(404)),
    }
}

/// The number of events after which catch-ups wait.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    hold_after: usize,
}

/// Answers with the numbers of open sockets and joined channels.
fn sockets(state: &State) -> Answer {
    let (open, channels) = (state.hub.open_sockets() as u64, state.hub.channels() as u64);
    Answer::ok(Object::new().number("channels", channels).number("open", open).end())
}

fn json(status: u16, value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).map_err(|_| Answer::broken(500))?;
    Ok(Answer::json(status, text))
}
