//! The check of a base URL.

use std::net::SocketAddr;

use dust_protocol::channel::SOCKET_PATH;
use url::Url;

use super::DEFAULT_BASE_URL;

/// Paths that belong to a socket or to the API: what precedes them is the base URL.
///
/// The socket of Dust, its mount, and the default of Phoenix, which users of Phoenix expect.
const SOCKET_PATHS: [&str; 4] = [SOCKET_PATH, "/ws/sync", "/socket/websocket", "/socket"];
const API_PATH: &str = "/api/stores";

/// The reason why a text is not a base URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotABaseUrl {
    pub(super) why: &'static str,
    /// The base URL that is probably meant.
    pub(super) meant: Option<String>,
}

/// Checks a base URL. The error shows of the text only what cannot be a password or a token.
pub(super) fn check_base_url(text: &str) -> Result<Url, NotABaseUrl> {
    let not = |why| Err(NotABaseUrl { why, meant: None });
    if text.is_empty() {
        return not("is empty, but must be the address of a Dust server");
    }
    if let Some(meant) = listener(text) {
        return Err(NotABaseUrl { why: "must begin with `http://` or `https://`", meant: Some(meant) });
    }
    let Ok(url) = Url::parse(text) else { return not("is not an address with a scheme and a host") };
    let instead = |why| Err(NotABaseUrl { why, meant: meant(&url) });
    if matches!(url.scheme(), "ws" | "wss") {
        return instead("is the address of a WebSocket, but must be the one for HTTP");
    }
    if !matches!(url.scheme(), "http" | "https") {
        return not("must begin with `https://` or `http://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return not("must not contain a user or a password: the token is sent in a header");
    }
    if own_path(&url).is_some() {
        return instead("must not contain the path of the WebSocket or of the API, which is appended to it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return not("must not contain a `?` or a `#`: paths are appended to it");
    }
    if is_hosted(&url) && !url.path().trim_matches('/').is_empty() {
        return instead("must not have a path on this server");
    }
    Ok(url)
}

/// The base URL for a host of this machine, or an IP address, with a port and without a scheme.
fn listener(text: &str) -> Option<String> {
    let is_named = text.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok());
    (is_named || text.parse::<SocketAddr>().is_ok()).then(|| format!("http://{text}"))
}

/// The beginning of a path that ends in one of Dust's own.
fn own_path(url: &Url) -> Option<&str> {
    let path = url.path().trim_end_matches('/');
    let socket = SOCKET_PATHS.iter().find_map(|own| path.strip_suffix(own));
    socket.or_else(|| {
        let (before, behind) = path.split_once(API_PATH)?;
        (behind.is_empty() || behind.starts_with('/')).then_some(before)
    })
}

/// True for the server of the default base URL.
fn is_hosted(url: &Url) -> bool {
    url.host_str() == DEFAULT_BASE_URL.strip_prefix("https://")
}

/// The base URL for an address that leads to a part of a server.
fn meant(url: &Url) -> Option<String> {
    let scheme = if matches!(url.scheme(), "wss" | "https") { "https" } else { "http" };
    let path = if is_hosted(url) { "" } else { own_path(url).unwrap_or(url.path()).trim_end_matches('/') };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{}{port}{path}", url.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant_by(text: &str) -> String {
        check_base_url(text).unwrap_err().meant.unwrap()
    }

    #[test]
    fn address_of_websocket_is_refused_with_that_of_http() {
        for (text, expected) in [
            ("wss://dustlayer.io", "https://dustlayer.io"),
            ("wss://dustlayer.io/ws/sync/websocket?token=dust_tok_secret", "https://dustlayer.io"),
            ("ws://127.0.0.1:7755/", "http://127.0.0.1:7755"),
            ("ws://[::1]:7755", "http://[::1]:7755"),
            ("wss://user:secret@proxy.test/dust/ws/sync/websocket", "https://proxy.test/dust"),
            ("ws://proxy.test/dust", "http://proxy.test/dust"),
        ] {
            let error = check_base_url(text).unwrap_err();
            assert_eq!(error.meant.as_deref(), Some(expected), "{text}");
            assert!(error.why.contains("WebSocket"), "{text}");
        }
    }

    #[test]
    fn path_of_socket_or_api_is_refused_with_what_precedes_it() {
        for (text, expected) in [
            ("http://localhost:7755/ws/sync/websocket", "http://localhost:7755"),
            ("http://localhost:7755/ws/sync/websocket/?token=t", "http://localhost:7755"),
            ("https://proxy.test/dust/ws/sync", "https://proxy.test/dust"),
            ("https://proxy.test/socket", "https://proxy.test"),
            ("https://proxy.test/socket/websocket", "https://proxy.test"),
            ("https://proxy.test/dust/api/stores/acme/main/entries", "https://proxy.test/dust"),
            ("https://proxy.test/api/stores", "https://proxy.test"),
        ] {
            assert_eq!(meant_by(text), expected, "{text}");
        }
    }

    #[test]
    fn path_on_hosted_server_is_refused() {
        for path in ["/dust", "/acme/main", "/api", "/socket", "/api/stores/acme/main"] {
            assert_eq!(meant_by(&format!("https://dustlayer.io{path}")), "https://dustlayer.io", "{path}");
        }
        assert!(check_base_url("https://dustlayer.io/").is_ok());
        assert_eq!(meant_by("https://dustlayer.io:8443/dust"), "https://dustlayer.io:8443");
    }

    #[test]
    fn address_of_listener_is_refused_with_its_url() {
        for text in ["localhost:7755", "127.0.0.1:7755", "[::1]:7755"] {
            assert_eq!(meant_by(text), format!("http://{text}"));
        }
        for text in ["7755", ":7755", "localhost:secret", "localhost:99999", "user:7755", "::1"] {
            assert_eq!(check_base_url(text).unwrap_err().meant, None, "{text}");
        }
    }

    #[test]
    fn path_on_another_host_is_kept() {
        for text in
            ["https://proxy.test/dust", "http://127.0.0.1:1/a/b", "https://proxy.test/api", "http://x/my-socket"]
        {
            assert_eq!(check_base_url(text).unwrap().as_str(), text);
        }
    }
}
