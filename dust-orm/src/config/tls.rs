//! rustls, set up once for every way to a server.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use crate::error::DustErr;

/// A client with the provider the application has installed, or else ring, and the roots of the system. Without
/// `with_roots` it trusts nobody: a machine without any root must still reach a server that speaks no TLS.
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
