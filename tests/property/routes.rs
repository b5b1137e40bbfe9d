//! Routes against a scan of all prefixes.

use std::net::IpAddr;

use plait::dataplane::routes::Routes;
use plait::types::id::PeerId;
use plait::types::prefix::Prefix;
use proptest::collection::vec;
use proptest::prelude::*;

/// Few distinct bits, so that prefixes nest, touch and repeat.
fn address() -> impl Strategy<Value = IpAddr> {
    let byte = || prop_oneof![Just(0_u8), Just(255), Just(128), any::<u8>()];
    prop_oneof![
        [byte(), byte(), byte()].prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
        [byte(), byte(), byte(), byte()].prop_map(IpAddr::from),
        [byte(), byte(), byte(), byte()].prop_map(|[a, b, c, d]| IpAddr::from([
            0xfd20,
            0,
            0,
            u16::from(a) << 8,
            0,
            0,
            u16::from(b),
            u16::from_be_bytes([c, d])
        ])),
    ]
}

fn entries() -> impl Strategy<Value = Vec<(Prefix, PeerId)>> {
    let prefix = (address(), 0_u8..=128).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        Prefix::new(address, length).unwrap()
    });
    vec((prefix, (0_u16..5).prop_map(PeerId)), 0..60)
}

/// The longest prefix that holds the address; of equal ones the last.
fn scan(entries: &[(Prefix, PeerId)], address: IpAddr) -> Option<PeerId> {
    let holding = entries.iter().filter(|(prefix, _)| prefix.holds(address));
    holding.max_by_key(|(prefix, _)| prefix.length()).map(|(_, peer)| *peer)
}

/// The addresses just before, at, and just after both ends of a prefix.
fn edges(prefix: Prefix) -> Vec<IpAddr> {
    match prefix.address() {
        IpAddr::V4(first) => {
            let (first, size) = (first.to_bits(), 1_u64 << (32 - prefix.length()));
            let last = (u64::from(first) + size - 1) as u32;
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|a| IpAddr::V4(a.into())).to_vec()
        }
        IpAddr::V6(first) => {
            let first = first.to_bits();
            let last = first | u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|a| IpAddr::V6(a.into())).to_vec()
        }
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_scan(entries in entries(), addresses in vec(address(), 0..60)) {
        let routes = Routes::new(entries.iter().copied());
        let edges = entries.iter().flat_map(|(prefix, _)| edges(*prefix));
        for address in edges.chain(addresses) {
            prop_assert_eq!(routes.owner(address), scan(&entries, address), "{}", address);
        }
    }
}

#[test]
fn a_hundred_and_thirty_thousand_prefixes_are_held() {
    let count = 131_072_u32;
    let prefix = |n: u32| Prefix::new(IpAddr::V4((0x0a00_0000 + n * 64).into()), 26).unwrap();
    let routes = Routes::new((0..count).map(|n| (prefix(n), PeerId((n % 1000) as u16))));
    for n in [0, 1, 65_535, count - 1] {
        let IpAddr::V4(first) = prefix(n).address() else { unreachable!() };
        for inside in [0, 63] {
            assert_eq!(routes.owner(IpAddr::V4((first.to_bits() + inside).into())), Some(PeerId((n % 1000) as u16)));
        }
    }
    assert_eq!(routes.owner(IpAddr::from([9, 255, 255, 255])), None);
}
