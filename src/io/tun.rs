//! The TUN interface: opened by one of two backends, read and written one frame a call.

mod ioctl;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::net::if_::if_nametoindex;
use nix::sys::uio::writev;

use crate::config::Backend;
use crate::types::offload::{Offload, OffloadSet};
use crate::wire::vnet::VNET_HEADER_BYTES;

/// What the kernel may leave undone in a frame that it gives: checksums and the cutting of TCP.
const TSO: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// The cutting of UDP; the kernel knows both or neither (Linux 6.2).
const USO: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// One queue of a TUN interface, non-blocking. One thread reads it and one writes it, at the same time.
pub trait TunQueue: Send + Sync + AsFd {
    /// Whether a `virtio_net_hdr` of 10 bytes stands in front of every packet read and written.
    fn has_vnet_header(&self) -> bool;

    /// Reads one frame, the header and one packet or super-packet, and returns its length; what exceeds `frame` is lost.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; [`is_gone`] tells whether the interface still exists.
    fn read(&self, frame: &mut [u8]) -> io::Result<usize>;

    /// Writes one frame, given in parts.
    ///
    /// # Errors
    /// As for `read`; `EIO` while the interface is down; `EINVAL` for a header that the kernel does not accept. The
    /// frame is lost then.
    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()>;
}

/// Writes a frame whose first part is the header: a queue that has none is given the packet alone.
///
/// # Errors
/// As for [`TunQueue::write`].
pub fn write_frame(queue: &dyn TunQueue, frame: &[IoSlice<'_>]) -> io::Result<()> {
    let skipped = usize::from(!queue.has_vnet_header());
    queue.write(frame.get(skipped..).unwrap_or_default())
}

/// An open TUN interface. It vanishes, with its addresses and routes, when the last queue is dropped.
pub struct Tun {
    /// Its name.
    pub name: String,
    /// The kernel's number of it.
    pub index: u32,
    /// Its queues, at least one.
    pub queues: Vec<Arc<dyn TunQueue>>,
    /// What the kernel granted, [`Offload::Tso`] and [`Offload::Uso`]: such super-packets may be read and written.
    pub offloads: OffloadSet,
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

/// Opens the interface without packet information, with so many queues, at least one. It is down, and has no address yet.
/// With [`Offload::Tso`] wanted and granted each frame has a header; without it none has. The backend tun-tap gives one
/// queue and no header.
///
/// # Errors
/// [`OpenError`], a sentence that says what to do.
pub fn open(name: &str, backend: Backend, wanted: OffloadSet, queues: usize) -> Result<Tun, OpenError> {
    let opened = match backend {
        Backend::TunRs => tun_rs(name, wanted, queues),
        Backend::TunTap => tun_tap(name)?,
    };
    let Opened { queues, offloads } = opened.map_err(|error| open_error(name, error))?;
    let index = if_nametoindex(name).map_err(|error| OpenError::Other(name.to_owned(), error.into()))?;
    Ok(Tun { name: name.to_owned(), index, queues, offloads })
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

struct Opened {
    queues: Vec<Arc<dyn TunQueue>>,
    offloads: OffloadSet,
}

fn tun_rs(name: &str, wanted: OffloadSet, count: usize) -> io::Result<Opened> {
    // Whatever the reason, a plain queue is worth a try; if it fails as well its error tells the reason.
    if wanted.has(Offload::Tso)
        && let Ok(descriptors) = tun_rs_descriptors(name, true, count)
        && let Ok(opened) = prepare(descriptors, true, wanted)
    {
        return Ok(opened);
    }
    prepare(tun_rs_descriptors(name, false, count)?, false, wanted)
}

fn tun_rs_descriptors(name: &str, header: bool, count: usize) -> io::Result<Vec<OwnedFd>> {
    let builder = tun_rs::DeviceBuilder::new().name(name).enable(false).offload(header).multi_queue(count > 1);
    let first = builder.build_sync()?;
    let others = (1..count).map(|_| first.try_clone()?.as_fd().try_clone_to_owned());
    std::iter::once(first.as_fd().try_clone_to_owned()).chain(others).collect()
}

/// Queues from the descriptors of one interface, with what the kernel grants of what is wanted.
fn prepare(descriptors: Vec<OwnedFd>, header: bool, wanted: OffloadSet) -> io::Result<Opened> {
    let mut offloads = OffloadSet::NONE;
    for descriptor in &descriptors {
        let queue = descriptor.as_fd();
        check_flags(ioctl::flags(queue)?, header, descriptors.len() > 1)?;
        // The interface may have belonged to another program, and what that one set has stayed.
        offloads = if header { set_offloads(queue, wanted)? } else { set_no_offload(queue)? };
        set_nonblocking(queue)?;
    }
    let queue = |descriptor| Arc::new(Queue { descriptor, header }) as Arc<dyn TunQueue>;
    Ok(Opened { queues: descriptors.into_iter().map(queue).collect(), offloads })
}

/// A queue that has other frames than it was asked for would corrupt every packet, or make no sense of any.
fn check_flags(flags: libc::c_int, header: bool, several: bool) -> io::Result<()> {
    let is = |flag| flags & flag != 0;
    let as_asked = is(libc::IFF_TUN) && is(libc::IFF_VNET_HDR) == header && is(libc::IFF_MULTI_QUEUE) == several;
    if as_asked { Ok(()) } else { Err(Errno::EBUSY.into()) }
}

fn set_offloads(queue: BorrowedFd<'_>, wanted: OffloadSet) -> io::Result<OffloadSet> {
    ioctl::set_header_bytes(queue, VNET_HEADER_BYTES as libc::c_int)?;
    let tso = OffloadSet::NONE.with(Offload::Tso);
    if wanted.has(Offload::Uso) && ioctl::set_offloads(queue, TSO | USO).is_ok() {
        return Ok(tso.with(Offload::Uso));
    }
    ioctl::set_offloads(queue, TSO)?;
    Ok(tso)
}

fn set_no_offload(queue: BorrowedFd<'_>) -> io::Result<OffloadSet> {
    ioctl::set_offloads(queue, 0)?;
    Ok(OffloadSet::NONE)
}

fn set_nonblocking(queue: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(queue, FcntlArg::F_GETFL)?);
    fcntl(queue, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

struct Queue {
    descriptor: OwnedFd,
    header: bool,
}

impl TunQueue for Queue {
    fn has_vnet_header(&self) -> bool {
        self.header
    }

    fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(&self.descriptor, frame)?)
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        let written = writev(&self.descriptor, frame)?;
        // A frame goes into the interface whole or not at all.
        let whole = written == frame.iter().map(|part| part.len()).sum::<usize>();
        if whole { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(not(feature = "tun-tap"))]
fn tun_tap(_name: &str) -> Result<io::Result<Opened>, OpenError> {
    Err(OpenError::NotBuiltIn)
}

#[cfg(feature = "tun-tap")]
fn tun_tap(name: &str) -> Result<io::Result<Opened>, OpenError> {
    let descriptor = tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tun)
        .and_then(|interface| tun_tap_descriptor(&interface).try_clone_to_owned());
    Ok(descriptor.and_then(|descriptor| prepare(vec![descriptor], false, OffloadSet::NONE)))
}

#[cfg(feature = "tun-tap")]
#[expect(unsafe_code, reason = "the crate predates AsFd")]
fn tun_tap_descriptor(interface: &tun_tap::Iface) -> BorrowedFd<'_> {
    use std::os::fd::AsRawFd;
    // SAFETY: the interface owns the descriptor and closes it only when dropped, which the borrow of it excludes.
    unsafe { BorrowedFd::borrow_raw(interface.as_raw_fd()) }
}
