//! Starts the keys process and hands it its sources: this program again, with little of the environment, two sockets and no
//! other descriptor. Where it reads them see `daemon::keys_process`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::until::Until;
use crate::control::sandbox::Sandbox;
use crate::types::secret::SecretBytes;

/// The hidden verb.
pub const VERB: &str = "keys-process";
/// What it keeps of the environment: where log lines go, and which libraries the operator has loaded; beside what is plait's own.
const ENVIRONMENT: [&str; 3] = ["JOURNAL_STREAM", "LD_LIBRARY_PATH", "LD_PRELOAD"];
/// How the names begin that are plait's own.
const OWN: &str = "PLAIT_";
/// For a handover to be taken and answered: some thousand sources are set up in that time.
const HANDOVER_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of its answer: what is in force of the sandbox, each measure with a sentence.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Both ends of the socket on which packet process and keys process meet, each datagram whole (`SOCK_SEQPACKET`).
///
/// # Errors
/// What the system says.
pub fn meeting() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    Ok((one.into(), other.into()))
}

/// A keys process that runs.
pub struct KeysProcess {
    child: Child,
    link: UnixStream,
}

impl KeysProcess {
    /// Starts it with its end of the meeting; `arguments` follow the verb.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(meeting: &OwnedFd, arguments: &[&str]) -> io::Result<Self> {
        let (link, its) = UnixStream::pair()?;
        #[expect(clippy::disallowed_methods, reason = "this program itself, not another")]
        let mut command = Command::new("/proc/self/exe");
        command.arg(VERB).args(arguments).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| {
            name.to_str().is_some_and(|name| ENVIRONMENT.contains(&name) || name.starts_with(OWN))
        }));
        let child = command.stdin(Stdio::from(OwnedFd::from(its))).stdout(Stdio::from(meeting.try_clone()?)).spawn()?;
        Ok(Self { child, link })
    }

    /// Hands sources over, and waits until it has them.
    ///
    /// # Errors
    /// It does not take them in time, or answers with something else.
    pub fn hand_over(&self, handover: &SecretBytes) -> io::Result<Sandbox> {
        let until = Until::after(HANDOVER_DEADLINE);
        let length = u32::try_from(handover.len()).map_err(io::Error::other)?;
        until.write(&self.link, &length.to_be_bytes())?;
        until.write(&self.link, handover.expose())?;
        let mut length = [0; 4];
        until.read(&self.link, &mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        until.read(&self.link, &mut answer)?;
        serde_json::from_slice(&answer).map_err(io::Error::other)
    }

    /// Ends it, if it has not ended. One that is only dropped ends when its link does, which a process forked meanwhile may hold too.
    pub fn end(mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// What the system says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}
