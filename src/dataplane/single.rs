//! One packet or datagram a call: for simulations, where nothing is gained by trains.

use std::io::IoSlice;

use crate::dataplane::frame::Frame;
use crate::dataplane::join::{Deliver, Joiner};
use crate::dataplane::open::{Arrival, open_train};
use crate::dataplane::pack::{Cursor, Packer, Step, View};
use crate::dataplane::report::Report;
use crate::dataplane::snapshot::Snapshot;
use crate::dataplane::train::Destination;
use crate::types::id::PeerId;
use crate::types::offload::OffloadSet;
use crate::wire::vnet::VnetHeader;

/// Seals one complete packet. `None` if it was staged or dropped.
pub fn seal_one(view: View<'_>, lane: u8, packet: &[u8], report: Report<'_>) -> Option<(Destination, Vec<u8>)> {
    let Ok(frame) = Frame::parse(packet, false) else {
        view.snapshot.unclaimed.not_ip.add(1);
        return None;
    };
    let mut packer = Packer::new(lane);
    if packer.pack(view, &mut Cursor::new(frame), report) == Step::Done {
        packer.close(view, report);
    }
    let train = packer.train();
    train.destination().map(|destination| (destination, train.bytes().to_vec()))
}

/// Opens one datagram and returns the complete packets in it.
pub fn open_one(
    snapshot: &Snapshot,
    arrival: Arrival,
    datagram: &mut [u8],
    report: Report<'_>,
) -> Vec<(PeerId, Vec<u8>)> {
    let (mut joiner, mut packets) = (Joiner::new(OffloadSet::NONE), Packets::default());
    let arrival = Arrival { stride: datagram.len(), ..arrival };
    open_train(snapshot, arrival, datagram, &mut joiner, &mut packets, report);
    joiner.flush(&mut packets);
    packets.0
}

/// Keeps what is delivered.
#[derive(Default)]
struct Packets(Vec<(PeerId, Vec<u8>)>);

impl Deliver for Packets {
    fn deliver(&mut self, peer: PeerId, _: VnetHeader, frame: &[IoSlice<'_>]) {
        self.0.push((peer, frame.iter().skip(1).flat_map(|part| part.iter().copied()).collect()));
    }
}
