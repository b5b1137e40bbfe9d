//! What the packet threads of a tunnel see whose far end is itself.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::crypto::aead::AeadBackend;
use crate::dataplane::routes::Routes;
use crate::dataplane::snapshot::{Endpoint, PeerView, Receiving, Sealing, Snapshot, Standing};
use crate::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use crate::types::id::{PeerId, SessionIndex};
use crate::types::policy::Cipher;
use crate::types::secret::Secret;
use crate::types::time::Instant;

/// Both halves of one epoch, with these features; its datagrams go to `to`, where they are to be opened.
pub(super) fn snapshot(to: SocketAddr, features: u8) -> Snapshot {
    let (tag, index) = (EpochTag { peer: PeerId(0), session: 0, number: 0 }, SessionIndex::new(1).unwrap());
    let (key, cipher) = (Secret::take(&mut [3; 32]), Cipher::ChaCha20Poly1305);
    let terms = RecordTerms { cipher, inner_mtu: 1420, features };
    let seal = Arc::new(SealEpoch::new(tag, index, &key, AeadBackend::AwsLc, terms));
    let open = Arc::new(OpenEpoch::new(tag, index, &key, AeadBackend::AwsLc, terms));
    let until = Instant::FAR_FUTURE;
    let peer = PeerView {
        endpoint: Some(Endpoint { to, from: None }),
        sealing: Some(Sealing { epoch: seal, until }),
        blocked: false,
        inner_mtu: 1420,
        traffic: Arc::default(),
    };
    Snapshot {
        peers: vec![peer],
        routes: Arc::new(Routes::new([("10.0.0.0/8".parse().unwrap(), PeerId(0))])),
        receive: vec![Receiving { index: index.value(), epoch: open, until, standing: Standing::Current }],
        unclaimed: Arc::default(),
        door: None,
    }
}
