//! Where every HTTP client of a program begins.

/// Begins an HTTP client; with the feature `tls` it speaks HTTPS by rustls with ring, and trusts
/// Mozilla's roots as they were when the program was built: no folder of certificates is read, and
/// nothing has to be installed in the process first.
///
/// Every client of a program that this crate is in must begin here: with the feature `tls`, which
/// another crate of the program may ask for, `reqwest::Client::new` and `builder` panic for want of
/// a crypto provider.
#[expect(
    clippy::disallowed_methods,
    reason = "the place where it is done right"
)]
pub fn http_builder() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder();
    #[cfg(feature = "tls")]
    let builder = match tls() {
        Ok(config) => builder.tls_backend_preconfigured(config),
        // What is no configuration is refused when the client is built.
        Err(error) => builder.tls_backend_preconfigured(error),
    };
    builder
}

#[cfg(feature = "tls")]
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // `reqwest` is built without HTTP/2, and takes a ready configuration as it is.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
