//! Refuses requests of web pages.
//!
//! A browser lets any page send requests to this machine. The emulator's own endpoints need no token, so that a page in
//! another tab could read and change everything. There are two cases. A page of another origin sends a request: then
//! browsers set `Origin` or `Sec-Fetch-Site`. Or the page has made the name of its own host resolve to this machine, so
//! that it has this origin (DNS rebinding): then the request has that name in `Host`.
//!
//! Other clients send neither `Origin` nor `Sec-Fetch-Site`, and in `Host` the name that they connect to.

use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::{HeaderMap, Method};

use crate::http::Answer;

/// The host names that an emulator answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Hosts {
    /// Refuses a request of a page of another origin, and one to another host. `local` is the local address of the
    /// connection.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap, local: Option<IpAddr>) -> Result<(), Answer> {
        let mut hosts = headers.get_all(HOST).iter();
        // HTTP/1.0 has none; every browser sends it.
        let host = hosts.next().map(|host| host.to_str().unwrap_or("\u{fffd}"));
        if hosts.next().is_some() || host.is_some_and(|host| !self.answers(host, local)) {
            return Err(refused(&format!(
                "the emulator does not answer as `{}`, which could be the host of a web page; use 127.0.0.1 or \
                 localhost, or start it with --host {0}",
                host.map(name).unwrap_or_default()
            )));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let own = host.map(|host| format!("http://{host}")).unwrap_or_default();
        if !origins.all(|origin| origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&own))) {
            return Err(refused("the emulator does not answer pages of another origin"));
        }
        let fetch = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let elsewhere = fetch("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
        // A user who follows a link to the emulator's page.
        let link = *method == Method::GET
            && fetch("sec-fetch-mode") == Some("navigate")
            && fetch("sec-fetch-dest") == Some("document");
        if elsewhere && !link {
            return Err(refused("the emulator does not answer pages of another origin"));
        }
        Ok(())
    }

    fn answers(&self, host: &str, local: Option<IpAddr>) -> bool {
        let name = name(host);
        if name.eq_ignore_ascii_case("localhost") || self.0.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let address = address.parse::<IpAddr>().map(|address| address.to_canonical());
        address.is_ok_and(|address| address.is_loopback() || Some(address) == local.map(|local| local.to_canonical()))
    }
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn refused(detail: &str) -> Answer {
    Answer { status: 403, ..Answer::detailed("forbidden", detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(headers: &[(&'static str, &str)]) -> bool {
        let hosts = Hosts(vec!["emulator".to_owned()]);
        let headers = headers.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), hyper::header::HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        hosts.check(&Method::GET, &map, Some([10, 1, 2, 3].into())).is_ok()
    }

    #[test]
    fn request_to_other_host_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST:7755",
            "127.0.0.1",
            "127.0.0.1:7755",
            "127.1.2.3:1",
            "[::1]:7755",
            "[::1]",
            "10.1.2.3:7755",
            "emulator:7755",
            "Emulator",
            "[::ffff:127.0.0.1]:7755",
        ] {
            assert!(passes(&[("host", host)]), "{host}");
        }
        assert!(passes(&[]));
        for host in [
            "",
            "evil.example",
            "evil.example:7755",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7755",
            "10.1.2.4",
            "localhost:x",
            "xlocalhost",
            "[::2]:7755",
            "0.0.0.0:7755",
        ] {
            assert!(!passes(&[("host", host)]), "{host}");
        }
        assert!(!passes(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn page_of_other_origin_is_refused() {
        let host = ("host", "127.0.0.1:7755");
        assert!(passes(&[host, ("origin", "http://127.0.0.1:7755"), ("sec-fetch-site", "same-origin")]));
        for origin in [
            "http://evil.example",
            "http://localhost:7755",
            "http://127.0.0.1:3000",
            "https://127.0.0.1:7755",
            "null",
            "",
        ] {
            assert!(!passes(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!passes(&[("origin", "http://127.0.0.1:7755")]));
        assert!(!passes(&[host, ("origin", "http://127.0.0.1:7755"), ("origin", "http://evil.example")]));
        assert!(passes(&[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]));
        for site in ["cross-site", "same-site", "?"] {
            assert!(!passes(&[host, ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]), "{site}");
        }
        let link = ("sec-fetch-mode", "navigate");
        assert!(passes(&[host, ("sec-fetch-site", "cross-site"), link, ("sec-fetch-dest", "document")]));
        assert!(!passes(&[host, ("sec-fetch-site", "cross-site"), link, ("sec-fetch-dest", "iframe")]));
    }
}
