//! One peer: its keys, its exchanges in both roles, its policy clock. Behaviour is in the files named for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::answer::Pending;
use super::attempt::Attempt;
use super::chain::{Chain, EpochFacts};
use super::desk::Desk;
use super::output::{Alarm, EventKind, Now, State, StoreId};
use super::overriding::Override;
use super::rekey::Rekey;
use super::rekey_answer::RekeyAnswer;
use super::rules::KeyRules;
use super::setup::PeerSetup;
use super::staging::Staging;
use crate::dataplane::snapshot::Endpoint;
use crate::dataplane::traffic::Traffic;
use crate::handshake::terms::{PeerKeys, RatchetId};
use crate::keys::clock::PolicyClock;
use crate::keys::ratchet::RatchetStore;
use crate::session::keyring::Keyring;
use crate::types::id::PeerId;
use crate::types::limits::ALARM_INTERVAL;
use crate::types::time::Instant;

/// One peer of the interface.
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) setup: PeerSetup,
    /// This end's fingerprint is the greater: it wins simultaneous starts (PROTOCOL 2.6).
    pub(super) is_primary: bool,
    pub(super) keys: PeerState,
    pub(super) exchanges: Exchanges,
    pub(super) link: Link,
    pub(super) pace: Pace,
    pub(super) tally: Tally,
}

/// What outlives an exchange.
pub(super) struct PeerState {
    pub(super) rules: KeyRules,
    pub(super) ratchet: RatchetStore,
    /// Writes of it that are under way, with the entry that each brings to the disk.
    pub(super) ratchet_writes: Vec<(StoreId, RatchetId)>,
    pub(super) clock: PolicyClock,
    /// The policy is weaker for a time.
    pub(super) over: Option<Override>,
    pub(super) ring: Keyring<EpochFacts>,
    /// Oldest first; the last confirmed one rekeys.
    pub(super) chains: Vec<Chain>,
}

/// What is under way, at most one of each kind but for pending answers.
#[derive(Default)]
pub(super) struct Exchanges {
    pub(super) attempt: Option<Attempt>,
    pub(super) answers: Vec<Pending>,
    pub(super) rekey: Option<Rekey>,
    pub(super) rekey_answer: Option<RekeyAnswer>,
}

/// The way to the peer.
pub(super) struct Link {
    /// The last authenticated endpoint, or the configured one.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) staged: Staging,
    /// Datagrams with a time to leave: CLOSE three times (PROTOCOL 2.8a).
    pub(super) leaving: VecDeque<(Instant, Endpoint, Vec<u8>)>,
    /// Empty packets under an epoch until the other end answers (PROTOCOL 2.9).
    pub(super) confirming: Option<Confirming>,
    /// The control side's last record.
    pub(super) last_sent: Option<Instant>,
    /// Anything authentic of a handshake.
    pub(super) last_authentic: Option<Instant>,
}

/// The confirming packets of an epoch.
pub(super) struct Confirming {
    pub(super) tag: crate::session::epoch::EpochTag,
    pub(super) sent: u32,
    pub(super) began: Instant,
    pub(super) next: Instant,
}

/// When the next exchange may start (PROTOCOL 2.6, 2.8a).
pub(super) struct Pace {
    /// Since when a session has been missed; `None` while there is one.
    pub(super) missed_since: Option<Instant>,
    /// Since when a packet of the other end has had no answer, not even an empty one.
    pub(super) owes_since: Option<Instant>,
    /// The first attempt after this end's start goes at once.
    pub(super) first_attempt: bool,
    /// Attempts in a row that failed after R1.
    pub(super) failed_attempts: u32,
    /// The next I0 not before.
    pub(super) not_before: Instant,
    /// The last I1 answered or I2 accepted: no own attempt for a while after it.
    pub(super) answered_at: Option<Instant>,
    /// Since when attempts have found nobody.
    pub(super) trying_since: Option<Instant>,
    /// A full handshake is due, session or not.
    pub(super) full_due: Option<Instant>,
    /// A fast rekey is due, whatever its interval says.
    pub(super) rekey_due: Option<Instant>,
    /// The next fast rekey not before, after a refusal.
    pub(super) rekey_not_before: Instant,
    /// The next PLEASE_REKEY.
    pub(super) please_rekey: Option<Instant>,
    /// The next look at what the pumps counted.
    pub(super) next_pulse: Instant,
    /// Configured and last endpoint take turns.
    pub(super) use_configured: bool,
    /// Of fast rekeys: the configured one, or a shorter one that the keys bear.
    pub(super) interval: std::time::Duration,
    /// New sessions and epochs may be made.
    pub(super) admits: bool,
}

/// Counts and dates for `status`.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) full: u64,
    pub(super) fast: u64,
    pub(super) failed: u64,
    pub(super) failed_fast: u64,
    pub(super) confirmed_epochs: u64,
    pub(super) last_full: Option<crate::types::time::UnixTime>,
    pub(super) shown: Option<State>,
    pub(super) peer_policy: Option<crate::types::policy::QkdPolicy>,
    pub(super) refusals: std::collections::BTreeMap<&'static str, u64>,
    pub(super) course: super::course::Course,
    last_alarm: Option<Instant>,
}

impl Peer {
    /// The peer as the handshake needs it.
    pub(super) fn peer_keys(&self) -> PeerKeys<'_> {
        PeerKeys { public: &self.setup.public, psk: &self.setup.psk }
    }

    /// The configured endpoint.
    pub(super) fn configured(&self) -> Option<Endpoint> {
        self.setup.endpoint.map(|to: SocketAddr| Endpoint { to, from: None })
    }

    /// The newest confirmed chain: the one that rekeys.
    pub(super) fn chain(&self) -> Option<&Chain> {
        self.keys.chains.iter().rfind(|chain| chain.dates.confirmed)
    }

    /// The same, to change it.
    pub(super) fn chain_mut(&mut self) -> Option<&mut Chain> {
        self.keys.chains.iter_mut().rfind(|chain| chain.dates.confirmed)
    }

    /// Whether there is an epoch to seal under.
    pub(super) fn has_session(&self) -> bool {
        self.keys.ring.sealing().is_some()
    }

    /// Counts a refused datagram.
    pub(super) fn count(&mut self, refusal: &'static str) {
        *self.tally.refusals.entry(refusal).or_default() += 1;
    }

    /// An exchange came to nothing.
    pub(super) fn note_failed_exchange(&mut self, full: bool, desk: &mut Desk) {
        self.tally.failed += 1;
        self.tally.failed_fast += u64::from(!full);
        desk.tell(self.id, EventKind::ExchangeFailed { full });
    }

    /// Raises an alarm, at most one in a while of the kind that strangers can cause.
    pub(super) fn alarm(&mut self, now: Now, alarm: Alarm, desk: &mut Desk) {
        let from_strangers = matches!(alarm, Alarm::PskOrIdentity);
        if from_strangers && self.tally.last_alarm.is_some_and(|last| now.at.since(last) < ALARM_INTERVAL) {
            return;
        }
        if from_strangers {
            self.tally.last_alarm = Some(now.at);
        }
        desk.tell(self.id, EventKind::Alarm(alarm));
    }

    /// The next moment at which [`on_time`](Self::on_time) has something to do.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let candidates = [
            self.link.leaving.front().map(|(at, _, _)| *at),
            self.next_policy_deadline(),
            self.keys.ring.next_end(),
            self.next_chain_end(),
            self.next_attempt_deadline(now),
            self.next_answer_deadline(now),
            self.next_rekey_deadline(now),
            self.next_rekey_answer_deadline(now),
            self.link.confirming.as_ref().map(|confirming| confirming.next),
            self.pace.please_rekey,
            Some(self.pace.next_pulse),
        ];
        candidates.into_iter().flatten().min()
    }

    /// Does whatever is due, the fail-closed things first.
    pub(super) fn on_time(&mut self, now: Now, desk: &mut Desk) {
        self.send_leaving(now, desk);
        self.on_policy_time(now, desk);
        self.expire_epochs(now, desk);
        self.on_attempt_time(now, desk);
        self.on_answer_time(now, desk);
        self.on_rekey_time(now, desk);
        self.on_rekey_answer_time(now, desk);
        self.send_confirming(now, desk);
        self.send_please_rekey(now, desk);
        self.on_pulse(now, desk);
    }

    /// What may not wait for its timer: the deadline, and the ends of epochs and sessions.
    pub(super) fn fail_closed(&mut self, now: Now, desk: &mut Desk) {
        self.expire_override(now, desk);
        self.block_if_run_out(now, desk);
        self.expire_epochs(now, desk);
    }

    fn send_leaving(&mut self, now: Now, desk: &mut Desk) {
        while self.link.leaving.front().is_some_and(|(at, _, _)| *at <= now.at) {
            if let Some((_, to, bytes)) = self.link.leaving.pop_front() {
                desk.transmit(to, bytes);
            }
        }
    }
}
