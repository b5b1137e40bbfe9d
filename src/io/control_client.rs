//! The caller's end of the control socket: one question, one answer, and which of three ways it failed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::control_socket::{lock_path, socket_path};
use super::lock::Lock;
use crate::control::request::{Answer, Request, from_line, to_line};

/// Bytes of an answer: a status of 4096 peers with their sources and prefixes has under 16 MiB.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// For a daemon to answer what needs no waiting.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No daemon of that name.
    #[error("no daemon runs for {interface} (looked for {socket})")]
    NotRunning {
        /// Its name.
        interface: String,
        /// Where its socket would be.
        socket: String,
    },
    /// A right is missing.
    #[error("{socket} is not for this user: run as root or as the user that the daemon runs as")]
    Denied {
        /// The socket.
        socket: String,
    },
    /// A daemon seems to run and does not answer.
    #[error("the daemon does not answer on {socket}: {reason}")]
    Unreachable {
        /// The socket.
        socket: String,
        /// What happened.
        reason: String,
    },
}

/// Asks the daemon of `interface`; the answer must come within `deadline`.
///
/// # Errors
/// [`CallError`].
pub fn call(run_dir: &Path, interface: &str, request: &Request, deadline: Duration) -> Result<Answer, CallError> {
    let path = socket_path(run_dir, interface);
    let socket = path.display().to_string();
    let stream = UnixStream::connect(&path).map_err(|error| {
        let nobody = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        if error.kind() == io::ErrorKind::PermissionDenied {
            CallError::Denied { socket: socket.clone() }
        // A socket without a listener is what a killed daemon leaves; a daemon at its start or end still has its lock.
        } else if nobody && !Lock::is_held(&lock_path(run_dir, interface)) {
            CallError::NotRunning { interface: interface.to_owned(), socket: socket.clone() }
        } else {
            CallError::Unreachable { socket: socket.clone(), reason: error.to_string() }
        }
    })?;
    exchange(stream, request, deadline).map_err(|reason| CallError::Unreachable { socket, reason })
}

fn exchange(mut stream: UnixStream, request: &Request, deadline: Duration) -> Result<Answer, String> {
    let words = |error: io::Error| {
        let late = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        if late { format!("nothing within {} s", deadline.as_secs()) } else { error.to_string() }
    };
    stream.set_read_timeout(Some(deadline)).map_err(words)?;
    stream.set_write_timeout(Some(ANSWER_DEADLINE)).map_err(words)?;
    stream.write_all(to_line(request).as_bytes()).map_err(words)?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line).map_err(words)?;
    if line.is_empty() {
        return Err("it closed the connection".to_owned());
    }
    from_line(&line)
}
