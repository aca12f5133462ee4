//! The address that the example listens on.

use std::net::{Ipv4Addr, SocketAddr};

/// Reads an argument: an address and a port, a port, or `localhost` and a port. The default is `127.0.0.1:3000`.
///
/// # Errors
///
/// Fails for any other text; the message names the accepted forms.
pub fn listen_address(argument: Option<&str>) -> Result<SocketAddr, String> {
    let text = argument.unwrap_or("3000");
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    match text.strip_prefix("localhost:").unwrap_or(text).parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => Err(format!(
            "`{text}` is no address to listen on: write a port, such as 3000, or an IP address and a port, such as \
             0.0.0.0:8080"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_is_an_address_or_a_port() {
        for (argument, address) in [
            (None, "127.0.0.1:3000"),
            (Some("7755"), "127.0.0.1:7755"),
            (Some("localhost:7755"), "127.0.0.1:7755"),
            (Some("0.0.0.0:8080"), "0.0.0.0:8080"),
            (Some("[::1]:80"), "[::1]:80"),
        ] {
            assert_eq!(listen_address(argument).unwrap().to_string(), address);
        }
        for argument in ["", "here", "localhost", "127.0.0.1", "99999", "http://127.0.0.1:80"] {
            let error = listen_address(Some(argument)).unwrap_err();
            assert!(error.contains(&format!("`{argument}`")) && error.contains("0.0.0.0:8080"), "{error}");
        }
    }
}
