//! What the network does with datagrams, and the data path at both of its ends.

use std::net::SocketAddr;
use std::time::Duration;

use super::setup::pairs_of;
use super::world::{Happening, World};
use crate::dataplane::open::Arrival;
use crate::dataplane::pack::View;
use crate::dataplane::report::PumpEvent;
use crate::dataplane::single::{open_one, seal_one};
use crate::types::offload::OffloadSet;

/// Packets of a burst at most.
const BURST_MAX: u64 = 4;
/// A straggler comes so much later at most: within the overlap of epochs and beyond every reordering.
const STRAGGLE: Duration = Duration::from_secs(10);

impl World<'_> {
    /// A datagram leaves a site.
    pub(super) fn transmit(&mut self, site: usize, to: SocketAddr, bytes: Vec<u8>) {
        let verdict = self.oracle.sent(self.now, &bytes);
        self.check(verdict);
        self.trace.add(self.now, 5, &bytes);
        let from = self.hosts[site].address;
        self.weather.see(from, to, &bytes);
        let other = self.hosts.iter().position(|host| host.address == to);
        if other.is_some_and(|other| self.weather.is_cut(self.now, site, other)) {
            return;
        }
        let (plan, draw) = (self.weather.link(self.now), &mut self.draws.link);
        let copies = 1 + u64::from(draw.hits(plan.duplicate)) * (1 + draw.below(3));
        let mut fates = Vec::new();
        for _ in 0..copies {
            if draw.hits(plan.loss) {
                continue;
            }
            let mut after = plan.delay + draw.around(plan.jitter / 2);
            if draw.hits(plan.straggle) {
                after += draw.span(Duration::ZERO, STRAGGLE);
            }
            fates.push((after, draw.hits(plan.corrupt).then(|| draw.word())));
        }
        for (after, corruption) in fates {
            let mut bytes = bytes.clone();
            if let Some(word) = corruption {
                let at = word as usize % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (word >> 60 & 7);
                }
            }
            self.push(after, Happening::Datagram { to, from, bytes, forged: corruption.is_some() });
        }
    }

    /// A datagram comes to an address. A forged one must lead to no packet and to no call to a KME.
    pub(super) fn arrive(&mut self, to: SocketAddr, from: SocketAddr, mut bytes: Vec<u8>, forged: bool) {
        let Some(site) = self.hosts.iter().position(|host| host.address == to && host.is_up(self.now)) else { return };
        let Some(snapshot) = self.hosts[site].snapshot.clone() else { return };
        self.trace.add(self.now, 6, &[site as u8, u8::from(forged)]);
        let mut events = Vec::new();
        let arrival = Arrival { now: self.hosts[site].clock.at(self.now), from, local: None, stride: 0, tos: 0 };
        let opened = open_one(&snapshot, arrival, &mut bytes, &mut |event| {
            events.push(event);
            true
        });
        if forged && !opened.is_empty() {
            self.violate(format!("site {site} opened a forged datagram"));
        }
        for (peer, packet) in opened {
            self.deliver(site, usize::from(peer.0), &packet);
        }
        self.asked = 0;
        self.tell(site, events);
        if forged && self.asked > 0 {
            self.violate(format!("a forged datagram made site {site} ask its KME"));
        }
    }

    fn deliver(&mut self, site: usize, peer: usize, packet: &[u8]) {
        let Some((pair, end, plan)) = pairs_of(self.plan, site).nth(peer) else {
            return self.violate(format!("site {site} has no peer {peer}"));
        };
        let verdict = self.model.deliver(site as u8, plan.sites[1 - end] as u8, packet);
        self.check(verdict);
        let fetches: Vec<Option<Duration>> = self.sources[pair].iter().map(|source| source.last_fetch).collect();
        let verdict = self.oracle.delivered(self.now, pair, &fetches);
        self.check(verdict);
    }

    fn tell(&mut self, site: usize, events: Vec<PumpEvent>) {
        for event in events {
            self.drive(site, |engine, now| engine.handle_pump(now, event));
        }
    }

    /// An application sends a few packets; the next ones come later.
    pub(super) fn traffic(&mut self, site: usize, peer: usize) {
        let after = self.draws.traffic.around(self.traffic_pause);
        self.push(after.max(Duration::from_millis(1)), Happening::Traffic { site, peer });
        let burst = 1 + self.draws.traffic.below(BURST_MAX);
        let Some((_, end, pair)) = pairs_of(self.plan, site).nth(peer) else { return };
        let other = pair.sites[1 - end];
        for _ in 0..burst {
            let Some(snapshot) = self.hosts[site].snapshot.clone().filter(|_| self.hosts[site].is_up(self.now)) else {
                return;
            };
            let packet = self.model.send(site as u8, other as u8);
            let mut events = Vec::new();
            let now = self.hosts[site].clock.at(self.now);
            let view = View { snapshot: &snapshot, now, offloads: OffloadSet::ALL };
            let sealed = seal_one(view, 1, &packet, &mut |event| {
                events.push(event);
                true
            });
            if let Some((destination, datagram)) = sealed {
                self.transmit(site, destination.to.to, datagram);
            }
            self.tell(site, events);
        }
    }
}
