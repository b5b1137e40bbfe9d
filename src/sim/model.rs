//! The reference model of the link: which packets were sent, so that what comes out was sent, and comes out once.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of the simulator's packets: an IPv4 header and 16 bytes that say which packet it is.
pub(super) const PACKET_BYTES: usize = 36;
/// Packets of a flow that are remembered: many times what staging, reordering and the replay window can hold back.
const REMEMBERED: u64 = 16_384;

/// Packets from one site to another.
#[derive(Default)]
struct Flow {
    sent: u64,
    delivered: BTreeSet<u64>,
    count: u64,
}

/// All flows of the world.
#[derive(Default)]
pub(super) struct Model(BTreeMap<(u8, u8), Flow>);

impl Model {
    /// The next packet of a flow.
    pub(super) fn send(&mut self, from: u8, to: u8) -> Vec<u8> {
        let flow = self.0.entry((from, to)).or_default();
        flow.sent += 1;
        let mut packet = vec![0u8; PACKET_BYTES];
        packet[0] = 0x45;
        packet[3] = PACKET_BYTES as u8;
        packet[8] = 64;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&[10, 99, from, 1]);
        packet[16..20].copy_from_slice(&[10, 99, to, 1]);
        packet[20] = from;
        packet[21] = to;
        packet[28..36].copy_from_slice(&flow.sent.to_be_bytes());
        packet
    }

    /// A packet came out at `at` as one of `peer`'s. `Err` says what is wrong with that.
    pub(super) fn deliver(&mut self, at: u8, peer: u8, packet: &[u8]) -> Result<(), String> {
        let number = packet.get(28..36).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let (Some(number), PACKET_BYTES) = (number, packet.len()) else {
            return Err(format!("site {at} got a packet of {} bytes that nobody sent", packet.len()));
        };
        if (packet[20], packet[21]) != (peer, at) {
            return Err(format!("site {at} got from {peer} a packet from {} to {}", packet[20], packet[21]));
        }
        let flow = self.0.entry((peer, at)).or_default();
        if number == 0 || number > flow.sent || number + REMEMBERED < flow.sent {
            return Err(format!("packet {number} of {peer} to {at} came out, {} were sent", flow.sent));
        }
        if !flow.delivered.insert(number) {
            return Err(format!("packet {number} of {peer} to {at} came out twice"));
        }
        flow.count += 1;
        let oldest = flow.sent.saturating_sub(REMEMBERED);
        while flow.delivered.first().is_some_and(|first| *first < oldest) {
            flow.delivered.pop_first();
        }
        Ok(())
    }

    /// Packets of a flow that came out.
    pub(super) fn delivered(&self, from: u8, to: u8) -> u64 {
        self.0.get(&(from, to)).map_or(0, |flow| flow.count)
    }

    /// Packets sent and delivered in all.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |(sent, got), flow| (sent + flow.sent, got + flow.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_or_came_before_is_found() {
        let mut model = Model::default();
        let packet = model.send(0, 1);
        assert!(model.deliver(1, 2, &packet).is_err(), "of another peer");
        assert!(model.deliver(2, 0, &packet).is_err(), "at another site");
        assert!(model.deliver(1, 0, &packet[1..]).is_err(), "of another length");
        assert_eq!(model.deliver(1, 0, &packet), Ok(()));
        assert!(model.deliver(1, 0, &packet).is_err(), "twice");
        let mut later = packet.clone();
        later[35] += 1;
        assert!(model.deliver(1, 0, &later).is_err(), "not sent yet");
        assert_eq!((model.delivered(0, 1), model.totals()), (1, (1, 1)));
    }
}
