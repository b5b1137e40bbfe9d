//! Both ends of one epoch in one snapshot, and a burst of frames packed as the sealing thread does it.

use std::net::IpAddr;
use std::sync::Arc;

use plait::crypto::aead::AeadBackend;
use plait::dataplane::frame::Frame;
use plait::dataplane::pack::{Cursor, Packer, Step, View};
use plait::dataplane::routes::Routes;
use plait::dataplane::snapshot::{Endpoint, PeerView, Receiving, Sealing, Snapshot, Standing};
use plait::dataplane::train::Train;
use plait::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use plait::types::id::{PeerId, SessionIndex};
use plait::types::prefix::Prefix;
use plait::types::secret::Secret;
use plait::types::time::Instant;

/// What a peer owns that owns everything.
pub(crate) const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// A peer that owns these prefixes; what is sealed to it opens here, under the index.
pub(crate) fn both_ends(terms: RecordTerms, index: u32, owned: [&str; 2], endpoint: Endpoint) -> Snapshot {
    let (key, receiver) = (Secret::take(&mut [9; 32]), SessionIndex::new(index).unwrap());
    let tag = EpochTag { peer: PeerId(0), session: 0, number: 0 };
    let seal = SealEpoch::new(tag, receiver, &key, AeadBackend::AwsLc, terms);
    let open = OpenEpoch::new(tag, receiver, &key, AeadBackend::AwsLc, terms);
    let (until, standing) = (Instant::FAR_FUTURE, Standing::Current);
    let peer = PeerView {
        endpoint: Some(endpoint),
        sealing: Some(Sealing { epoch: Arc::new(seal), until }),
        blocked: false,
        inner_mtu: terms.inner_mtu,
        traffic: Arc::default(),
    };
    Snapshot {
        peers: vec![peer],
        routes: Arc::new(Routes::new(owned.map(|prefix| (prefix.parse::<Prefix>().unwrap(), PeerId(0))))),
        receive: vec![Receiving { index, epoch: Arc::new(open), until, standing }],
        unclaimed: Arc::default(),
        door: None,
    }
}

/// Where a peer lives that is never sent to in earnest.
pub(crate) fn nowhere() -> Endpoint {
    Endpoint { to: (IpAddr::from([192, 0, 2, 1]), 51900).into(), from: None }
}

/// Packs frames, with the kernel's header in front, as one burst; each train is sent, and then empty.
pub(crate) fn burst(view: View<'_>, packer: &mut Packer, frames: &[Vec<u8>], mut send: impl FnMut(&Train)) {
    let mut leave = |packer: &mut Packer| {
        send(packer.train());
        packer.train().clear();
    };
    for frame in frames {
        let mut cursor = Cursor::new(Frame::parse(frame, true).unwrap());
        while packer.pack(view, &mut cursor, &mut |event| panic!("nothing waits for a session: {event:?}"))
            == Step::Send
        {
            leave(packer);
        }
    }
    while packer.close(view, &mut |event| panic!("nothing waits for a session: {event:?}")) == Step::Send {
        leave(packer);
    }
    leave(packer);
}
