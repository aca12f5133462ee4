//! URLs, headers and statuses.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::Server;

/// A name to compare with, and a message.
pub type Error = (&'static str, String);

pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

#[derive(Deserialize)]
pub struct Entry {
    pub path: String,
    pub value: Value,
    pub revision: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Entry>,
    next_cursor: Option<String>,
}

impl Client {
    pub fn new(server: &Server) -> Client {
        // Only needed while both clients are in one program: dust-orm turns on TLS in reqwest, and every reqwest client
        // then needs a crypto provider, even without TLS. An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = format!("{}/api/stores/{}/entries", server.url, server.store);
        Client { http: reqwest::Client::new(), base, token: server.token.clone() }
    }

    pub async fn put(&self, path: &str, value: &Value, if_match: Option<u64>) -> Result<(), Error> {
        let mut request = self.request(Method::PUT, &format!("/{path}")).json(value);
        if let Some(revision) = if_match {
            request = request.header("If-Match", revision.to_string());
        }
        send(request).await.map(drop)
    }

    pub async fn list(&self, pattern: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let mut request = self.request(Method::GET, "").query(&[("pattern", pattern), ("limit", "1000")]);
            if let Some(cursor) = &after {
                request = request.query(&[("after", cursor)]);
            }
            let page: Page = send(request).await?.json().await.map_err(|error| ("decode", error.to_string()))?;
            entries.extend(page.items);
            after = page.next_cursor;
            if after.is_none() {
                return Ok(entries);
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }
}

async fn send(request: RequestBuilder) -> Result<reqwest::Response, Error> {
    let response = request.send().await.map_err(|error| ("network", error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::PRECONDITION_FAILED => "conflict",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "unauthorized",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        _ => "http",
    };
    Err((kind, format!("{status}: {}", response.text().await.unwrap_or_default())))
}
