//! The TUN interface: opened by one of two backends, read and written one packet a call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::net::if_::if_nametoindex;

use crate::config::Backend;

/// One queue of a TUN interface, non-blocking. One thread reads it and one writes it, at the same time.
pub trait TunQueue: Send + Sync + AsFd {
    /// Reads one packet and returns its length.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; [`is_gone`] tells whether the interface still exists.
    fn read(&self, packet: &mut [u8]) -> io::Result<usize>;

    /// Writes one packet.
    ///
    /// # Errors
    /// As for `read`; `EIO` while the interface is down. The packet is lost then.
    fn write(&self, packet: &[u8]) -> io::Result<()>;
}

/// An open TUN interface. It vanishes, with its addresses and routes, when the last queue is dropped.
pub struct Tun {
    /// Its name.
    pub name: String,
    /// The kernel's number of it.
    pub index: u32,
    /// Its queues, at least one.
    pub queues: Vec<Arc<dyn TunQueue>>,
}

/// Why there is no TUN interface.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel module is not loaded, or the container has no such device.
    #[error("no /dev/net/tun here: load the module (modprobe tun), or give the container the device")]
    NoDevice,
    /// Not root and without the capability.
    #[error("opening the TUN interface {0} is not permitted: run as root or with CAP_NET_ADMIN")]
    NotPermitted(String),
    /// Another program has it open, or an interface of another kind has the name.
    #[error("the interface {0} is in use or of another kind: choose another name, or delete it (ip link delete {0})")]
    InUse(String),
    /// The backend was left out when this program was built.
    #[error("this program was built without the tun-tap backend: set backend = \"tun-rs\"")]
    NotBuiltIn,
    /// Anything else.
    #[error("cannot open the TUN interface {0}: {1}")]
    Other(String, io::Error),
}

/// Opens the interface with one queue and without packet information. It is down, and has no address yet.
///
/// # Errors
/// [`OpenError`], a sentence that says what to do.
pub fn open(name: &str, backend: Backend) -> Result<Tun, OpenError> {
    let queue = match backend {
        Backend::TunRs => tun_rs_queue(name),
        Backend::TunTap => tun_tap_queue(name)?,
    };
    let queue = queue.map_err(|error| open_error(name, error))?;
    let prepared = set_nonblocking(&*queue).and_then(|()| Ok(if_nametoindex(name)?));
    let index = prepared.map_err(|error| OpenError::Other(name.to_owned(), error))?;
    Ok(Tun { name: name.to_owned(), index, queues: vec![queue] })
}

/// Whether the error says that the interface was deleted: nothing will ever come from this queue again.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV))
}

fn open_error(name: &str, error: io::Error) -> OpenError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENXIO) => OpenError::NoDevice,
        Some(Errno::EPERM | Errno::EACCES) => OpenError::NotPermitted(name.to_owned()),
        Some(Errno::EBUSY | Errno::EINVAL | Errno::EEXIST) => OpenError::InUse(name.to_owned()),
        _ => OpenError::Other(name.to_owned(), error),
    }
}

fn set_nonblocking(queue: &dyn TunQueue) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(queue.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(queue.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A packet goes into the interface whole or not at all.
fn whole(written: usize, packet: &[u8]) -> io::Result<()> {
    if written == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn tun_rs_queue(name: &str) -> io::Result<Arc<dyn TunQueue>> {
    let device = tun_rs::DeviceBuilder::new().name(name).enable(false).build_sync()?;
    Ok(Arc::new(TunRsQueue(device)))
}

struct TunRsQueue(tun_rs::SyncDevice);

impl TunQueue for TunRsQueue {
    fn read(&self, packet: &mut [u8]) -> io::Result<usize> {
        self.0.recv(packet)
    }

    fn write(&self, packet: &[u8]) -> io::Result<()> {
        whole(self.0.send(packet)?, packet)
    }
}

impl AsFd for TunRsQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(not(feature = "tun-tap"))]
fn tun_tap_queue(_name: &str) -> Result<io::Result<Arc<dyn TunQueue>>, OpenError> {
    Err(OpenError::NotBuiltIn)
}

#[cfg(feature = "tun-tap")]
fn tun_tap_queue(name: &str) -> Result<io::Result<Arc<dyn TunQueue>>, OpenError> {
    let interface = tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tun);
    Ok(interface.map(|interface| Arc::new(TunTapQueue(interface)) as Arc<dyn TunQueue>))
}

#[cfg(feature = "tun-tap")]
struct TunTapQueue(tun_tap::Iface);

#[cfg(feature = "tun-tap")]
impl TunQueue for TunTapQueue {
    fn read(&self, packet: &mut [u8]) -> io::Result<usize> {
        self.0.recv(packet)
    }

    fn write(&self, packet: &[u8]) -> io::Result<()> {
        whole(self.0.send(packet)?, packet)
    }
}

#[cfg(feature = "tun-tap")]
impl AsFd for TunTapQueue {
    #[expect(unsafe_code, reason = "the crate predates AsFd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsRawFd;
        // SAFETY: the interface owns the descriptor and closes it only when dropped, which the borrow of self excludes.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}
