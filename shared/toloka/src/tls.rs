//! The one TLS of the project, for every HTTP client that is built beside this one.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// TLS by rustls with ring, trusting Mozilla's roots as they were when the program was built: no
/// folder of certificates is read, and nothing has to be installed in the process first. Give it
/// to `reqwest::ClientBuilder::tls_backend_preconfigured`.
///
/// # Errors
/// If ring can do none of TLS 1.2 and 1.3, which it can.
pub fn config() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // `reqwest` is built without HTTP/2, and takes a ready configuration as it is.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
