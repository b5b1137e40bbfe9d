//! What the kernel lets a daemon do: read from /proc by the process behind its control socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::socket::{getsockopt, sockopt};

use super::control_socket::socket_path;

/// How a process is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// It cannot gain rights by running another program.
    pub no_new_privileges: bool,
    /// A filter stands before its system calls.
    pub seccomp: bool,
    /// It has rights that reading packets does not need: any at all.
    pub has_capabilities: bool,
}

/// The process that reads the packets of that interface, and answers for it.
///
/// # Errors
/// Its socket is not to be reached.
pub fn process(run_dir: &Path, interface: &str) -> io::Result<i32> {
    let stream = UnixStream::connect(socket_path(run_dir, interface))?;
    Ok(getsockopt(&stream, sockopt::PeerCredentials)?.pid())
}

/// How that process is held.
///
/// # Errors
/// As [`process`], or /proc is not to be read.
pub fn of_daemon(run_dir: &Path, interface: &str) -> io::Result<Confinement> {
    let pid = process(run_dir, interface)?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    read(&text).ok_or_else(|| io::Error::other("/proc does not say what the process may do"))
}

/// proc(5), `/proc/PID/status`.
fn read(text: &str) -> Option<Confinement> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    };
    let capabilities = u64::from_str_radix(value("CapEff")?, 16).ok()?;
    Some(Confinement {
        no_new_privileges: value("NoNewPrivs")? == "1",
        seccomp: value("Seccomp").is_some_and(|mode| mode != "0"),
        has_capabilities: capabilities != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_what_the_kernel_writes() {
        let held = "Name:\tplait\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let expected = Confinement { no_new_privileges: true, seccomp: true, has_capabilities: false };
        assert_eq!(read(held), Some(expected));
        let free = read("CapEff:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n").unwrap();
        assert!(free.has_capabilities && !free.no_new_privileges && !free.seccomp);
        assert_eq!(read("CapEff:\tzz\nNoNewPrivs:\t0\n"), None);
        assert_eq!(read(""), None);
    }
}
