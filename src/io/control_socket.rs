//! The daemon's end of the control socket: who may speak, how much, how long; a line in, a line out.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::lock::Lock;
use crate::control::request::{Answer, Request, from_line, to_line};

/// Bytes of a request: a verb and a name have under 200; a line beyond this is no request.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Clients at once: people and a monitor; one more is turned away.
pub const CLIENTS_MAX: usize = 16;
/// For a client to say its request, and to take its answer: a slow one holds a place that another needs.
pub const CLIENT_DEADLINE: Duration = Duration::from_secs(5);
/// Connections that the kernel keeps while we accept.
const BACKLOG: i32 = 16;

/// One request with the place for its answer.
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes; dropped unanswered, the client is told that the daemon stops.
    pub answer: oneshot::Sender<Answer>,
}

/// `RUN_DIR/NAME.sock`.
pub fn socket_path(run_dir: &Path, interface: &str) -> PathBuf {
    run_dir.join(format!("{interface}.sock"))
}

/// The file that a daemon of this name locks while it runs.
pub fn lock_path(run_dir: &Path, interface: &str) -> PathBuf {
    run_dir.join(format!("{interface}.lock"))
}

/// Names of the daemons that have a socket in this directory, sorted; none if there is no such directory.
///
/// # Errors
/// The directory cannot be read.
pub fn running(run_dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(run_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.file_name().to_string_lossy().into_owned();
        // A killed daemon leaves its socket but not its lock. Simulated KMEs have sockets here too, and no lock.
        let name = file.strip_suffix(".sock").filter(|name| Lock::is_held(&lock_path(run_dir, name)));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// A socket that listens and is not served yet.
pub struct ControlListener(Socket);

/// The name of a listening socket, removed when this is dropped.
pub struct ControlName(Option<PathBuf>);

impl ControlName {
    /// Another process removes it.
    pub fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for ControlName {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            drop(std::fs::remove_file(path));
        }
    }
}

/// A socket at work.
pub struct ControlSocket {
    listener: UnixListener,
    deadline: Duration,
}

impl ControlListener {
    /// Listens, mode 0600. The caller holds the lock of this name: a socket that is there was left by a dead daemon.
    ///
    /// # Errors
    /// The name is too long for a socket, or cannot be made.
    pub fn bind(path: &Path) -> io::Result<(Self, ControlName)> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Before it has a name, so that at no moment others can connect (unix(7): the mode is that of the descriptor).
        nix::sys::stat::fchmod(borrowed(&socket), nix::sys::stat::Mode::from_bits_truncate(0o600))?;
        socket.bind(&SockAddr::unix(path)?)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let name = ControlName(Some(path.to_owned()));
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok((Self(socket), name))
    }
}

impl ControlSocket {
    /// Takes the socket over: who connects sees this process at the other end (unix(7), `SO_PEERCRED`). Needs a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn over(ControlListener(socket): ControlListener) -> io::Result<Self> {
        // To listen once more names this process in place of the one that made the socket.
        socket.listen(BACKLOG)?;
        let listener =
            UnixListener::from_std(std::os::unix::net::UnixListener::from(std::os::fd::OwnedFd::from(socket)))?;
        Ok(Self { listener, deadline: CLIENT_DEADLINE })
    }

    /// Serves clients until the receiver of the calls is gone.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        let mut is_told = false;
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Once, and not at every try.
                        if !std::mem::replace(&mut is_told, true) {
                            tracing::warn!(%error, "control socket: nobody can be let in; tried again until somebody can");
                        }
                        // Without descriptors accept fails at once and again: do not spin.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = calls.closed() => return,
            };
            is_told = false;
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::debug!("control socket: no place for another client");
                continue;
            };
            let calls = calls.clone();
            let deadline = self.deadline;
            tokio::spawn(async move {
                if let Err(error) = attend(stream, &calls, deadline).await {
                    tracing::debug!(%error, "control socket: client dropped");
                }
                drop(place);
            });
        }
    }
}

fn borrowed(socket: &Socket) -> BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(socket)
}

async fn attend(stream: UnixStream, calls: &mpsc::Sender<Call>, deadline: Duration) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    if !may_speak(caller) {
        let error = format!("user {caller} may not control this daemon: only root or the user that it runs as");
        return timed(deadline, say(&mut write, &Answer::Refused { error })).await;
    }
    let mut lines = BufReader::new(read);
    while let Some(line) = timed(deadline, request_line(&mut lines)).await? {
        let answer = match from_line(&line) {
            Ok(request) => ask(calls, request).await,
            Err(error) => Answer::Refused { error },
        };
        timed(deadline, say(&mut write, &answer)).await?;
    }
    Ok(())
}

fn may_speak(caller: u32) -> bool {
    caller == 0 || caller == Uid::effective().as_raw()
}

/// One line; `None` at the end of the stream.
async fn request_line(lines: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut bounded = lines.take(REQUEST_BYTES_MAX as u64);
    bounded.read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without an end within 64 KiB"));
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a request is UTF-8"))
}

async fn ask(calls: &mpsc::Sender<Call>, request: Request) -> Answer {
    let (answer, coming) = oneshot::channel();
    let stops = || Answer::Refused { error: "the daemon stops".to_owned() };
    if calls.send(Call { request, answer }).await.is_err() {
        return stops();
    }
    coming.await.unwrap_or_else(|_| stops())
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    write.write_all(to_line(answer).as_bytes()).await
}

async fn timed<T>(deadline: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(deadline, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests;
