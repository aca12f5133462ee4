//! The proxy that the environment names for a server, over HTTP and for the WebSocket alike.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use url::{Host, Url};

use super::no_proxy::is_exempt;
use crate::error::DustErr;

/// A proxy that speaks HTTP, with or without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its address, without user info.
    pub(crate) url: String,
    pub(crate) is_https: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// A variable of the environment. One that is empty is not set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxy for a server: of `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, otherwise of `ALL_PROXY`, and none
/// for a server that `NO_PROXY` names or that is on this machine.
///
/// # Errors
///
/// `InvalidParams` if the variable names no proxy, or one that is not supported.
pub(crate) fn proxy_for(server: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, DustErr> {
    let exempt = ["NO_PROXY", "no_proxy"].into_iter().find_map(&variable).unwrap_or_default();
    if is_local(server) || is_exempt(server, &exempt) {
        return Ok(None);
    }
    let own: &[&'static str] = match server.scheme() {
        "https" | "wss" => &["HTTPS_PROXY", "https_proxy"],
        // In a CGI program a client sets `HTTP_PROXY`, by its header `Proxy`.
        _ if variable("REQUEST_METHOD").is_some() => &[],
        _ => &["HTTP_PROXY", "http_proxy"],
    };
    let names = own.iter().chain(&["ALL_PROXY", "all_proxy"]);
    let Some((name, value)) = names.into_iter().find_map(|name| Some((name, variable(name)?))) else {
        return Ok(None);
    };
    // The value may hold a password.
    let proxy = parse(value.trim()).map_err(|what| {
        DustErr::invalid_params(format!(
            "the environment variable {name} names {what} for {}; give it a proxy as http://host:port or \
             https://host:port, or name the server in NO_PROXY",
            server.host_str().unwrap_or_default()
        ))
    })?;
    Ok(Some(proxy))
}

/// Reads the address of a proxy: `http://user:password@host:port`, of which only the host is required. The error is a
/// description of the value.
fn parse(value: &str) -> Result<Proxy, String> {
    let no_proxy = || "no proxy".to_owned();
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let url = match value.split_once("://") {
        Some((scheme, _)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            Url::parse(value)
        }
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(format!("a proxy of the scheme `{scheme}`, which is not supported,"));
        }
        _ => Url::parse(&format!("http://{value}")),
    };
    let url = url.map_err(|_| no_proxy())?;
    // A password with one of `/?#` that is not percent-encoded ends the host.
    if url[url::Position::BeforePath..].contains('@') {
        return Err("a user or a password that is not percent-encoded".to_owned());
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(no_proxy()) };
    let address = format!("{}://{host}:{port}/", url.scheme());
    Ok(Proxy {
        is_https: url.scheme() == "https",
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        authorization: authorization(&url),
        url: address,
    })
}

/// The value of `Proxy-Authorization` for the user and the password of an address.
fn authorization(proxy: &Url) -> Option<HeaderValue> {
    let any_server = "http://server/".parse().ok()?;
    Matcher::builder().all(proxy.as_str()).build().intercept(&any_server)?.basic_auth().cloned()
}

/// Tests if a server is on this machine.
pub(crate) fn is_local(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback() || address.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrKind;

    fn proxy(server: &str, environment: &[(&str, &str)]) -> Result<Option<String>, DustErr> {
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let proxy = proxy_for(&Url::parse(server).unwrap(), variable)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host, proxy.port)))
    }

    #[test]
    fn the_variable_of_the_scheme_goes_before_that_of_all() {
        let all = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "http://h:2"), ("ALL_PROXY", "a:3")];
        for (server, expected) in
            [("https://dust", "s:1"), ("wss://dust", "s:1"), ("http://dust", "h:2"), ("ws://dust", "h:2")]
        {
            assert_eq!(proxy(server, &all).unwrap().as_deref(), Some(expected), "{server}");
            assert_eq!(proxy(server, &all[2..]).unwrap().as_deref(), Some("a:3"), "{server}");
            assert_eq!(proxy(server, &[]).unwrap(), None);
        }
        let secure = [("ALL_PROXY", "https://[::1]")];
        assert_eq!(proxy("https://dust", &secure).unwrap().as_deref(), Some("::1:443"));
    }

    #[test]
    fn forms_of_an_address_name_the_same_proxy() {
        for value in [
            "p.example:80",
            "p.example",
            "http://p.example",
            "HTTP://P.EXAMPLE:80/",
            "p.example:80/",
            " http://p.example:80\r",
            "user:secret@p.example",
        ] {
            let environment = [("HTTPS_PROXY", value)];
            assert_eq!(proxy("https://dust", &environment).unwrap().as_deref(), Some("p.example:80"), "{value}");
        }
        let secure = [("https_proxy", "https://p.example")];
        assert_eq!(proxy("wss://dust", &secure).unwrap().as_deref(), Some("p.example:443"));
    }

    #[test]
    fn servers_that_are_exempt_local_or_of_a_cgi_program_have_no_proxy() {
        for (server, exempt) in [("https://dust.example", "other,dust.example"), ("https://10.1.2.3:4", "*")] {
            let environment = [("ALL_PROXY", "http://p:1"), ("no_proxy", exempt)];
            assert_eq!(proxy(server, &environment).unwrap(), None, "{server} {exempt}");
            // A proxy that is not used is not checked.
            assert_eq!(proxy(server, &[("ALL_PROXY", "socks5://p:1"), ("NO_PROXY", exempt)]).unwrap(), None);
        }
        for server in ["http://127.0.0.1:7755", "ws://localhost", "https://[::1]"] {
            assert_eq!(proxy(server, &[("ALL_PROXY", "socks5://p:1")]).unwrap(), None, "{server}");
        }
    }

    #[test]
    fn cgi_program_ignores_only_the_variable_of_its_clients() {
        let cgi = |name, server| proxy(server, &[(name, "http://p:1"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert_eq!(cgi("HTTP_PROXY", "http://dust"), None);
        assert_eq!(cgi("http_proxy", "http://dust"), None);
        assert_eq!(cgi("HTTPS_PROXY", "https://dust").as_deref(), Some("p:1"));
        assert_eq!(cgi("ALL_PROXY", "http://dust").as_deref(), Some("p:1"));
    }

    #[test]
    fn proxy_that_cannot_be_used_is_an_error_of_the_configuration() {
        for value in [
            "socks5://user:secret@p:1",
            "SOCKS4://p:1",
            "ftp://p",
            "http://",
            "a b",
            "p:99999",
            "http:p:1",
            "user:12/secret@p:1",
            "http://user:secret?@p:1",
            "user:secret://@p:1",
        ] {
            let error = proxy("wss://dust.example", &[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrKind::InvalidParams, false), "{value}");
            let text = error.to_string();
            assert!(text.contains("HTTPS_PROXY") && text.contains("NO_PROXY"), "{text}");
            assert!(text.contains("dust.example") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn password_of_a_proxy_is_for_its_header_only() {
        let variable = |name: &str| (name == "ALL_PROXY").then(|| "http://us%20er:secret@p:8080/x".to_owned());
        let proxy = proxy_for(&Url::parse("https://dust").unwrap(), variable).unwrap().unwrap();
        assert_eq!(proxy.url, "http://p:8080/");
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic dXMgZXI6c2VjcmV0");
        assert!(!format!("{proxy:?}").contains("dXMg"));
        let unescaped = parse("http://user:p@ss@p:8080").unwrap();
        assert_eq!((unescaped.host.as_str(), unescaped.url.as_str()), ("p", "http://p:8080/"));
        assert_eq!(unescaped.authorization.unwrap(), "Basic dXNlcjpwQHNz");
    }

    #[test]
    fn a_server_on_this_machine_is_known() {
        let at = |url: &str| is_local(&Url::parse(url).unwrap());
        for url in [
            "http://127.0.0.1:7755",
            "http://localhost",
            "http://dust.localhost:1/x",
            "http://[::1]:2",
            "http://LOCALHOST.",
            "http://127.1",
            "http://0.0.0.0:7755",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(at(url), "{url}");
        }
        for url in ["https://dustlayer.io", "http://10.0.0.1", "http://localhost.example"] {
            assert!(!at(url), "{url}");
        }
    }
}
