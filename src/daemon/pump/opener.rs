//! From the socket to the TUN queue: trains of datagrams become packets and super-packets.

use std::io;
use std::os::fd::AsFd;

use super::deliver::TunSink;
use super::moderation::Moderation;
use super::watch::GroWatch;
use super::worker::{Failures, Shared};
use crate::dataplane::join::Joiner;
use crate::dataplane::open::{Arrival, open_train};
use crate::io::udp::Received;
use crate::types::offload::Offload;

/// Bytes of the longest train: the length field of UDP has 16 bits.
const TRAIN_BYTES_MAX: usize = 65_535;
/// Trains and single datagrams of a burst: what is received at once is joined across them. As many singles make a
/// super-packet of full length.
const BURST_TRAINS_MAX: usize = 64;
/// Bytes of a burst after which nothing more is received first: eight full trains, which the cache still holds.
const BURST_BYTES_MAX: usize = 8 * TRAIN_BYTES_MAX;
/// Bursts in trains after these were given up, if the socket is never read empty: by then all is read that waited.
const LAST_BURSTS_MAX: u32 = 200;

/// The opening thread of a pair.
pub(super) struct Opener {
    shared: Shared,
    watch: GroWatch,
    moderation: Moderation,
    /// Bursts that may still hold trains after these were given up; 0: the socket gives none.
    train_bursts: u32,
    buffers: Vec<Vec<u8>>,
    arrived: Vec<(Received, Arrival)>,
}

impl Opener {
    pub(super) fn new(shared: Shared, watch: GroWatch) -> Self {
        let buffers = vec![vec![0; TRAIN_BYTES_MAX]; BURST_TRAINS_MAX];
        let arrived = Vec::with_capacity(BURST_TRAINS_MAX);
        Self { shared, watch, moderation: Moderation::new(), train_bursts: LAST_BURSTS_MAX, buffers, arrived }
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
            self.leave_trains(ended.is_some());
            if let Some(error) = ended {
                self.rest(error, &mut failures)?;
            }
        }
        Ok(())
    }

    /// Before the next burst: a short pause while many come one by one, else until one comes.
    fn rest(&mut self, error: io::Error, failures: &mut Failures) -> io::Result<()> {
        // A bulk was gathered by its sender.
        if let Some(pause) = self.moderation.after_burst((self.shared.clock)(), self.arrived.len(), 0) {
            return self.shared.stop.pause(pause);
        }
        self.shared.wait(self.shared.udp.as_fd(), error, failures)
    }

    /// Has every datagram come alone once trains were given up, by whichever thread. What already waits as a train would come
    /// as one datagram that nobody can open, so that is read first.
    fn leave_trains(&mut self, nothing_waits: bool) {
        if self.train_bursts > 0 && !self.shared.offloads.has(Offload::Gro) {
            self.train_bursts = if nothing_waits { 0 } else { self.train_bursts - 1 };
            if self.train_bursts == 0 {
                // A kernel without the option gives no trains either.
                let _ = self.shared.udp.set_gro(false);
            }
        }
    }

    /// What can be received at once, up to a bound. Returns the error that ended it.
    fn receive(&mut self) -> Option<io::Error> {
        self.arrived.clear();
        let mut bytes = 0;
        for buffer in &mut self.buffers {
            if bytes >= BURST_BYTES_MAX {
                break;
            }
            match self.shared.udp.recv_train(buffer) {
                Ok(received) => {
                    bytes += received.bytes;
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
        let Self { shared, watch, buffers, arrived, .. } = self;
        let snapshot = shared.snapshot.load();
        let mut sink = TunSink::new(shared, &snapshot);
        let mut joiner = Joiner::new(sink.offloads());
        let mut report = |event| shared.inlet.offer(event);
        for ((received, arrival), buffer) in arrived.iter().zip(buffers) {
            let train = buffer.get_mut(..received.bytes).unwrap_or_default();
            let tally = open_train(&snapshot, *arrival, train, &mut joiner, &mut sink, &mut report);
            if let Some(why) = watch.note(arrival.now, received.stride < received.bytes, tally) {
                shared.switch_off(Offload::Gro, &why);
            }
        }
        joiner.flush(&mut sink);
        sink.end()
    }
}
