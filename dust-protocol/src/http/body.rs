//! Bodies of requests, written as text directly from the values.

use crate::value::push_string;
use crate::{Op, Path, Precondition, RawJson};

/// The conditions that a server supports for a single write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The leaf has this revision.
    IfMatch(u64),
    /// There is no leaf at exactly this path.
    IfLeafAbsent,
}

/// The body of `POST entries/batch`.
pub fn batch_body(paths: &[Path]) -> String {
    let mut body = String::with_capacity(12 + paths.iter().map(|path| path.as_str().len() + 3).sum::<usize>());
    body.push_str(r#"{"paths":["#);
    for (index, path) in paths.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        push_string(path.as_str(), &mut body);
    }
    body.push_str("]}");
    body
}

/// The body of `POST entries/batch_write`. Of the conditions only [`Precondition::IfMatch`] is written. A server
/// ignores all others in a batch, so that the caller must have refused them.
pub fn batch_write_body(ops: &[Op]) -> String {
    let size = |op: &Op| 64 + op.path.as_str().len() + op.value().map_or(0, |value| value.as_str().len());
    let mut body = String::with_capacity(12 + ops.iter().map(size).sum::<usize>());
    body.push_str(r#"{"ops":["#);
    for (index, op) in ops.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(r#"{"op":""#);
        body.push_str(op.kind().name());
        body.push_str(r#"","path":"#);
        push_string(op.path.as_str(), &mut body);
        if let Some(value) = op.value() {
            body.push_str(r#","value":"#);
            body.push_str(value.as_str());
        }
        if let Some(Precondition::IfMatch(revision)) = op.precondition {
            push_if_match(&mut body, revision);
        }
        body.push('}');
    }
    body.push_str("]}");
    body
}

/// The body of `POST entries`: a `PUT` whose path is in the body instead of the URL.
pub fn put_body(path: &Path, value: &RawJson, condition: Option<Condition>) -> String {
    let mut body = String::with_capacity(48 + path.as_str().len() + value.as_str().len());
    body.push_str(r#"{"path":"#);
    push_string(path.as_str(), &mut body);
    body.push_str(r#","value":"#);
    body.push_str(value.as_str());
    match condition {
        Some(Condition::IfMatch(revision)) => push_if_match(&mut body, revision),
        Some(Condition::IfLeafAbsent) => body.push_str(r#","if_absent":true"#),
        None => {}
    }
    body.push('}');
    body
}

/// The body of `DELETE entries`: a delete whose path is in the body instead of the URL.
pub fn delete_body(path: &Path, if_match: Option<u64>) -> String {
    let mut body = String::from(r#"{"path":"#);
    push_string(path.as_str(), &mut body);
    if let Some(revision) = if_match {
        push_if_match(&mut body, revision);
    }
    body.push('}');
    body
}

fn push_if_match(body: &mut String, revision: u64) {
    body.push_str(r#","if_match":"#);
    body.push_str(&revision.to_string());
}
