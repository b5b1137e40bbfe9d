//! Why a simulated pair does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::io::tls::material::SetupError;

/// Why a pair does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificates and keys.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An address.
    #[error("cannot listen at {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The socket that steers the link.
    #[error("control socket {}: {text}", path.display())]
    Control {
        /// Which.
        path: PathBuf,
        /// Why.
        text: String,
    },
    /// The system's generator.
    #[error("no random numbers: {0}")]
    Entropy(std::io::Error),
}
