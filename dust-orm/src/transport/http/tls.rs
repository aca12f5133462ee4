//! The choice of TLS: `native-tls` if that feature is on, otherwise rustls.

use reqwest::ClientBuilder;

use crate::error::DustErr;

#[cfg(feature = "native-tls")]
pub(super) fn choose(builder: ClientBuilder, _https: bool, _http1_only: bool) -> Result<ClientBuilder, DustErr> {
    Ok(builder.tls_backend_native())
}

/// Chooses rustls with the provider that the application has installed, otherwise ring, and the roots of the system.
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
pub(super) fn choose(builder: ClientBuilder, https: bool, http1_only: bool) -> Result<ClientBuilder, DustErr> {
    // Without https the configuration is never used, because no redirect leads to https.
    let mut config = crate::config::tls::client(https)?;
    let protocols: &[&[u8]] = if http1_only { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(builder.tls_backend_preconfigured(config))
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
pub(super) fn choose(builder: ClientBuilder, https: bool, _http1_only: bool) -> Result<ClientBuilder, DustErr> {
    if https {
        return Err(DustErr::invalid_params(
            "the base URL begins with https, but dust-orm was built without TLS: turn on its feature `rustls` or \
             `native-tls`",
        ));
    }
    Ok(builder)
}
