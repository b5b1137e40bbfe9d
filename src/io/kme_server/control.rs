//! The Unix socket that steers a running pair: JSON lines, for its owner and root only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nix::unistd::Uid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::error::ServeError;
use super::serve::Shared;
use crate::kme::order::{self, ORDER_BYTES_MAX, Order, OrderAnswer};
use crate::kme::pair::PairStatus;

/// One order, from connecting to the answer.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// The socket of the pair `name` in the run directory.
pub fn path(run_dir: &Path, name: &str) -> PathBuf {
    run_dir.join(format!("{name}.kme.sock"))
}

/// Binds the socket, mode 0600. One that nobody answers any more is replaced.
pub(super) async fn bind(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |text: String| ServeError::Control { path: path.to_owned(), text };
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(failed("a pair of this name runs already".to_owned()));
        }
        std::fs::remove_file(path).map_err(|error| failed(error.to_string()))?;
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| failed(format!("{}: {error}", dir.display())))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| failed(error.to_string()))?;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).map_err(|error| failed(error.to_string()))?;
    Ok(listener)
}

/// Takes orders, one connection at a time, until the pair stops.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Too slow, or gone: the next one is served.
                drop(tokio::time::timeout(ORDER_TIMEOUT, answer(stream, &shared)).await);
            }
            Err(error) => {
                tracing::warn!(%error, "an order was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, shared: &Shared) -> std::io::Result<()> {
    // The mode was set after the socket appeared: who connected before has to show who it is.
    let uid = stream.peer_cred()?.uid();
    if uid != 0 && uid != Uid::effective().as_raw() {
        return Ok(());
    }
    let mut line = Vec::new();
    BufReader::new((&mut stream).take(ORDER_BYTES_MAX as u64)).read_until(b'\n', &mut line).await?;
    let answer = {
        let mut held = shared.pair.lock().unwrap_or_else(PoisonError::into_inner);
        order::answer_line(&mut held.0, shared.clock.now(), &line)
    };
    stream.write_all(format!("{answer}\n").as_bytes()).await
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No socket: no pair of this name.
    #[error("no KME pair runs here ({} is not there)", .0.display())]
    NotRunning(PathBuf),
    /// A socket, but no answer.
    #[error("{}: {text}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        text: String,
    },
    /// The pair did not understand.
    #[error("the pair refuses: {0}")]
    Refused(String),
}

/// Asks the pair behind the socket to carry out an order; the link afterwards.
///
/// # Errors
/// [`OrderError`].
pub async fn ask(path: &Path, order: Order) -> Result<PairStatus, OrderError> {
    if !path.exists() {
        return Err(OrderError::NotRunning(path.to_owned()));
    }
    let failed = |text: String| OrderError::Unreachable { path: path.to_owned(), text };
    let asked = tokio::time::timeout(ORDER_TIMEOUT, exchange(path, order)).await;
    let line = asked.map_err(|_| failed("no answer in 5 s".to_owned()))?.map_err(|error| failed(error.to_string()))?;
    match serde_json::from_slice(&line) {
        Ok(OrderAnswer::Link(status)) => Ok(status),
        Ok(OrderAnswer::Error(text)) => Err(OrderError::Refused(text)),
        Err(_) => Err(failed("an answer that is none".to_owned())),
    }
}

async fn exchange(path: &Path, order: Order) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(format!("{}\n", order.to_line()).as_bytes()).await?;
    let mut line = Vec::new();
    BufReader::new(stream.take(ORDER_BYTES_MAX as u64)).read_until(b'\n', &mut line).await?;
    Ok(line)
}
