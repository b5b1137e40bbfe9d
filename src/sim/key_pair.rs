//! A KME pair and its quantum link, with what its two KMEs do to their callers.

use std::time::Duration;

use super::draw::Draw;
use super::plan::KeyPlan;
use crate::keys::request::{DeliveredKey, KeyRequestKind, SourceFailure};
use crate::kme::catalogue::Fault;
use crate::kme::link::LinkModel;
use crate::kme::pair::{Issue, Kme, Pair, PairSetup, Side};
use crate::types::id::SaeId;
use crate::types::policy::Reason;
use crate::types::time::Instant;

/// A client asks again for a key that the KME does not know yet, so long after (PROTOCOL 2.5: within the deadline).
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// How a KME treats its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KmeMood {
    Good,
    Unreachable,
    Refuses,
    Silent,
}

/// What comes of a call.
pub(super) enum Answer {
    /// This, so much later.
    Comes(Duration, Result<DeliveredKey, SourceFailure>),
    /// The key is not there; the client asks again.
    NotYet,
    /// Nothing until the deadline.
    Never,
}

/// A KME pair of two sites.
pub(super) struct Source {
    pub(super) pair: Pair,
    names: [SaeId; 2],
    moods: [(KmeMood, Duration); 2],
    latency: Duration,
    /// When a key was last fetched by the second site that asked for it.
    pub(super) last_fetch: Option<Duration>,
}

fn side(end: usize) -> Side {
    if end == 0 { Side::A } else { Side::B }
}

fn instant(now: Duration) -> Instant {
    Instant::ZERO + now
}

impl Source {
    pub(super) fn new(plan: &KeyPlan) -> Option<Self> {
        let names = [SaeId::new("SAE-A")?, SaeId::new("SAE-B")?];
        let kme = |id: &str, sae: &SaeId| Kme { id: id.to_owned(), saes: vec![sae.clone()] };
        let [a, b] = &names;
        let setup = PairSetup {
            kmes: [kme("KME-A", a), kme("KME-B", b)],
            model: LinkModel::Constant { key_rate: plan.rate },
            block_bits: plan.block,
            stock_start: plan.stock.0,
            stock_max: plan.stock.1,
            split: plan.split,
            dec_delay: plan.dec_delay,
        };
        let good = (KmeMood::Good, Duration::ZERO);
        let pair = Pair::new(setup, Instant::ZERO);
        Some(Self { pair, names, moods: [good; 2], latency: plan.latency, last_fetch: None })
    }

    /// From now on, until then.
    pub(super) fn set_mood(&mut self, end: usize, mood: KmeMood, until: Duration) {
        self.moods[end] = (mood, until);
    }

    /// The next keys are bad.
    pub(super) fn spoil(&mut self, fault: Fault, keys: u64) {
        self.pair.order_fault(fault, keys);
    }

    /// Everything works, and there is key enough.
    pub(super) fn heal(&mut self, now: Duration) {
        self.moods = [(KmeMood::Good, Duration::ZERO); 2];
        for fault in [Fault::WrongKey, Fault::LostKey, Fault::RepeatedKey, Fault::ConstantKey] {
            self.pair.order_fault(fault, 0);
        }
        self.pair.set_link_up(instant(now), true);
        self.pair.set_link_rate(instant(now), 1_000_000);
    }

    /// A site asks its KME.
    pub(super) fn ask(&mut self, now: Duration, end: usize, kind: &KeyRequestKind, draw: &mut Draw) -> Answer {
        let after = self.latency / 2 + draw.around(self.latency / 4);
        let (mood, until) = self.moods[end];
        let mood = if now < until { mood } else { KmeMood::Good };
        match mood {
            KmeMood::Good => self.serve(now, end, kind, draw, after),
            KmeMood::Unreachable => Answer::Comes(after, failed(Reason::Unreachable)),
            KmeMood::Refuses => Answer::Comes(after, failed(Reason::Refused)),
            KmeMood::Silent => Answer::Never,
        }
    }

    fn serve(&mut self, now: Duration, end: usize, kind: &KeyRequestKind, draw: &mut Draw, after: Duration) -> Answer {
        let (own, other) = (&self.names[end], &self.names[1 - end]);
        self.pair.advance(instant(now));
        match kind {
            KeyRequestKind::New { bits } => {
                let order = Issue { master: own, slave: other, number: 1, size_bits: u64::from(*bits) };
                let key =
                    self.pair.issue(instant(now), side(end), &order, draw).and_then(|keys| keys.into_iter().next());
                let key = key.map(|key| DeliveredKey { key_id: key.key_id, material: key.material });
                Answer::Comes(after, key.ok_or_else(|| failure(Reason::NoKeyNow)))
            }
            KeyRequestKind::ById { key_id } => {
                let ids = [key_id.as_str().to_owned()];
                let Ok(keys) = self.pair.fetch(instant(now), side(end), other, own, &ids) else {
                    return Answer::NotYet;
                };
                self.last_fetch = Some(now);
                let key =
                    keys.into_iter().next().map(|key| DeliveredKey { key_id: key.key_id, material: key.material });
                Answer::Comes(after, key.ok_or_else(|| failure(Reason::UnknownKeyId)))
            }
        }
    }
}

/// No key, for this reason.
pub(super) fn failed(reason: Reason) -> Result<DeliveredKey, SourceFailure> {
    Err(failure(reason))
}

fn failure(reason: Reason) -> SourceFailure {
    SourceFailure { reason, text: "simulated".to_owned() }
}
