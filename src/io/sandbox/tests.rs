//! Each measure in a process of its own: what is forbidden is refused, what is needed works.

#![expect(
    clippy::disallowed_methods,
    reason = "what is tested needs a process of its own, and does what the product does not"
)]

use super::*;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Names what the child is to do; without it the test starts one for each thing.
const DO: &str = "PLAIT_SANDBOX_DOES";
/// Its folder to write to.
const IN: &str = "PLAIT_SANDBOX_IN";
/// What its profile is for.
const AS: &str = "PLAIT_SANDBOX_AS";
/// What a child returns that was refused with an error.
const REFUSED: i32 = 42;

/// A child that enters the sandbox of a packet process, or of another, and does that one thing.
fn child(what: &str) -> ExitStatus {
    child_as("packets", what)
}

fn child_as(role: &str, what: &str) -> ExitStatus {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("there"), b"x").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "io::sandbox::tests::does_what_it_is_told", "--nocapture"]);
    command
        .env(DO, what)
        .env(AS, role)
        .env(IN, place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    command.status().unwrap()
}

/// The child's side; in a run of all tests nobody tells it anything, and it shows what is in force on the thread it has.
#[test]
fn does_what_it_is_told() {
    let Ok(what) = std::env::var(DO) else {
        let told = child("nothing");
        assert!(told.success(), "{told}");
        return;
    };
    let place = PathBuf::from(std::env::var_os(IN).unwrap());
    if what == "kernel without landlock" {
        std::process::exit(i32::from(!is_told_and_the_rest_holds(&place)));
    }
    let is_for_keys = std::env::var(AS).is_ok_and(|role| role == "keys");
    let profile = if is_for_keys { Profile::keys() } else { Profile::packets(place.clone()) };
    let open = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let sandbox = enter(&profile, hidden());
    assert_eq!(sandbox.missing(), Vec::<String>::new());
    let done = if what == "connect what was open" { connect(&open) } else { act(&what, &place) };
    std::process::exit(if done.is_ok() { 0 } else { REFUSED });
}

/// Where secrets lie is decided before: here, as if they were hidden.
fn hidden() -> Measure {
    Measure { on: true, text: String::new() }
}

/// In a process whose kernel answers as one from before Landlock does.
fn is_told_and_the_rest_holds(place: &std::path::Path) -> bool {
    system_calls::absent(&[libc::SYS_landlock_create_ruleset]).unwrap();
    let sandbox = enter(&Profile::packets(place.to_owned()), hidden());
    let missing = sandbox.missing();
    missing.len() == 1 && missing.iter().all(|measure| measure.starts_with("landlock: this kernel has no Landlock"))
}

/// That nobody listens there is no refusal of the sandbox.
fn connect(socket: &socket2::Socket) -> std::io::Result<()> {
    match socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], 9)).into()) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        done => done,
    }
}

fn act(what: &str, place: &std::path::Path) -> std::io::Result<()> {
    match what {
        "nothing" => Ok(()),
        "state" => {
            std::fs::write(place.join("new"), b"x")?;
            std::fs::rename(place.join("new"), place.join("there"))?;
            std::fs::remove_file(place.join("there"))
        }
        "threads" => std::thread::Builder::new().spawn(|| ())?.join().map_err(|_| std::io::Error::other("panic")),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "datagrams" => UdpSocket::bind("[::1]:0").map(drop),
        "connect" => connect(&socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?),
        "names" => std::net::ToSocketAddrs::to_socket_addrs("localhost:80").map(drop),
        "shadow" => std::fs::read("/etc/shadow").map(drop),
        "elsewhere" => std::fs::write("/tmp/plait-sandbox", b"x"),
        "capability" => {
            caps::raise(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).map_err(std::io::Error::other)
        }
        // How a long log line goes to the journal; without it the line is lost, which is no reason to end.
        "memory file" => nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::empty())
            .map(drop)
            .map_err(std::io::Error::from),
        "program" => Command::new("/bin/true").status().map(drop),
        "limits" => Ok(nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 10, 10)?),
        "packet socket" => socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None).map(drop),
        "mount" => Ok(nix::mount::umount("/nowhere")?),
        "namespace" => Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?),
        other => panic!("{other}"),
    }
}

#[test]
fn what_the_packet_process_needs_works() {
    for what in ["state", "threads"] {
        let ended = child(what);
        assert!(ended.success(), "{what}: {ended}");
    }
}

#[test]
fn what_the_keys_process_needs_works() {
    for what in ["threads", "names", "connect", "connect what was open", "datagrams"] {
        let ended = child_as("keys", what);
        assert!(ended.success(), "{what}: {ended}");
    }
}

#[test]
fn packets_connect_to_nobody_and_keys_listen_to_nobody() {
    for what in ["listen", "datagrams", "connect"] {
        assert_eq!(child(what).signal(), Some(libc::SIGSYS), "{what}");
    }
    assert_eq!(child("connect what was open").code(), Some(REFUSED));
    assert_eq!(child_as("keys", "listen").code(), Some(REFUSED));
}

#[test]
fn files_elsewhere_are_refused() {
    for (role, what) in [("packets", "shadow"), ("packets", "elsewhere"), ("keys", "shadow"), ("keys", "state")] {
        assert_eq!(child_as(role, what).code(), Some(REFUSED), "{role}: {what}");
    }
    assert!(!std::path::Path::new("/tmp/plait-sandbox").exists());
}

#[test]
fn a_memory_file_is_refused_and_ends_nothing() {
    assert_eq!(child("memory file").code(), Some(REFUSED));
}

#[test]
fn a_kernel_without_landlock_is_told_and_the_rest_holds() {
    assert_eq!(child("kernel without landlock").code(), Some(0));
}

#[test]
fn what_a_thief_would_call_ends_the_process() {
    for what in ["program", "limits", "packet socket", "mount", "namespace", "capability"] {
        for role in ["packets", "keys"] {
            assert_eq!(child_as(role, what).signal(), Some(libc::SIGSYS), "{role}: {what}");
        }
    }
}
