//! Site `a` with two peers, `b` and `c`, a KME pair for each.

use crate::kme::{KmePair, certificates};
use crate::site::Site;
use crate::topology::Net;
use crate::world::HYBRID_WITHIN;
use std::sync::Arc;
use tempfile::TempDir;

/// Fields are dropped in this order: daemons, KMEs, namespaces, files.
pub(crate) struct Hub {
    pub(crate) a: Site,
    pub(crate) b: Site,
    pub(crate) c: Site,
    _pairs: [KmePair; 2],
    pub(crate) net: Arc<Net>,
    pub(crate) dir: TempDir,
}

impl Hub {
    /// The KMEs run; no site does.
    pub(crate) fn new() -> Self {
        let (net, dir) = (Arc::new(Net::new(&["a", "b", "c"])), tempfile::tempdir().unwrap());
        let path = dir.path().to_path_buf();
        let kmes = [("KME-A", 1), ("KME-B", 2), ("KME-A2", 1), ("KME-C", 3)];
        certificates(&path, "pki", &kmes, &["SAE-A", "SAE-B", "SAE-C"]);
        let pair = |name: &str, ends, port| KmePair::new(Arc::clone(&net), path.clone(), name, ends, port);
        let mut to_b = pair("to-b", [(1, "KME-A", "SAE-A"), (2, "KME-B", "SAE-B")], 8443);
        let mut to_c = pair("to-c", [(1, "KME-A2", "SAE-A"), (3, "KME-C", "SAE-C")], 8444);
        to_b.up();
        to_c.up();
        let site = |name, n| Site::new(Arc::clone(&net), path.clone(), name, n);
        let (mut a, mut b, mut c) = (site("a", 1), site("b", 2), site("c", 3));
        a.config.add_peer("b", 2);
        a.config.add_peer("c", 3);
        a.config.add_source("fibre-b", 0, "b", 1, 8443, ("SAE-A", "SAE-B"));
        a.config.add_source("fibre-c", 0, "c", 1, 8444, ("SAE-A", "SAE-C"));
        b.config.add_peer("a", 1);
        b.config.add_source("fibre-b", 0, "a", 2, 8443, ("SAE-B", "SAE-A"));
        c.config.add_peer("a", 1);
        c.config.add_source("fibre-c", 0, "a", 3, 8444, ("SAE-C", "SAE-A"));
        Self { a, b, c, _pairs: [to_b, to_c], net, dir }
    }

    /// All sites run; `a` knows `b` alone, and the two are HYBRID.
    pub(crate) fn up_without_c() -> Self {
        let mut hub = Self::new();
        hub.a.config.peers.retain(|peer| peer.name == "b");
        hub.a.config.sources.retain(|source| source.peer == "b");
        for site in [&mut hub.a, &mut hub.b, &mut hub.c] {
            site.up();
        }
        hub.a.wait_state(&["HYBRID"], HYBRID_WITHIN);
        hub.b.wait_state(&["HYBRID"], HYBRID_WITHIN);
        hub
    }
}
