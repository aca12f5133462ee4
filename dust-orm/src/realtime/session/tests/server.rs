//! A simple model of the server, at the other end of a connection that loses and delays frames but does not reorder
//! them.

use std::collections::VecDeque;

use dust_protocol::apply::{Stamp, apply, outcome};
use dust_protocol::channel::Frame;
use dust_protocol::value::is_subtree;
use dust_protocol::{CommittedOp, Leaves, Mutation, OpKind, Path, Precondition, RawJson, envelope};
use serde_json::{Value, json};

use crate::realtime::Mirror;

/// One store, and at most one client's connection to it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) log: Vec<CommittedOp>,
    pub(crate) leaves: Mirror,
    snapshot: Option<(u64, Mirror)>,
    pub(crate) connection: Option<Connection>,
    /// True if the event of a write is sent before its reply.
    pub(crate) event_first: bool,
    /// Joins it has answered.
    pub(crate) joins: usize,
    /// Messages that a join has discarded unread.
    pub(crate) overtaken: usize,
    /// The number of the next replies to `status` that are lost.
    pub(crate) swallows: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) to_server: VecDeque<String>,
    pub(crate) to_client: VecDeque<String>,
    join_ref: Option<String>,
    /// Messages that the socket has read and the channel has not.
    unread: VecDeque<String>,
    /// True if the channel reads no more messages.
    pub(crate) hangs: bool,
    /// True if its catch-up is never sent.
    pub(crate) is_stalled: bool,
    /// The next op of the catch-up that is under way.
    catching_up: Option<u64>,
}

impl Connection {
    /// True if a message is on its way, or has arrived and is not read.
    pub(crate) fn has_pending(&self) -> bool {
        !self.to_server.is_empty() || !self.to_client.is_empty() || !self.unread.is_empty()
    }
}

const TOPIC: &str = "store:acme/main";

fn frame(join_ref: Option<&str>, reference: Option<&str>, event: &str, payload: &Value) -> String {
    serde_json::to_string(&(join_ref, reference, TOPIC, event, payload)).unwrap()
}

fn value(raw: &RawJson) -> Value {
    raw.to().unwrap()
}

fn event(op: &CommittedOp, join_ref: Option<&str>) -> String {
    // A catch-up sends the bare string of an envelope at the top.
    let is_bared = join_ref.is_some() && op.op == OpKind::Set;
    let shown = if is_bared { envelope::to_plain(&op.value) } else { op.value.clone() };
    let payload = json!({
        "store_seq": op.store_seq, "op": op.op.name(), "path": op.path.as_str(), "value": value(&shown),
        "device_id": &*op.device_id, "client_op_id": &*op.client_op_id,
    });
    frame(join_ref, None, "event", &payload)
}

impl Server {
    pub(crate) fn seq(&self) -> u64 {
        self.log.len() as u64
    }

    /// Commits an op, or returns the reason of its refusal.
    pub(crate) fn commit(
        &mut self,
        path: &Path,
        op: &Mutation,
        on: Option<Precondition>,
        id: &str,
    ) -> Result<u64, &'static str> {
        let store_seq = self.seq() + 1;
        let current = self.leaves.leaf(path).unwrap();
        match (on, op) {
            (Some(_), Mutation::Set(value)) if is_subtree(value) => return Err("if_match_multi_leaf"),
            (Some(Precondition::IfMatch(revision)), _) if current.is_none_or(|leaf| leaf.revision != revision) => {
                return Err("conflict");
            }
            _ => {}
        }
        let stamp = Stamp { store_seq, wall_ms: 0 };
        let value = outcome(&self.leaves, path, op, stamp).map_err(|_| "refused")?;
        let op = CommittedOp::new(store_seq, op.kind(), path.clone(), value).written_by("d".into(), id.into());
        apply(&mut self.leaves, &op, None).map_err(|_| "refused")?;
        self.log.push(op);
        Ok(store_seq)
    }

    /// Pushes the last op to the client, if it has joined.
    pub(crate) fn push_last(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if connection.join_ref.is_some() {
            connection.to_client.extend(self.log.last().map(|op| event(op, None)));
        }
    }

    pub(crate) fn compact(&mut self) {
        self.snapshot = Some((self.seq(), self.leaves.clone()));
    }

    /// Restores the store as of `seq`, and closes the connection.
    pub(crate) fn restore(&mut self, seq: u64) {
        self.connection = None;
        self.log.truncate(seq as usize);
        self.snapshot = self.snapshot.take().filter(|(snapshot_seq, _)| *snapshot_seq <= seq);
        self.leaves = Mirror::default();
        for op in &self.log {
            apply(&mut self.leaves, op, None).unwrap();
        }
    }

    /// The channel crashes.
    pub(crate) fn crash(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        connection.catching_up = None;
        connection.unread.clear();
        connection.hangs = false;
        if let Some(join_ref) = connection.join_ref.take() {
            connection.to_client.push_back(frame(Some(&join_ref), Some(&join_ref), "phx_error", &json!({})));
        }
    }

    /// Sends the next two ops of the catch-up that is under way.
    pub(crate) fn catch_up(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if connection.is_stalled {
            return;
        }
        let (Some(next), Some(join_ref)) = (connection.catching_up, &connection.join_ref) else { return };
        let ops = self.log.iter().skip(next as usize).take(2);
        let sent: Vec<String> = ops.map(|op| event(op, Some(join_ref))).collect();
        if sent.is_empty() {
            let done = frame(Some(join_ref), None, "catch_up_complete", &json!({"through_seq": next}));
            connection.to_client.push_back(done);
            connection.catching_up = None;
        } else {
            connection.catching_up = Some(next + sent.len() as u64);
            connection.to_client.extend(sent);
        }
    }

    /// True if a catch-up is under way.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.catching_up.is_some() && !connection.is_stalled)
    }

    /// True if a message waits to be read.
    pub(crate) fn is_behind(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            !connection.to_server.is_empty() || !connection.unread.is_empty() && !connection.hangs
        })
    }

    /// The socket reads one frame. It passes a message to the channel. A join ends the open channel after it has read
    /// `kept` more messages; the rest is lost.
    pub(crate) fn arrive(&mut self, kept: usize) {
        let Some(connection) = &mut self.connection else { return };
        let Some(text) = connection.to_server.pop_front() else { return };
        let is_message = text.contains(r#","write",{"#) || text.contains(r#","status",{"#);
        if is_message && connection.join_ref.is_some() {
            connection.unread.push_back(text);
            return;
        }
        if text.contains(r#","phx_join",{"#) {
            for _ in 0..kept {
                self.read_left();
            }
            let Some(connection) = &mut self.connection else { return };
            self.overtaken += connection.unread.len();
            connection.unread.clear();
            (connection.hangs, connection.is_stalled) = (false, false);
        }
        self.answer(&text);
    }

    /// The channel reads one message; the socket first passes one on if none waits.
    pub(crate) fn read(&mut self) {
        let Some(connection) = &self.connection else { return };
        if connection.unread.is_empty() || connection.hangs {
            self.arrive(0);
        }
        self.read_left();
    }

    fn read_left(&mut self) {
        let connection = self.connection.as_mut().filter(|connection| !connection.hangs);
        if let Some(text) = connection.and_then(|connection| connection.unread.pop_front()) {
            self.answer(&text);
        }
    }

    fn answer(&mut self, text: &str) {
        let incoming = Frame::decode(text).unwrap();
        let payload: Value = serde_json::from_str(incoming.payload.get()).unwrap();
        let reference = incoming.reference.as_deref().unwrap();
        let reply = |join_ref: Option<&str>, answer: Result<Value, &str>| {
            let body = match answer {
                Ok(response) => json!({"status": "ok", "response": response}),
                Err(reason) => json!({"status": "error", "response": {"reason": reason}}),
            };
            frame(join_ref, Some(reference), "phx_reply", &body)
        };
        let store_seq = self.seq();
        let connection = self.connection.as_mut().unwrap();
        let joined = connection.join_ref.clone();
        match (&*incoming.event, joined) {
            ("heartbeat", _) => {
                let answer = json!([null, reference, "phoenix", "phx_reply", {"status": "ok", "response": {}}]);
                connection.to_client.push_back(answer.to_string());
            }
            ("phx_join", before) => {
                self.joins += 1;
                let join_ref = incoming.join_ref.as_deref().unwrap();
                let permissions = json!({"read": true, "write": true});
                let answer = json!({"store_seq": store_seq, "capver": 3, "permissions": permissions, "scopes": []});
                connection.to_client.push_back(reply(Some(join_ref), Ok(answer)));
                if let Some(before) = before {
                    connection.to_client.push_back(frame(Some(&before), Some(&before), "phx_close", &json!({})));
                }
                let mut next = payload["last_store_seq"].as_u64().unwrap();
                if let Some((seq, leaves)) = &self.snapshot
                    && next < *seq
                {
                    let entries: serde_json::Map<String, Value> = leaves
                        .clone()
                        .into_leaves()
                        .map(|leaf| {
                            let wrapped = value(&envelope::to_snapshot_leaf(&leaf.value));
                            (leaf.path.to_string(), json!({"type": leaf.kind.name(), "value": wrapped}))
                        })
                        .collect();
                    let payload = json!({"snapshot_seq": seq, "entries": entries});
                    connection.to_client.push_back(frame(Some(join_ref), None, "snapshot", &payload));
                    next = *seq;
                }
                connection.join_ref = Some(join_ref.to_owned());
                connection.catching_up = Some(next);
            }
            (_, None) => connection.to_client.push_back(reply(None, Err("unmatched topic"))),
            ("status", Some(_)) if self.swallows > 0 => self.swallows -= 1,
            ("status", Some(join_ref)) => {
                let answer = json!({"current_seq": store_seq, "entry_count": self.leaves.len()});
                connection.to_client.push_back(reply(Some(&join_ref), Ok(answer)));
            }
            ("write", Some(join_ref)) => {
                let raw = RawJson::from(&payload["value"]);
                let op = match payload["op"].as_str().unwrap() {
                    "set" => Mutation::Set(raw),
                    "merge" => Mutation::Merge(raw),
                    "delete" => Mutation::Delete,
                    other => panic!("the tests do not write {other}"),
                };
                let path = Path::parse(payload["path"].as_str().unwrap()).unwrap();
                let on = payload["if_match"].as_u64().map(Precondition::IfMatch);
                let done = self.commit(&path, &op, on, payload["client_op_id"].as_str().unwrap());
                let committed = done.is_ok();
                let reply = reply(Some(&join_ref), done.map(|seq| json!({"store_seq": seq})));
                if committed && self.event_first {
                    self.push_last();
                }
                self.connection.as_mut().unwrap().to_client.push_back(reply);
                if committed && !self.event_first {
                    self.push_last();
                }
            }
            (other, _) => panic!("the client sent {other}"),
        }
    }
}
