//! Two sites, a wan and a KME pair, ready to be changed by a test and started.

use crate::kme::{KmePair, certificates};
use crate::process::{plait, succeed};
use crate::site::{Site, Status};
use crate::topology::{Net, inner4};
use crate::traffic::{Echo, Flow};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Both ends must be HYBRID this soon after the second has started.
pub(crate) const HYBRID_WITHIN: Duration = Duration::from_secs(10);

/// What most tests need. Fields are dropped in this order: daemons, KMEs, namespaces, files.
pub(crate) struct World {
    pub(crate) a: Site,
    pub(crate) b: Site,
    pub(crate) pair: KmePair,
    pub(crate) net: Arc<Net>,
    pub(crate) dir: TempDir,
}

impl World {
    /// Both ends HYBRID, with a rekey at this interval and a ping every 10 ms from `a` to what answers at `b`.
    pub(crate) fn carrying(rekey: &str) -> (Self, Echo, Flow) {
        let mut world = Self::new();
        world.set_policy("rekey", &format!("{rekey:?}"));
        world.up_hybrid();
        let echo = Echo::start(&world.net, "b");
        let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(10));
        (world, echo, flow)
    }

    /// Sites `a` and `b` with each other as peer and the pair `pair` as their source `fibre-1`; nothing runs yet.
    pub(crate) fn new() -> Self {
        let (net, dir) = (Arc::new(Net::new(&["a", "b"])), tempfile::tempdir().unwrap());
        let path = dir.path().to_path_buf();
        certificates(&path, "pki", &[("KME-A", 1), ("KME-B", 2)], &["SAE-A", "SAE-B"]);
        let sites = [(1, "KME-A", "SAE-A"), (2, "KME-B", "SAE-B")];
        let pair = KmePair::new(Arc::clone(&net), path.clone(), "pair", sites, 8443);
        let mut a = Site::new(Arc::clone(&net), path.clone(), "a", 1);
        let mut b = Site::new(Arc::clone(&net), path, "b", 2);
        a.config.add_peer("b", 2);
        b.config.add_peer("a", 1);
        a.config.add_source("fibre-1", 0, "b", 1, 8443, ("SAE-A", "SAE-B"));
        b.config.add_source("fibre-1", 0, "a", 2, 8443, ("SAE-B", "SAE-A"));
        Self { a, b, pair, net, dir }
    }

    /// A second KME pair, `fibre-2`, as source 1 of both sites.
    pub(crate) fn second_pair(&mut self) -> KmePair {
        let path = self.path();
        certificates(&path, "pki", &[("KME-C", 1), ("KME-D", 2)], &[]);
        let sites = [(1, "KME-C", "SAE-A"), (2, "KME-D", "SAE-B")];
        self.a.config.add_source("fibre-2", 1, "b", 1, 8444, ("SAE-A", "SAE-B"));
        self.b.config.add_source("fibre-2", 1, "a", 2, 8444, ("SAE-B", "SAE-A"));
        KmePair::new(Arc::clone(&self.net), path, "pair2", sites, 8444)
    }

    /// Folder of all files of this test.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }

    /// Gives b the public key of somebody else as that of a.
    pub(crate) fn mistake_a_for_a_stranger(&self) {
        let path = self.path();
        let stranger = path.join("stranger.key");
        succeed(plait(&path).arg("genkey").arg("--out").arg(&stranger));
        let public = succeed(plait(&path).arg("pubkey").stdin(std::fs::File::open(&stranger).unwrap()));
        std::fs::write(path.join("a.pub"), public).unwrap();
    }

    /// Sets a line of `[policy]` at both sites.
    pub(crate) fn set_policy(&mut self, key: &str, value: &str) {
        self.a.config.set_policy(key, value);
        self.b.config.set_policy(key, value);
    }

    /// Starts the KMEs and both sites.
    pub(crate) fn up(&mut self) {
        self.pair.up();
        self.a.up();
        self.b.up();
    }

    /// Starts everything and waits until both ends are HYBRID.
    pub(crate) fn up_hybrid(&mut self) -> (Status, Status) {
        self.up();
        self.both(&["HYBRID"], HYBRID_WITHIN)
    }

    /// Waits until both ends are in one of `states`.
    pub(crate) fn both(&self, states: &[&str], within: Duration) -> (Status, Status) {
        (self.a.wait_state(states, within), self.b.wait_state(states, within))
    }

    /// Both ends' status of the same epoch: asked again while a rekey changes it in between.
    pub(crate) fn same_epoch(&self) -> (Status, Status) {
        crate::process::wait_for("same check words at both ends", Duration::from_secs(5), || {
            let (a, b) = (self.a.status(), self.b.status());
            (a.words().is_some() && a.words() == b.words()).then_some((a, b))
        })
    }
}
