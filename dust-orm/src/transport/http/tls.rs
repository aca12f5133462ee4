//! Which TLS is spoken: `native-tls` where that feature is on, else rustls.

use reqwest::ClientBuilder;

use crate::error::DustErr;

#[cfg(feature = "native-tls")]
pub(super) fn choose(builder: ClientBuilder, _https: bool, _http1_only: bool) -> Result<ClientBuilder, DustErr> {
    Ok(builder.tls_backend_native())
}

/// rustls with the provider the application has installed, or else ring, and the roots of the system.
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
pub(super) fn choose(builder: ClientBuilder, https: bool, http1_only: bool) -> Result<ClientBuilder, DustErr> {
    use std::sync::Arc;

    use rustls::crypto::{CryptoProvider, ring};
    use rustls::{ClientConfig, RootCertStore};

    let unusable = |error: &dyn std::fmt::Display| DustErr::InvalidParams(format!("TLS cannot be set up: {error}"));
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let mut config = if https {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(|error| unusable(&error))?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        // Never used: there is no redirect to https. A machine without any root must still reach a server by http.
        config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    let protocols: &[&[u8]] = if http1_only { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(builder.tls_backend_preconfigured(config))
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
pub(super) fn choose(builder: ClientBuilder, https: bool, _http1_only: bool) -> Result<ClientBuilder, DustErr> {
    if https {
        return Err(DustErr::InvalidParams(
            "the base URL begins with https, but dust-orm was built without TLS: turn on its feature `rustls` or \
             `native-tls`"
                .to_owned(),
        ));
    }
    Ok(builder)
}
