//! The emulator's own endpoints, for tests in other languages: `/_emulator/faults` and `/_emulator/requests`.

use serde::Serialize;

use super::Matched;
use crate::faults::Fault;
use crate::http::{Answer, Payload, Reply, Request};
use crate::state::State;

pub(super) fn answer(state: &State, matched: &Matched, request: &Request) -> Reply {
    let rest: Vec<&str> = matched.rest().iter().map(String::as_str).collect();
    match (request.method.as_str(), rest.as_slice()) {
        ("GET", ["faults"]) => json(200, &state.faults.pending()),
        ("POST", ["faults"]) => {
            let Payload::Whole(bytes) = &request.body else { return Err(Answer::plain(413)) };
            let wrong = |error: serde_json::Error| Answer::invalid(&format!("not a fault: {error}"));
            let fault: Fault = serde_json::from_slice(bytes).map_err(wrong)?;
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
        (_, ["faults" | "requests"]) => Err(Answer::plain(405)),
        _ => Err(Answer::plain(404)),
    }
}

fn json(status: u16, value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).map_err(|_| Answer::broken(500))?;
    Ok(Answer::json(status, text))
}
