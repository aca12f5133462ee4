//! Replays the recorded WebSockets: sends the sent frames, and expects the received ones.
//!
//! Text frames are compared byte for byte, except for generated values. MessagePack frames are compared by value, as
//! the order of a map's keys has no meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use rmpv::Value as Packed;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::differences::{FRAME_DIFFERENCES, NOT_COMPARED};
use crate::recording::{Form, Happened, Line, unescaped};
use crate::scenery::Scenery;
use crate::support::socket::{Ended, Socket};
use crate::{settled, shorten};

/// A message that the server always answers, after all earlier frames.
const QUIET: &str = r#"[null,"quiet","phoenix","heartbeat",{}]"#;

/// The sockets of one recording.
#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeMap<String, Socket>,
    /// The status of the last attempt to connect, if it was refused.
    refused: Option<u16>,
    /// References of messages that are not replayed.
    skipped: BTreeSet<String>,
    /// True after the time that closes every idle socket.
    silenced: bool,
}

/// The result of the replay of sockets.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) frames: usize,
    pub(crate) skipped: usize,
    pub(crate) used: BTreeSet<usize>,
    pub(crate) not_compared: BTreeSet<usize>,
}

impl Sockets {
    /// Replays one line; the error is the difference.
    pub(crate) fn replay(
        &mut self,
        scenery: &Scenery,
        lines: &[&Line],
        at: usize,
        secret: Option<&str>,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let line = lines[at];
        let name = &line.name;
        match &line.what {
            Happened::Connect(query) => {
                self.end(name)?;
                let query = with_tokens(query, secret);
                self.refused = None;
                match Socket::open(scenery.emulator.address(), &query) {
                    Ok(socket) => {
                        self.open.insert(name.clone(), socket);
                        self.before(scenery, name);
                    }
                    Err(status) => self.refused = Some(status),
                }
                Ok(())
            }
            Happened::Accepted => self.refused.map_or(Ok(()), |status| Err(format!("refused with {status}"))),
            Happened::Refused(status) if self.refused == Some(*status) => Ok(()),
            Happened::Refused(status) => Err(format!("recorded: {status}, now: {:?}", self.refused)),
            Happened::Sent(form, json) => {
                if is_refused_by_plan(lines, at) {
                    self.skipped.insert(reference(json));
                    seen.skipped += 1;
                    return Ok(());
                }
                seen.frames += 1;
                let json = with_ids(scenery, json);
                match form {
                    Form::Text => self.socket(name).send_text(&json),
                    Form::Binary => self.socket(name).send_binary(packed(&json)),
                }
                Ok(())
            }
            Happened::SentText(text) => {
                seen.frames += 1;
                self.socket(name).send_text(text);
                Ok(())
            }
            Happened::SentBytes(bytes) => {
                seen.frames += 1;
                self.socket(name).send_binary(bytes.clone());
                Ok(())
            }
            Happened::Received(form, json) => self.received(scenery, name, *form, json, seen),
            Happened::Closed(code) => {
                if *code == 1002 && !self.silenced {
                    self.silenced = true;
                    scenery.clock.advance(60_000);
                }
                seen.frames += 1;
                match self.socket(name).message() {
                    Err(Ended::Closed(now)) if now == *code => {
                        self.open.remove(name);
                        Ok(())
                    }
                    other => Err(format!("recorded: closed with {code}, now: {other:?}")),
                }
            }
        }
    }

    fn received(
        &mut self,
        scenery: &Scenery,
        name: &str,
        form: Form,
        recorded: &str,
        seen: &mut Seen,
    ) -> Result<(), String> {
        if self.skipped.remove(&reference(recorded)) {
            return Ok(());
        }
        seen.frames += 1;
        let recorded = if form == Form::Text { recorded.to_owned() } else { sorted(recorded) };
        let difference = FRAME_DIFFERENCES
            .iter()
            .position(|difference| scenery.file == difference.file && recorded.contains(difference.recorded));
        if let Some(at) = difference {
            seen.used.insert(at);
            for part in FRAME_DIFFERENCES[at].ours {
                let now = shown(&self.socket(name).message().map_err(|ended| format!("{ended:?}"))?).1;
                if !now.contains(part) {
                    return Err(format!("allowed: {part}\n  now:     {now}"));
                }
            }
            return Ok(());
        }
        let message = self.socket(name).message().map_err(|ended| format!("recorded: {recorded}\n  now: {ended:?}"))?;
        let (now_form, now) = shown(&message);
        // A recorder that put spaces between the members also changed their order.
        let in_order = |frame: &str| if name.is_empty() { sorted(frame) } else { frame.to_owned() };
        let (recorded, now) = (compared(&in_order(&recorded), seen), compared(&in_order(&now), seen));
        if form == now_form && recorded == now {
            return Ok(());
        }
        Err(format!("recorded: {form:?} {}\n  now:      {now_form:?} {}", shorten(&recorded), shorten(&now)))
    }

    /// Repeats the actions of the recorder on a socket that the recording does not show.
    fn before(&mut self, scenery: &Scenery, name: &str) {
        let socket = self.socket(name);
        if scenery.file.starts_with("g4") {
            let topic = format!("store:{}", scenery.store);
            socket.join(&topic, 0);
            for value in 1..100 {
                let payload = serde_json::json!({"op": "set", "path": "k", "value": value, "client_op_id": "x"});
                socket.send(&topic, "write", payload);
                assert_eq!([&socket.frame()[3], &socket.frame()[3]], ["event", "phx_reply"]);
            }
        }
        if scenery.file.starts_with("g3") && name == "C" {
            scenery.emulator.hold_catch_ups(0);
            let topic = "store:acme/g3bigeee754";
            socket.send(topic, "phx_join", serde_json::json!({"last_store_seq": 0}));
            assert_eq!(socket.frame()[4]["response"]["store_seq"], 2500);
        }
    }

    /// Applies a remark of the recorder about a socket or the server.
    pub(crate) fn remark(&mut self, scenery: &Scenery, remark: &str) -> Result<(), String> {
        if remark.starts_with("compact -> {:ok, 10}") {
            assert_eq!(scenery.handle("acme/g3snapeee754").compact().unwrap(), Some(10));
        } else if remark.starts_with("[C] 2504 frames: 2502 events") {
            let socket = self.socket("C");
            let mut frames = vec![socket.frame()];
            scenery.emulator.release_catch_ups();
            while frames.last().unwrap()[3] != "catch_up_complete" {
                frames.push(socket.frame());
            }
            // Without the reply, which came earlier.
            assert_eq!(frames.len(), 2503);
            let live: Vec<_> = (0..).zip(&frames).filter(|(_, frame)| frame[4]["store_seq"] == 2501).collect();
            let live: Vec<_> = live.iter().map(|(at, frame)| (*at, frame[0].clone())).collect();
            assert_eq!(live, [(0, Value::Null), (2501, Value::from("1"))]);
            assert_eq!(frames[2502][4], serde_json::json!({"through_seq": 2501}));
        } else if remark.starts_with("   (nothing more") {
            return self.is_quiet("").then_some(()).ok_or_else(|| format!("{remark}, but a frame came"));
        } else if remark.ends_with("got 0 frames") || remark.ends_with(": 0") {
            let name = remark[1..].split(']').next().unwrap();
            assert!(self.is_quiet(name), "{remark}");
        }
        Ok(())
    }

    /// Checks that an unused socket has received only live events, which the recorder did not read.
    fn end(&mut self, name: &str) -> Result<(), String> {
        let Some(mut socket) = self.open.remove(name).filter(|_| !self.silenced) else { return Ok(()) };
        socket.send_text(QUIET);
        loop {
            let frame = socket.message().map(|message| shown(&message).1);
            match frame {
                Ok(frame) if frame.starts_with(r#"[null,"quiet","#) => return Ok(()),
                Ok(frame) if frame.starts_with("[null,null,") && frame.contains(r#","event",{"#) => {}
                other => return Err(format!("[{name}] had another frame: {other:?}")),
            }
        }
    }

    pub(crate) fn end_all(&mut self) -> Result<(), String> {
        let names: Vec<String> = self.open.keys().cloned().collect();
        names.iter().try_for_each(|name| self.end(name))
    }

    fn is_quiet(&mut self, name: &str) -> bool {
        let socket = self.socket(name);
        socket.send_text(QUIET);
        shown(&socket.message().unwrap()).1.starts_with(r#"[null,"quiet","#)
    }

    fn socket(&mut self, name: &str) -> &mut Socket {
        self.open.get_mut(name).unwrap_or_else(|| panic!("[{name}] is not open"))
    }
}

/// The parameters with the secrets of the tokens that they name.
fn with_tokens(query: &str, secret: Option<&str>) -> String {
    let query = query.replace("$TOKEN_RO", "DUST_TOKEN_RO").replace("$TMP", secret.unwrap_or_default());
    query.replace('$', "")
}

/// A frame with the id of this run's store in its topic.
fn with_ids(scenery: &Scenery, json: &str) -> String {
    let mut frame: Value = serde_json::from_str(json).unwrap();
    let is_recorded = frame[2].as_str().is_some_and(|topic| topic.starts_with("store:01a2"));
    if !is_recorded {
        return json.to_owned();
    }
    let headers = [("authorization", "Bearer DUST_ADMIN_TOKEN")];
    let answer = crate::support::send(scenery.emulator.address(), "GET", "/api/stores", &headers, None).unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let stores = answer["stores"].as_array().unwrap();
    let own = stores.iter().find(|store| store["full_name"] == scenery.store.as_str()).unwrap();
    frame[2] = format!("store:{}", own["id"].as_str().unwrap()).into();
    frame.to_string()
}

/// True if the answer to a message is a refusal by the limits of a plan.
fn is_refused_by_plan(lines: &[&Line], at: usize) -> bool {
    let Happened::Sent(_, sent) = &lines[at].what else { return false };
    let answer = lines[at + 1..].iter().find_map(|line| match &line.what {
        Happened::Received(_, json) if reference(json) == reference(sent) => Some(json),
        _ => None,
    });
    answer.is_some_and(|answer| answer.contains("limit_exceeded"))
}

fn reference(frame: &str) -> String {
    let frame: Value = serde_json::from_str(frame).unwrap();
    frame[1].to_string()
}

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| NOT_COMPARED.iter().map(|(pattern, common, _)| (Regex::new(pattern).unwrap(), *common)).collect());

/// A frame with placeholders for generated and ignored values.
fn compared(frame: &str, seen: &mut Seen) -> String {
    let mut frame = settled(frame);
    for (at, (pattern, common)) in PATTERNS.iter().enumerate() {
        let replaced = pattern.replace_all(&frame, *common).into_owned();
        if replaced != frame {
            seen.not_compared.insert(at);
        }
        frame = replaced;
    }
    frame
}

/// A JSON text with the keys of its objects in order.
fn sorted(json: &str) -> String {
    let mut value: Value = serde_json::from_str(json).unwrap();
    value.sort_all_objects();
    value.to_string()
}

/// A frame as text.
fn shown(message: &Message) -> (Form, String) {
    match message {
        Message::Text(text) => (Form::Text, text.to_string()),
        Message::Binary(bytes) => {
            let mut rest: &[u8] = bytes;
            let value = rmpv::decode::read_value(&mut rest).unwrap();
            assert!(rest.is_empty());
            (Form::Binary, sorted(&unpacked(&value).to_string()))
        }
        other => panic!("{other:?}"),
    }
}

/// A value of MessagePack in the recorder's notation.
fn unpacked(value: &Packed) -> Value {
    match value {
        Packed::Nil => Value::Null,
        Packed::Boolean(flag) => (*flag).into(),
        Packed::Integer(number) => number.as_u64().map_or_else(|| number.as_i64().into(), Value::from),
        Packed::F32(float) => f64::from(*float).into(),
        Packed::F64(float) => (*float).into(),
        Packed::String(text) => text.as_str().unwrap().into(),
        Packed::Binary(bytes) => panic!("a server sends no bytes: {bytes:?}"),
        Packed::Array(items) => items.iter().map(unpacked).collect(),
        Packed::Map(members) => {
            members.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), unpacked(value))).collect()
        }
        Packed::Ext(-1, bytes) => {
            let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let (seconds, nanos) = match bytes.len() {
                4 => (number(bytes), 0),
                8 => (number(bytes) & 0x3_ffff_ffff, number(bytes) >> 34),
                _ => panic!("{bytes:?}"),
            };
            format!("Timestamp(seconds={seconds}, nanoseconds={nanos})").into()
        }
        Packed::Ext(kind, _) => panic!("extension {kind}"),
    }
}

/// A frame in MessagePack, from the recorder's notation.
fn packed(json: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &pack(&serde_json::from_str(json).unwrap())).unwrap();
    bytes
}

fn pack(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => number.as_f64().unwrap().into(),
        },
        Value::String(text) if text.starts_with("Timestamp(seconds=") => {
            let digits = text["Timestamp(seconds=".len()..].split(',').next().unwrap();
            Packed::Ext(-1, digits.parse::<u32>().unwrap().to_be_bytes().to_vec())
        }
        Value::String(text) if text.starts_with("b'") => {
            Packed::Binary(unescaped(text.strip_prefix("b'").unwrap().strip_suffix('\'').unwrap()))
        }
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Packed::Array(items.iter().map(pack).collect()),
        Value::Object(members) => {
            Packed::Map(members.iter().map(|(key, value)| (key.as_str().into(), pack(value))).collect())
        }
    }
}
