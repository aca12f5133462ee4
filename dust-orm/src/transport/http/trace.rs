//! One event for each call, in the caller's span.

use std::time::Duration;

use super::request::Request;
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::error::http::{About, Call};
use crate::runtime::Runtime;

/// A call in progress. Its event is sent when the call ends, even if its future is dropped.
pub(super) struct Trace<'a> {
    world: &'a dyn Runtime,
    config: &'a DustConfig,
    call: &'a Call<'a>,
    request: &'a Request,
    id: &'a str,
    started: Duration,
    retries: u32,
    status: Option<u16>,
    finished: bool,
}

impl<'a> Trace<'a> {
    pub(super) fn start(
        world: &'a dyn Runtime,
        config: &'a DustConfig,
        call: &'a Call<'a>,
        request: &'a Request,
        id: &'a str,
    ) -> Trace<'a> {
        Trace { world, config, call, request, id, started: world.now(), retries: 0, status: None, finished: false }
    }

    /// Records the status of the server's answer.
    pub(super) fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Counts a retry.
    pub(super) fn retry(&mut self) {
        self.retries += 1;
    }

    pub(super) fn finish(mut self, error: Option<&DustErr>) {
        self.finished = true;
        match error {
            None => self.send("ok", None),
            Some(error) => self.send(&format!("{:?}", error.kind()), Some(error)),
        }
    }

    fn send(&self, outcome: &str, error: Option<&DustErr>) {
        let (path, ops) = match self.call.about {
            About::Path(path) => (Some(path.as_str()), None),
            About::Selection(_) | About::Below(_) | About::File(_) => (None, None),
            About::Paths(count) | About::Ops(count) => (None, Some(count as u64)),
        };
        let value = self.request.body.as_deref().filter(|_| self.config.log_values()).map(String::from_utf8_lossy);
        tracing::event!(
            target: "dust_orm::op",
            tracing::Level::DEBUG,
            db.system = "dust",
            db.operation.name = self.call.operation.name(),
            db.operation.batch.size = ops,
            db.namespace = self.call.store,
            db.response.status_code = self.status,
            server.address = self.config.base_url(),
            dust.transport = "http",
            dust.path = path,
            dust.value = value.as_deref(),
            dust.request_id = self.id,
            duration_ms = self.world.now().saturating_sub(self.started).as_secs_f64() * 1000.0,
            retries = self.retries,
            outcome,
            error = error.map(tracing::field::display),
        );
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.send("cancelled", None);
        }
    }
}
