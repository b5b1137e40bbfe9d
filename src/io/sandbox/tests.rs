//! Each measure in a process of its own: what is forbidden is refused, what is needed works.

#![expect(
    clippy::disallowed_methods,
    reason = "what is tested needs a process of its own, and does what the product does not"
)]

use super::*;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// Names what the child is to do; without it the test starts one for each thing.
const DO: &str = "PLAIT_SANDBOX_DOES";
/// Its folder to write to.
const IN: &str = "PLAIT_SANDBOX_IN";
/// What a child returns that was refused with an error.
const REFUSED: i32 = 42;

/// A child that enters the sandbox and does that one thing.
fn child(what: &str) -> ExitStatus {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("there"), b"x").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "io::sandbox::tests::does_what_it_is_told", "--nocapture"]);
    command.env(DO, what).env(IN, place.path()).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
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
    let sandbox = enter(&Profile { write: vec![place.clone()], read: Vec::new() }, hidden());
    assert_eq!(sandbox.missing(), Vec::<String>::new());
    let done = act(&what, &place);
    std::process::exit(if done.is_ok() { 0 } else { REFUSED });
}

/// Where secrets lie is decided before: here, as if they were hidden.
fn hidden() -> Measure {
    Measure { on: true, text: String::new() }
}

/// In a process whose kernel answers as one from before Landlock does.
fn is_told_and_the_rest_holds(place: &std::path::Path) -> bool {
    system_calls::absent(&[libc::SYS_landlock_create_ruleset]).unwrap();
    let sandbox = enter(&Profile { write: vec![place.to_owned()], read: Vec::new() }, hidden());
    let missing = sandbox.missing();
    missing.len() == 1 && missing.iter().all(|measure| measure.starts_with("landlock: this kernel has no Landlock"))
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
        "sockets" => TcpListener::bind("127.0.0.1:0").and_then(|_| UdpSocket::bind("[::1]:0")).map(drop),
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
    for what in ["state", "threads", "sockets", "names"] {
        let ended = child(what);
        assert!(ended.success(), "{what}: {ended}");
    }
}

#[test]
fn files_elsewhere_are_refused() {
    for what in ["shadow", "elsewhere"] {
        assert_eq!(child(what).code(), Some(REFUSED), "{what}");
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
        assert_eq!(child(what).signal(), Some(libc::SIGSYS), "{what}");
    }
}
