//! What a seed decides before its world begins: sites, policies, and how often each fault comes (a swarm of rates).

use std::time::Duration;

use super::draw::{Draw, MILLION};
use super::kem_double::KemDouble;
use crate::crypto::kem::{Kem, default_backend};
use crate::engine::setup::PolicySetup;
use crate::types::policy::{Cipher, QkdPolicy, RatchetPolicy};

/// One second, one hour.
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Which ML-KEM the sites run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crypto {
    /// The default backend.
    Real,
    /// [`KemDouble`].
    Double,
}

impl Crypto {
    pub(super) fn kem(self) -> &'static dyn Kem {
        match self {
            Self::Real => default_backend(),
            Self::Double => &KemDouble,
        }
    }
}

/// What one end of a pair is configured with.
#[derive(Clone, Debug)]
pub struct EndPlan {
    /// Its policy.
    pub policy: PolicySetup,
    /// Its use of the ratchet.
    pub ratchet: RatchetPolicy,
    /// Whether its configuration names the other end's address.
    pub knows_endpoint: bool,
    /// Its persistent keepalive.
    pub keepalive: Option<Duration>,
}

/// Two sites and what they agree on.
#[derive(Clone, Debug)]
pub struct PairPlan {
    /// The sites, the lower number first.
    pub sites: [usize; 2],
    /// What each has configured.
    pub ends: [EndPlan; 2],
    /// KME pairs.
    pub sources: u8,
    /// All zero is none.
    pub psk: [u8; 32],
    /// The ciphers both offer.
    pub ciphers: Vec<Cipher>,
}

/// The network between all sites. Rates in millionths.
#[derive(Clone, Debug, Default)]
pub struct LinkPlan {
    /// One way.
    pub delay: Duration,
    /// On top, from nothing to this.
    pub jitter: Duration,
    /// Datagrams lost.
    pub loss: u64,
    /// Datagrams that come twice or more.
    pub duplicate: u64,
    /// Datagrams with a changed byte.
    pub corrupt: u64,
    /// Datagrams held back by up to ten seconds.
    pub straggle: u64,
}

/// A KME pair and its quantum link.
#[derive(Clone, Debug)]
pub struct KeyPlan {
    /// Bits of key a second.
    pub rate: u64,
    /// Bits of a block.
    pub block: u64,
    /// Keys in stock at the start and at most.
    pub stock: (u64, u64),
    /// A stock for each direction.
    pub split: bool,
    /// Until the other KME knows a key.
    pub dec_delay: Duration,
    /// Of an answer.
    pub latency: Duration,
}

/// The kinds of fault, each with a mean time between two of them in [`Plan::faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A site loses power, and comes back.
    Crash,
    /// All sites lose power at once.
    Blackout,
    /// A site sleeps; its clock goes on.
    Suspend,
    /// Nothing passes in one direction or both.
    Partition,
    /// Half of all datagrams are lost for a while.
    Burst,
    /// A site's address changes.
    Rebind,
    /// A KME is unreachable, refuses, or never answers.
    KmeOutage,
    /// The fibre is cut.
    QuantumCut,
    /// The fibre gives another rate.
    QuantumRate,
    /// The next keys are wrong, lost, repeated or constant.
    BadKeys,
    /// A site's disk refuses writes, or never finishes them.
    Disk,
    /// A site's wall clock steps by years.
    WallClock,
    /// An operator asks for a rekey.
    Command,
    /// Somebody sends what was seen before, changed or not, or junk.
    Attack,
    /// A site comes back with state files from long ago, or with damaged ones.
    Rollback,
}

/// Every kind, in the order the seed is asked about them.
pub const FAULT_KINDS: [FaultKind; 15] = [
    FaultKind::Crash,
    FaultKind::Blackout,
    FaultKind::Suspend,
    FaultKind::Partition,
    FaultKind::Burst,
    FaultKind::Rebind,
    FaultKind::KmeOutage,
    FaultKind::QuantumCut,
    FaultKind::QuantumRate,
    FaultKind::BadKeys,
    FaultKind::Disk,
    FaultKind::WallClock,
    FaultKind::Command,
    FaultKind::Attack,
    FaultKind::Rollback,
];

/// A whole world before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it came from.
    pub seed: u64,
    /// Two or three sites.
    pub sites: usize,
    /// Length of the safety phase.
    pub safety: Duration,
    /// ML-KEM.
    pub crypto: Crypto,
    /// Every two sites.
    pub pairs: Vec<PairPlan>,
    /// The KME pairs of each pair of sites.
    pub keys: Vec<Vec<KeyPlan>>,
    /// The network.
    pub link: LinkPlan,
    /// Kinds that occur, with the mean time between two.
    pub faults: Vec<(FaultKind, Duration)>,
    /// Between two bursts of packets in each direction of each pair, in the mean.
    pub traffic: Duration,
    /// A write takes up to this long.
    pub disk_latency: Duration,
    /// Each site's clock runs fast or slow by so many millionths.
    pub drift: Vec<i64>,
}

impl Plan {
    /// What this seed means. The same for ever, unless this file changes.
    pub fn of(seed: u64, crypto: Crypto) -> Self {
        let mut draw = Draw::new(seed, "plan");
        let sites = if draw.hits(200_000) { 3 } else { 2 };
        let faults = faults(&mut draw);
        let rolls_back = faults.iter().any(|(kind, _)| *kind == FaultKind::Rollback);
        let couples = [[0, 1], [0, 2], [1, 2]].into_iter().filter(|[_, b]| *b < sites);
        let pairs: Vec<PairPlan> = couples.map(|sites| pair(&mut draw, sites, rolls_back)).collect();
        let keys = pairs.iter().map(|pair| (0..pair.sources).map(|_| key_plan(&mut draw)).collect()).collect();
        let link = link(&mut draw);
        let traffic = Duration::from_millis(draw.scale(500, 60_000));
        let disk_latency = Duration::from_millis(draw.scale(1, 200));
        let drift = (0..sites).map(|_| draw.below(401) as i64 - 200).collect();
        let safety = HOUR * u32::try_from(draw.scale(1, 24)).unwrap_or(1);
        Self { seed, sites, safety, crypto, pairs, keys, link, faults, traffic, disk_latency, drift }
    }
}

/// Half of the kinds, each at a rate of its own.
fn faults(draw: &mut Draw) -> Vec<(FaultKind, Duration)> {
    let mut chosen = Vec::new();
    for kind in FAULT_KINDS {
        let (often, seldom) = match kind {
            FaultKind::Attack | FaultKind::Command => (5, 3600),
            FaultKind::Burst | FaultKind::Partition => (60, 4 * 3600),
            _ => (300, 8 * 3600),
        };
        let mean = Duration::from_secs(draw.scale(often, seldom));
        if draw.hits(MILLION / 2) {
            chosen.push((kind, mean));
        }
    }
    chosen
}

fn pair(draw: &mut Draw, sites: [usize; 2], rolls_back: bool) -> PairPlan {
    let sources = draw.pick(&[1, 1, 1, 2, 3]);
    let policy = draw.pick(&[QkdPolicy::Required, QkdPolicy::Required, QkdPolicy::Preferred, QkdPolicy::Off]);
    let mut ends = [end(draw, policy, sources, rolls_back), end(draw, policy, sources, rolls_back)];
    if draw.hits(MILLION / 4) {
        let other = draw.pick(&[QkdPolicy::Required, QkdPolicy::Preferred]);
        ends[1] = end(draw, other, sources, rolls_back);
    }
    // Off and require never agree, as they should.
    if ends.iter().any(|end| end.ratchet == RatchetPolicy::Require) {
        let off = ends.iter_mut().filter(|end| end.ratchet == RatchetPolicy::Off);
        off.for_each(|end| end.ratchet = RatchetPolicy::Prefer);
    }
    if draw.hits(MILLION / 3) {
        ends[draw.below(2) as usize].knows_endpoint = false;
    }
    let mut psk = [0; 32];
    if draw.hits(MILLION / 4) {
        crate::types::random::Entropy::fill(draw, &mut psk);
    }
    let ciphers =
        draw.pick(&[[Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm], [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305]]);
    PairPlan { sites, ends, sources, psk, ciphers: ciphers.to_vec() }
}

fn end(draw: &mut Draw, qkd: QkdPolicy, sources: u8, rolls_back: bool) -> EndPlan {
    let rekey = Duration::from_secs(draw.pick(&[5, 10, 20, 60, 60, 60, 300, 3600]));
    let full = Duration::from_secs(draw.pick(&[60, 600, 600, 3600, 24 * 3600])).max(rekey);
    let hold_last = SECOND * draw.pick(&[0, 10, 60, 600, 3600, 24 * 3600]);
    let degrade_for = draw.pick(&[None, None, Some(60), Some(3600)]).map(Duration::from_secs);
    let min_sources = if qkd == QkdPolicy::Off { 0 } else { 1 + draw.below(u64::from(sources)) as u8 };
    let policy = PolicySetup { qkd, min_sources, hold_last: Some(hold_last), degrade_for, rekey, full };
    // A required ratchet stops for good when a file is lost or old, as it should: no liveness to ask for then.
    let ratchets = [RatchetPolicy::Prefer, RatchetPolicy::Off, RatchetPolicy::Require];
    let ratchet = draw.pick(if rolls_back { &ratchets[..2] } else { &ratchets });
    let keepalive = draw.pick(&[None, Some(10), Some(25)]).map(Duration::from_secs);
    EndPlan { policy, ratchet, knows_endpoint: true, keepalive }
}

fn key_plan(draw: &mut Draw) -> KeyPlan {
    let most = draw.scale(4, 2000);
    KeyPlan {
        rate: draw.scale(3, 20_000),
        block: draw.scale(256, 100_000),
        stock: (draw.below(most), most),
        split: draw.hits(MILLION / 4),
        dec_delay: Duration::from_millis(draw.pick(&[0, 0, 100, 1000, 3000])),
        latency: Duration::from_millis(draw.scale(1, 2000)),
    }
}

fn link(draw: &mut Draw) -> LinkPlan {
    let mut sometimes = |most| if draw.hits(MILLION / 2) { draw.below(most) } else { 0 };
    let loss = sometimes(600_000);
    let duplicate = sometimes(200_000);
    let corrupt = sometimes(50_000);
    let straggle = sometimes(20_000);
    let delay = Duration::from_micros(draw.scale(100, 300_000));
    let jitter = if draw.hits(MILLION / 2) { draw.span(Duration::ZERO, delay * 2) } else { Duration::ZERO };
    LinkPlan { delay, jitter, loss, duplicate, corrupt, straggle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_plan_and_seeds_reach_every_kind() {
        let text = |seed| format!("{:?}", Plan::of(seed, Crypto::Double));
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
        let plans: Vec<Plan> = (0..200).map(|seed| Plan::of(seed, Crypto::Double)).collect();
        for kind in FAULT_KINDS {
            let with = plans.iter().filter(|plan| plan.faults.iter().any(|(known, _)| *known == kind)).count();
            assert!((50..150).contains(&with), "{kind:?} in {with} of 200");
        }
        assert!(plans.iter().any(|plan| plan.sites == 3 && plan.pairs.len() == 3));
        assert!(plans.iter().any(|plan| plan.link.loss > 500_000));
        for pair in plans.iter().flat_map(|plan| &plan.pairs) {
            assert!(pair.ends.iter().any(|end| end.knows_endpoint));
            assert!(pair.ends.iter().all(|end| end.policy.full >= end.policy.rekey));
        }
    }
}
