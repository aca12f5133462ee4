//! The configuration of rustls, for HTTP and for the WebSocket.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use crate::error::DustErr;

/// A client configuration with the provider that the application has installed, otherwise ring, and the roots of the
/// system. Without `with_roots` it trusts no certificate: a machine without roots can still reach a server without TLS.
pub(crate) fn client(with_roots: bool) -> Result<ClientConfig, DustErr> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    Ok(if with_roots {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(unusable)?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    })
}

fn unusable(error: rustls::Error) -> DustErr {
    DustErr::invalid_params(format!("TLS cannot be set up: {error}")).with_source(error)
}
