//! Which library all TLS of the process is done with. Owns the choice, and nothing else.

/// Makes it ring. Again is fine; whoever chose before has chosen.
pub fn choose() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
