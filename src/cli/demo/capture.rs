//! An eye on the wan: counts what crosses it, and what of that is in clear.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::network::WAN;
use super::ping::CANARY;
use crate::cli::lab::namespace::Namespace;

/// Ethernet, IPv4 and UDP headers: where the payload of a datagram of the tunnel starts.
const PAYLOAD: usize = 14 + 20 + 8;
/// Type bytes of packets that carry inner packets: data, segment, bundle (PROTOCOL 2.9). An end that blocks still says CLOSE
/// under type 17, and tries handshakes, types 1 to 6.
const DATA: [u8; 3] = [16, 18, 19];

#[derive(Default)]
struct Counts {
    frames: AtomicUsize,
    data: AtomicUsize,
    clear: AtomicUsize,
}

/// A capture on a site's wan interface, until dropped.
pub(super) struct Capture {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts to look.
    pub(super) fn start(site: &Namespace) -> io::Result<Self> {
        let (socket, wan) = site.run(open)??;
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counts));
        let thread = Builder::new().name("capture".to_owned()).spawn(move || look(&socket, wan, &stopped, &counted))?;
        Ok(Self { stop, counts, thread: Some(thread) })
    }

    /// Frames seen so far.
    pub(super) fn frames(&self) -> usize {
        self.counts.frames.load(Ordering::Relaxed)
    }

    /// Data packets of the tunnel among them.
    pub(super) fn data(&self) -> usize {
        self.counts.data.load(Ordering::Relaxed)
    }

    /// Frames in which a ping could be read.
    pub(super) fn clear(&self) -> usize {
        self.counts.clear.load(Ordering::Relaxed)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn open() -> io::Result<(OwnedFd, usize)> {
    let wan = nix::net::if_::if_nametoindex(WAN)?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000))?;
    Ok((socket, usize::try_from(wan).map_err(io::Error::other)?))
}

fn look(socket: &OwnedFd, wan: usize, stop: &AtomicBool, counts: &Counts) {
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, Some(from))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) else { continue };
        // The socket sees every interface of the site, the tunnel's clear inside too; the wan is what counts.
        let Some(frame) = buffer.get(..length).filter(|_| from.ifindex() == wan) else { continue };
        counts.frames.fetch_add(1, Ordering::Relaxed);
        counts
            .data
            .fetch_add(usize::from(frame.get(PAYLOAD).is_some_and(|kind| DATA.contains(kind))), Ordering::Relaxed);
        let clear = frame.windows(CANARY.len()).any(|window| window == CANARY);
        counts.clear.fetch_add(usize::from(clear), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::{Network, SITE_B};
    use super::super::ping::Pings;
    use super::*;
    use crate::cli::lab::pause::now;
    use std::time::Duration;

    /// Says why it does not run, past the capture of test output; `PLAIT_NETNS=require` makes that a failure.
    fn runnable() -> bool {
        let able = nix::unistd::geteuid().is_root();
        if !able {
            use io::Write;
            assert!(std::env::var("PLAIT_NETNS").as_deref() != Ok("require"), "needs root");
            io::stderr().write_all(b"SKIPPED demo::capture: needs root\n").unwrap();
        }
        able
    }

    #[test]
    fn a_ping_in_clear_is_seen_and_counted() {
        if !runnable() {
            return;
        }
        let network = Network::create().unwrap();
        let capture = Capture::start(&network.a).unwrap();
        let pings = Pings::start(&network.a, &network.b, SITE_B).unwrap();
        let begun = now();
        while (pings.answered() < 20 || capture.clear() < 40) && begun.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert!(pings.answered() >= 20 && capture.clear() >= 40 && capture.frames() >= capture.clear());
        assert_eq!(pings.lost(0, 20), (20, 0));
    }
}
