//! A super-packet cut into segment records and completed is, packet for packet, what the kernel would have sent.

use plait::dataplane::segment::{Cut, Segment};
use proptest::collection::vec;
use proptest::prelude::*;

use super::supers::supers;

fn records(packet: &[u8], size: u16) -> Vec<Vec<u8>> {
    let cut = Cut::new(packet, size).unwrap();
    (0..cut.count())
        .map(|index| {
            let mut record = Vec::new();
            cut.write(index, &mut record);
            record
        })
        .collect()
}

proptest! {
    #[test]
    fn each_record_completes_to_the_packet_that_the_kernel_would_send(input in supers()) {
        let packet = input.whole();
        let (records, packets) = (records(&packet, input.size), input.packets());
        prop_assert_eq!(records.len(), packets.len());
        for (index, (mut record, expected)) in records.into_iter().zip(packets).enumerate() {
            prop_assert_eq!(record.len(), expected.len(), "nothing is added to a packet");
            let segment = Segment::parse(&record).unwrap();
            prop_assert_eq!(usize::from(segment.index), index);
            segment.complete(&mut record);
            prop_assert_eq!(record, expected);
        }
    }

    #[test]
    fn all_records_but_the_last_have_one_length(input in supers()) {
        let packet = input.whole();
        let cut = Cut::new(&packet, input.size).unwrap();
        let records = records(&packet, input.size);
        let (last, others) = records.split_last().unwrap();
        prop_assert!(others.iter().all(|record| record.len() == cut.record_bytes()));
        prop_assert!(last.len() <= cut.record_bytes());
        prop_assert!(Segment::parse(last).unwrap().is_last);
        prop_assert!(others.iter().all(|record| !Segment::parse(record).unwrap().is_last));
    }

    #[test]
    fn no_bytes_do_harm(mut bytes in vec(any::<u8>(), 0..200), first in 0x40..0x70_u8, size in any::<u16>()) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if let Ok(segment) = Segment::parse(&bytes) {
            segment.complete(&mut bytes);
        }
        if let Some(cut) = Cut::new(&bytes, size) {
            for index in 0..cut.count() {
                let mut record = Vec::new();
                cut.write(index, &mut record);
                prop_assert!(!record.is_empty() && record.len() <= bytes.len());
            }
        }
    }
}
