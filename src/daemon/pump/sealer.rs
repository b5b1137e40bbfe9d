//! From the TUN queue to the socket: bursts of frames become trains of datagrams.

use std::io;
use std::os::fd::AsFd;

use super::moderation::Moderation;
use super::too_big::TooBig;
use super::worker::{Failures, Shared};
use crate::dataplane::frame::Frame;
use crate::dataplane::pack::{Cursor, Packer, Step, View};
use crate::dataplane::report::Report;
use crate::dataplane::train::Destination;
use crate::io::refusal::{is_refusal, is_too_long};
use crate::io::tun::is_gone;
use crate::io::wait::Woken;
use crate::types::offload::Offload;
use crate::wire::vnet::VNET_HEADER_BYTES;

/// Bytes of the longest frame: the length field of IP has 16 bits.
const FRAME_BYTES_MAX: usize = VNET_HEADER_BYTES + 65_535;
/// Frames of a burst: after so many what waits for companions leaves, even if there is more to read.
const BURST_FRAMES_MAX: usize = 64;

/// What one burst brought.
#[derive(Clone, Copy, Default)]
struct Burst {
    frames: usize,
    bytes: usize,
}

/// The sealing thread of a pair.
pub(super) struct Sealer {
    shared: Shared,
    packer: Packer,
    frame: Vec<u8>,
    too_big: TooBig,
    moderation: Moderation,
}

impl Sealer {
    pub(super) fn new(shared: Shared, lane: u8) -> Self {
        Self {
            shared,
            packer: Packer::new(lane),
            frame: vec![0; FRAME_BYTES_MAX],
            too_big: TooBig::new(),
            moderation: Moderation::new(),
        }
    }

    /// Until the order to stop (`Ok`), or until the TUN queue fails for good.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut failures = Failures::default();
        while !self.shared.stop.is_given() {
            let (burst, ended) = self.burst(&mut failures)?;
            self.close()?;
            match ended {
                Some(error) if is_gone(&error) => return Err(error),
                Some(error) => self.rest(burst, error, &mut failures)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Before the next burst: a short pause while packets come fast, else until one comes.
    fn rest(&mut self, burst: Burst, error: io::Error, failures: &mut Failures) -> io::Result<()> {
        if let Some(pause) = self.moderation.after_burst((self.shared.clock)(), burst.frames, burst.bytes) {
            return self.shared.stop.pause(pause);
        }
        self.shared.wait(self.shared.tun.as_fd(), error, failures)
    }

    /// What can be read at once, up to a bound: how much it was, and the error that ended it.
    fn burst(&mut self, failures: &mut Failures) -> io::Result<(Burst, Option<io::Error>)> {
        let mut burst = Burst::default();
        while burst.frames < BURST_FRAMES_MAX {
            match self.shared.tun.read(&mut self.frame) {
                Ok(length) => {
                    failures.none();
                    burst.frames += 1;
                    burst.bytes += length;
                    self.carry(length)?;
                }
                Err(error) => return Ok((burst, Some(error))),
            }
        }
        Ok((burst, None))
    }

    /// One frame.
    fn carry(&mut self, length: usize) -> io::Result<()> {
        let Self { shared, packer, frame, too_big, .. } = self;
        let bytes = frame.get(..length).unwrap_or_default();
        let Ok(frame) = Frame::parse(bytes, shared.tun.has_vnet_header()) else {
            shared.snapshot.load().unclaimed.not_ip.add(1);
            return Ok(());
        };
        let mut cursor = Cursor::new(frame);
        loop {
            match shared.step(|view, report| packer.pack(view, &mut cursor, report)) {
                Step::Send => shared.send(packer)?,
                Step::TooBig(mtu) => {
                    too_big.answer(&*shared.tun, (shared.clock)(), frame.packet, mtu);
                    return Ok(());
                }
                Step::Done => return Ok(()),
            }
        }
    }

    /// The end of a burst: nothing waits any longer.
    fn close(&mut self) -> io::Result<()> {
        let Self { shared, packer, .. } = self;
        while shared.step(|view, report| packer.close(view, report)) == Step::Send {
            shared.send(packer)?;
        }
        shared.send(packer)
    }
}

impl Shared {
    /// One step with the newest keys. They are not held while anything waits: the engine erases them in between.
    fn step(&self, work: impl FnOnce(View<'_>, Report<'_>) -> Step) -> Step {
        let snapshot = self.snapshot.load();
        let view = View { snapshot: &snapshot, now: (self.clock)(), offloads: self.offloads.set() };
        work(view, &mut |event| self.inlet.offer(event))
    }

    /// Sends the train and empties it. Waits while the send buffer is full: the packets behind it wait in the TUN queue,
    /// which has a bound.
    fn send(&self, packer: &mut Packer) -> io::Result<()> {
        let train = packer.train();
        let Some(destination) = train.destination() else { return Ok(()) };
        match self.send_whole(train.bytes(), train.stride(), destination) {
            Err(error) if train.count() > 1 && (is_refusal(&error) || is_too_long(&error)) => {
                self.send_singly(train.bytes(), train.stride(), destination, &error);
            }
            Err(_) => self.count_unsent(destination, train.count()),
            Ok(()) => {}
        }
        train.clear();
        Ok(())
    }

    fn send_whole(&self, bytes: &[u8], stride: usize, Destination { to, tos, .. }: Destination) -> io::Result<()> {
        loop {
            match self.udp.send_train(bytes, stride, tos, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stop.wait_writable(self.udp.as_fd())? != Woken::Ready {
                        return Err(error);
                    }
                }
                sent => return sent,
            }
        }
    }

    /// A train that was refused, one by one. If a datagram of full length passes alone, trains are what the kernel cannot do;
    /// if only a short last one does, the link is too small for the others.
    fn send_singly(&self, bytes: &[u8], stride: usize, destination: Destination, refused: &io::Error) {
        let (mut unsent, mut full_passed) = (0, false);
        for datagram in bytes.chunks(stride.max(1)) {
            match self.send_whole(datagram, datagram.len(), destination) {
                Ok(()) => full_passed |= datagram.len() == stride,
                Err(_) => unsent += 1,
            }
        }
        self.count_unsent(destination, unsent);
        if full_passed {
            self.give_up(Offload::Gso, refused);
        }
    }

    /// No route, no memory, a firewall: the network may come back, and the peer sees lost packets.
    fn count_unsent(&self, destination: Destination, count: usize) {
        if let Some(peer) = self.snapshot.load().peer(destination.peer).filter(|_| count > 0) {
            peer.traffic.drops.send.add(count as u64);
        }
    }
}
