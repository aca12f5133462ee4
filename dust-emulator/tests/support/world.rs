//! An emulator for a test.

use std::net::SocketAddr;

use dust_emulator::{Emulator, EmulatorBuilder};

use super::{Answer, send};

/// An emulator and a client for it, in a runtime of their own.
pub(crate) struct World {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) emulator: Emulator,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Emulator::builder().store("acme/main"))
    }

    pub(crate) fn with(builder: EmulatorBuilder) -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = runtime.block_on(builder.start()).unwrap();
        World { runtime, emulator }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.emulator.address()
    }

    pub(crate) fn entries(&self, rest: &str) -> String {
        format!("/api/stores/{}/entries{rest}", self.emulator.store())
    }

    /// Sends a request with the token that has all scopes; `None` if the connection is closed.
    pub(crate) fn try_call(&self, method: &str, target: &str, body: Option<&str>) -> Option<Answer> {
        self.call_with(self.emulator.token(), method, target, body)
    }

    pub(crate) fn call(&self, method: &str, target: &str, body: Option<&str>) -> Answer {
        self.try_call(method, target, body).unwrap()
    }

    pub(crate) fn call_with(&self, token: &str, method: &str, target: &str, body: Option<&str>) -> Option<Answer> {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        send(self.address(), method, target, &headers, body.map(str::as_bytes))
    }

    pub(crate) fn status_with(&self, token: &str, method: &str, target: &str) -> u16 {
        let body = (method == "PUT").then_some("1");
        self.call_with(token, method, target, body).unwrap().status()
    }

    pub(crate) fn put(&self, path: &str, value: &str) -> Answer {
        self.call("PUT", &self.entries(path), Some(value))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", &self.entries(path), None)
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.emulator.stop());
    }
}
