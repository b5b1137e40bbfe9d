//! From the socket to the TUN queue: trains of datagrams become packets and super-packets.

use std::io;
use std::os::fd::AsFd;

use super::deliver::TunSink;
use super::worker::{Failures, Shared};
use crate::dataplane::join::Joiner;
use crate::dataplane::open::{Arrival, open_train};
use crate::io::udp::Received;

/// Bytes of the longest train: the length field of UDP has 16 bits.
const TRAIN_BYTES_MAX: usize = 65_535;
/// Trains of a burst: what is received at once is joined across trains.
const BURST_TRAINS_MAX: usize = 8;

/// The opening thread of a pair.
pub(super) struct Opener {
    shared: Shared,
    buffers: Vec<Vec<u8>>,
    arrived: Vec<(Received, Arrival)>,
}

impl Opener {
    pub(super) fn new(shared: Shared) -> Self {
        let buffers = vec![vec![0; TRAIN_BYTES_MAX]; BURST_TRAINS_MAX];
        Self { shared, buffers, arrived: Vec::with_capacity(BURST_TRAINS_MAX) }
    }

    /// Until the order to stop (`Ok`), or until the socket or the TUN queue fails for good.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut failures = Failures::default();
        while !self.shared.stop.is_given() {
            let ended = self.receive();
            if !self.arrived.is_empty() {
                failures.none();
                self.open()?;
            }
            if let Some(error) = ended {
                self.shared.wait(self.shared.udp.as_fd(), error, &mut failures)?;
            }
        }
        Ok(())
    }

    /// What can be received at once, up to a bound. Returns the error that ended it.
    fn receive(&mut self) -> Option<io::Error> {
        self.arrived.clear();
        for buffer in &mut self.buffers {
            match self.shared.udp.recv_train(buffer) {
                Ok(received) => {
                    let Received { from, local, stride, tos, .. } = received;
                    let arrival = Arrival { now: (self.shared.clock)(), from, local, stride, tos };
                    self.arrived.push((received, arrival));
                }
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// Opens and delivers what was received.
    fn open(&mut self) -> io::Result<()> {
        let Self { shared, buffers, arrived } = self;
        let snapshot = shared.snapshot.load();
        let mut sink = TunSink::new(shared, &snapshot);
        let mut joiner = Joiner::new(sink.offloads());
        let mut report = |event| shared.inlet.offer(event);
        for ((received, arrival), buffer) in arrived.iter().zip(buffers) {
            let train = buffer.get_mut(..received.bytes).unwrap_or_default();
            open_train(&snapshot, *arrival, train, &mut joiner, &mut sink, &mut report);
        }
        joiner.flush(&mut sink);
        sink.end()
    }
}
