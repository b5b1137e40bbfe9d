//! Tells the sender of a packet that is too long what would fit, through the TUN queue that it came from.

use std::io::IoSlice;

use crate::io::tun::{TunQueue, write_frame};
use crate::types::bucket::Bucket;
use crate::types::limits::IPV6_MTU_MIN;
use crate::types::time::Instant;
use crate::wire::icmp;
use crate::wire::ip::InnerPacket;
use crate::wire::vnet::VnetHeader;

/// Answers of a thread in a second, and as many at once: a sender learns from the first one for minutes, so that more is
/// only needed by many senders at once, and a flood of long packets makes no flood of answers (RFC 1812 4.3.2.8).
const ANSWERS_PER_SECOND: u32 = 10;

/// What a sealing thread needs to answer.
pub(super) struct TooBig {
    bucket: Bucket,
    answer: Vec<u8>,
}

impl TooBig {
    pub(super) fn new() -> Self {
        // No answer is longer (RFC 4443 3.2).
        Self { bucket: Bucket::FULL, answer: Vec::with_capacity(usize::from(IPV6_MTU_MIN)) }
    }

    /// Answers a packet, or a super-packet whose pieces are too long: the quote of its first bytes names the flow.
    ///
    /// The answer comes from the packet's own destination, as if the way became narrow right before it. The kernel took
    /// the packet to this interface, so it lets one from there come back in, with strict reverse path filtering too. An
    /// address of this host it would refuse where most packets come from: from itself (Linux drops what comes in from
    /// one of its own IPv4 addresses). To a host behind this one a router's address would tell no more.
    pub(super) fn answer(&mut self, tun: &dyn TunQueue, now: Instant, packet: InnerPacket<'_>, mtu: u16) {
        let Some(rest) = self.bucket.less_one(now, ANSWERS_PER_SECOND, ANSWERS_PER_SECOND) else { return };
        if !icmp::too_big(packet.bytes(), mtu, packet.destination(), &mut self.answer) {
            return;
        }
        self.bucket = rest;
        let header = VnetHeader::default().to_bytes();
        let frame = [IoSlice::new(&header), IoSlice::new(&self.answer)];
        // One that is lost is made again for the next long packet.
        let _ = write_frame(tun, &frame);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::Mutex;

    use super::*;

    /// Keeps what is written.
    struct Kept {
        has_header: bool,
        frames: Mutex<Vec<Vec<u8>>>,
        file: File,
    }

    impl Kept {
        fn new(has_header: bool) -> Self {
            Self { has_header, frames: Mutex::default(), file: File::open("/dev/null").unwrap() }
        }

        fn count(&self) -> usize {
            self.frames.lock().unwrap().len()
        }
    }

    impl AsFd for Kept {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }
    }

    impl TunQueue for Kept {
        fn has_vnet_header(&self) -> bool {
            self.has_header
        }

        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
            self.frames.lock().unwrap().push(frame.iter().flat_map(|part| part.to_vec()).collect());
            Ok(())
        }
    }

    fn packet(flags: u8) -> Vec<u8> {
        let mut packet = vec![7; 1500];
        packet[..10].copy_from_slice(&[0x45, 0, 5, 220, 0, 0, flags, 0, 64, 17]);
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        packet
    }

    fn answer(tun: &Kept, too_big: &mut TooBig, now: u64, flags: u8) {
        let packet = packet(flags);
        too_big.answer(tun, Instant::from_nanos(now), InnerPacket::parse(&packet).unwrap(), 1300);
    }

    #[test]
    fn the_answer_comes_from_the_destination_behind_a_header_that_asks_for_nothing() {
        for (has_header, before) in [(false, 0), (true, 10)] {
            let (tun, mut too_big) = (Kept::new(has_header), TooBig::new());
            answer(&tun, &mut too_big, 1, 0x40);
            let frame = tun.frames.lock().unwrap().remove(0);
            let (header, answer) = frame.split_at(before);
            assert!(header.iter().all(|byte| *byte == 0));
            assert_eq!((answer.len(), answer[9]), (576, 1));
            assert_eq!(answer[12..20], [10, 0, 0, 2, 10, 0, 0, 1]);
            assert_eq!(answer[20..28][6..], 1300_u16.to_be_bytes());
            assert_eq!(answer[28..], packet(0x40)[..548]);
        }
    }

    #[test]
    fn ten_a_second_are_answered_and_what_needs_no_answer_takes_nothing_of_that() {
        let (tun, mut too_big) = (Kept::new(true), TooBig::new());
        (0..50).for_each(|_| answer(&tun, &mut too_big, 1, 0));
        assert_eq!(tun.count(), 0, "may be fragmented: its sender asked for no answer");
        (0..50).for_each(|_| answer(&tun, &mut too_big, 1, 0x40));
        assert_eq!(tun.count(), 10);
        (0..50).for_each(|_| answer(&tun, &mut too_big, 500_000_001, 0x40));
        assert_eq!(tun.count(), 15, "half a second later");
    }
}
