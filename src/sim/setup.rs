//! From a plan to the engine of a site, at its first start and at every later one.

use super::draw::Draw;
use super::host::Host;
use super::plan::{PairPlan, Plan};
use crate::crypto::aead::AeadBackend;
use crate::crypto::entropy::Hedge;
use crate::engine::Engine;
use crate::engine::output::StateFile;
use crate::engine::setup::{EngineSetup, PeerSetup, Restored};
use crate::identity::{Identity, PublicIdentity};
use crate::types::id::SourceId;
use crate::types::policy::Suite;
use crate::types::prefix::Prefix;
use crate::types::random::Entropy;
use crate::types::secret::{Secret, SecretBytes};

/// What people exchanged beforehand: the secrets of all sites.
pub(super) struct Identities {
    seed: u64,
    publics: Vec<(Vec<u8>, [u8; 32])>,
}

fn secret(seed: u64, site: usize) -> Secret<96> {
    Secret::filled(|out| Draw::new(seed, &format!("identity {site}")).fill(out))
}

impl Identities {
    pub(super) fn new(plan: &Plan) -> Self {
        let own = |site| own(plan, site).map(|me| (me.public().ek().to_vec(), *me.public().s()));
        Self { seed: plan.seed, publics: (0..plan.sites).filter_map(own).collect() }
    }

    fn public(&self, plan: &Plan, site: usize) -> Option<PublicIdentity> {
        let (ek, s) = self.publics.get(site)?;
        PublicIdentity::new(plan.crypto.kem(), Suite::MlKem1024, *s, ek.clone()).ok()
    }
}

fn own(plan: &Plan, site: usize) -> Option<Identity> {
    Identity::from_secret(plan.crypto.kem(), Suite::MlKem1024, secret(plan.seed, site)).ok()
}

/// The pairs that a site belongs to, in the order of its peers, each with its place in the plan and this site's end of it.
pub(super) fn pairs_of(plan: &Plan, site: usize) -> impl Iterator<Item = (usize, usize, &PairPlan)> {
    plan.pairs
        .iter()
        .enumerate()
        .filter_map(move |(at, pair)| Some((at, pair.sites.iter().position(|s| *s == site)?, pair)))
}

/// An engine with what is on the site's disk.
pub(super) fn engine(
    plan: &Plan,
    known: &Identities,
    hosts: &[Host],
    site: usize,
    now: std::time::Duration,
) -> Option<Engine> {
    let host = hosts.get(site)?;
    let mut peers = Vec::new();
    let mut restored = Vec::new();
    for (number, (_, end, pair)) in pairs_of(plan, site).enumerate() {
        let other = pair.sites[1 - end];
        let file = |file: StateFile| host.disk.read((number as u16, file)).map(SecretBytes::new);
        restored.push(Restored {
            ratchet: file(StateFile::Ratchet),
            clock: file(StateFile::Clock),
            budget: file(StateFile::Budget),
            seen: file(StateFile::Seen),
        });
        let config = &pair.ends[end];
        peers.push(PeerSetup {
            name: format!("site{other}"),
            public: known.public(plan, other)?,
            psk: Secret::take(&mut pair.psk.clone()),
            endpoint: config.knows_endpoint.then(|| hosts[other].home),
            allowed_ips: vec![Prefix::new([10, 99, other as u8, 0].into(), 24)?],
            policy: config.policy,
            sources: (0..pair.sources)
                .filter_map(SourceId::new)
                .map(|id| (id, format!("fibre-{}", id.number())))
                .collect(),
            ciphers: pair.ciphers.clone(),
            features: 0,
            keepalive: config.keepalive,
            ratchet: config.ratchet,
            pin_endpoint: false,
            inner_mtu: 1420,
        });
    }
    let os = Box::new(Draw::new(known.seed, &format!("entropy of {site}, life {}", host.life)));
    let rng = Box::new(Hedge::new(secret(plan.seed, site), os));
    let setup = EngineSetup { me: own(plan, site)?, peers, restored, rng, aead: AeadBackend::AwsLc };
    Some(Engine::new(setup, host.now(now)))
}
