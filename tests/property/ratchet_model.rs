//! Two ends, their ratchet stores, and a network that loses, delays, reorders and repeats (PROTOCOL 2.6, 2.7): the model that is searched.
//!
//! The stores are the real ones. A world is a plain value of bit sets, so that millions of them can be looked at.

use plait::keys::ratchet::{RatchetEntry, RatchetStore};
use plait::types::secret::Secret;
use plait::types::terms::Role;
use plait::types::time::UnixTime;

/// Rules of the protocol that can be left out, to see that the search would notice.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// 2.7 (a): the entry that a handshake was seeded with becomes confirmed.
    pub(crate) seeded_confirms: bool,
    /// 2.6 (a): accepting an I2 drops all other pending responder states.
    pub(crate) accepting_drops_answers: bool,
    /// 2.6 (b): an end that accepts an I2 abandons its own attempt.
    pub(crate) accepting_ends_attempt: bool,
    /// 2.6 (c): the primary, having sent I2, drops the peer's I2, or abandons its attempt for it.
    pub(crate) primary_goes_first: bool,
    /// 2.6 (d): an attempt that completes drops all pending responder states.
    pub(crate) completing_drops_answers: bool,
    /// 2.7: an unconfirmed session whose entry has been displaced is dropped with it.
    pub(crate) displaced_sessions_go: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        seeded_confirms: true,
        accepting_drops_answers: true,
        accepting_ends_attempt: true,
        primary_goes_first: true,
        completing_drops_answers: true,
        displaced_sessions_go: true,
    };
}

/// Attempts of both ends together that a world has room for.
pub(crate) const ATTEMPTS_MAX: usize = 6;
/// Answers that one I1 gets: the first, and one to a replay after the pending state is gone.
const ANSWERS_MAX: usize = 2;
/// A run is one answer to one attempt: `attempt * ANSWERS_MAX + answer`.
const RUNS_MAX: usize = ATTEMPTS_MAX * ANSWERS_MAX;
/// The entry that both ends begin with; the entry of a run is its number.
const FIRST: u8 = RUNS_MAX as u8;
/// No entry, no attempt, no run.
const NONE: u8 = u8::MAX;
/// The end with the greater fingerprint.
const PRIMARY: usize = 0;

/// A set of runs or attempts.
type Set = u16;

fn has(set: Set, number: u8) -> bool {
    set >> number & 1 == 1
}

fn members(set: Set) -> impl Iterator<Item = u8> {
    (0..RUNS_MAX as u8).filter(move |&number| has(set, number))
}

fn attempt_of(run: u8) -> usize {
    usize::from(run) / ANSWERS_MAX
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct End {
    confirmed: u8,
    /// In the order stored.
    unconfirmed: [u8; 2],
    /// The own attempt, and after R1 the run it belongs to.
    attempt: u8,
    run: u8,
    /// Responder states that wait for I2, and those that have accepted it and wait for their keys.
    pending: Set,
    accepted: Set,
    /// Sessions that wait for their first packet.
    sessions: Set,
}

/// Both ends and every message ever sent: each may be delivered at any time, any number of times, or never.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    ends: [End; 2],
    /// By attempt: which end began it, what it offered, how many answers it got.
    began: [u8; ATTEMPTS_MAX],
    offers: [[u8; 3]; ATTEMPTS_MAX],
    answers: [u8; ATTEMPTS_MAX],
    /// By run: the entry it was seeded with.
    seeds: [u8; RUNS_MAX],
    sent: [Set; KINDS],
    attempts: u8,
    restarts: u8,
}

/// Kinds of message; `I1` is by attempt, the others by run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    I1,
    R1,
    I2,
    R2,
    /// R2 that refuses.
    Refusal,
    /// Packets of the session, from its initiator and from its responder.
    DataI,
    DataR,
}

const KINDS: usize = 7;
const ALL_KINDS: [Kind; KINDS] = [Kind::I1, Kind::R1, Kind::I2, Kind::R2, Kind::Refusal, Kind::DataI, Kind::DataR];

/// One thing that can happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Start(usize),
    GiveUp(usize),
    /// Only the store survives.
    Restart(usize),
    /// The responder's keys have come, or it refuses.
    Answer {
        run: u8,
        refuse: bool,
    },
    Deliver(Kind, u8),
    /// I2 at a primary whose own attempt has waited 6 s for R2.
    DeliverLate(u8),
    /// R2 whose `ok` does not open.
    Mismatch(u8),
}

impl World {
    pub(crate) fn new() -> Self {
        let end = End {
            confirmed: FIRST,
            unconfirmed: [NONE; 2],
            attempt: NONE,
            run: NONE,
            pending: 0,
            accepted: 0,
            sessions: 0,
        };
        Self {
            ends: [end; 2],
            began: [NONE; ATTEMPTS_MAX],
            offers: [[NONE; 3]; ATTEMPTS_MAX],
            answers: [0; ATTEMPTS_MAX],
            seeds: [NONE; RUNS_MAX],
            sent: [0; KINDS],
            attempts: 0,
            restarts: 0,
        }
    }

    /// Whether some entry is at both ends: without one, `require` stops and `prefer` raises RATCHET_LOST.
    pub(crate) fn has_common_entry(&self) -> bool {
        let theirs = self.ends[1].entries();
        self.ends[0].entries().into_iter().any(|entry| entry != NONE && theirs.contains(&entry))
    }

    /// Everything that can happen next, with at most so many attempts and restarts in all.
    pub(crate) fn steps(&self, attempts: u8, restarts: u8, out: &mut Vec<Step>) {
        out.clear();
        for (number, end) in self.ends.iter().enumerate() {
            match end.attempt {
                NONE if self.attempts < attempts => out.push(Step::Start(number)),
                NONE => {}
                _ => out.push(Step::GiveUp(number)),
            }
            if self.restarts < restarts {
                out.push(Step::Restart(number));
            }
            for run in members(end.accepted) {
                out.extend([Step::Answer { run, refuse: false }, Step::Answer { run, refuse: true }]);
            }
        }
        for kind in ALL_KINDS {
            for number in members(self.sent[kind as usize]) {
                out.push(Step::Deliver(kind, number));
                match kind {
                    Kind::I2 => out.push(Step::DeliverLate(number)),
                    Kind::R2 => out.push(Step::Mismatch(number)),
                    Kind::I1 | Kind::R1 | Kind::Refusal | Kind::DataI | Kind::DataR => {}
                }
            }
        }
    }

    /// The world after the step; the same world if nothing comes of it.
    pub(crate) fn after(&self, step: Step, rules: Rules) -> Self {
        let mut next = *self;
        match step {
            Step::Start(end) => next.start(end),
            Step::GiveUp(end) => next.ends[end].end_attempt(),
            Step::Restart(end) => {
                let End { confirmed, unconfirmed, .. } = next.ends[end];
                next.ends[end] = End { confirmed, unconfirmed, ..Self::new().ends[0] };
                next.restarts += 1;
            }
            Step::Answer { run, refuse } => next.answer(run, refuse, rules),
            Step::Deliver(Kind::I1, attempt) => next.on_i1(usize::from(attempt)),
            Step::Deliver(Kind::R1, run) => next.on_r1(run),
            Step::Deliver(Kind::I2, run) => next.on_i2(run, false, rules),
            Step::DeliverLate(run) => next.on_i2(run, true, rules),
            Step::Deliver(Kind::R2, run) => next.on_r2(run, true, rules),
            Step::Mismatch(run) | Step::Deliver(Kind::Refusal, run) => next.on_r2(run, false, rules),
            Step::Deliver(Kind::DataI, run) => next.on_data(self.responder(run), run, Kind::DataR, rules),
            Step::Deliver(Kind::DataR, run) => next.on_data(self.initiator(run), run, Kind::DataI, rules),
        }
        next
    }

    fn initiator(&self, run: u8) -> usize {
        usize::from(self.began[attempt_of(run)])
    }

    fn responder(&self, run: u8) -> usize {
        1 - self.initiator(run)
    }

    fn send(&mut self, kind: Kind, number: u8) {
        self.sent[kind as usize] |= 1 << number;
    }

    fn start(&mut self, end: usize) {
        let attempt = self.attempts;
        self.attempts += 1;
        self.began[usize::from(attempt)] = end as u8;
        let store = self.ends[end].store();
        let offers = self.offers[usize::from(attempt)].iter_mut().zip(store.newest_first());
        offers.for_each(|(out, entry)| *out = entry.id[0]);
        self.ends[end].attempt = attempt;
        self.send(Kind::I1, attempt);
    }

    fn on_i1(&mut self, attempt: usize) {
        let end = &mut self.ends[1 - usize::from(self.began[attempt])];
        let answers = usize::from(self.answers[attempt]);
        let has_state = members(end.pending | end.accepted).any(|run| attempt_of(run) == attempt);
        if has_state || answers == ANSWERS_MAX {
            return;
        }
        // Under `require` an I1 without a common entry makes no session.
        let Some((seed, _)) = end.store().select(&self.offers[attempt].map(|id| [id; 8])) else { return };
        let run = attempt * ANSWERS_MAX + answers;
        end.pending |= 1 << run;
        self.seeds[run] = seed[0];
        self.answers[attempt] += 1;
        self.send(Kind::R1, run as u8);
    }

    fn on_r1(&mut self, run: u8) {
        let end = &mut self.ends[self.initiator(run)];
        if usize::from(end.attempt) == attempt_of(run) && end.run == NONE {
            end.run = run;
            self.send(Kind::I2, run);
        }
    }

    fn on_i2(&mut self, run: u8, is_late: bool, rules: Rules) {
        let (to, seed) = (self.responder(run), self.seeds[usize::from(run)]);
        let end = &mut self.ends[to];
        let goes_first = rules.primary_goes_first && to == PRIMARY && end.run != NONE;
        if goes_first != is_late || !has(end.pending, run) {
            return;
        }
        end.pending &= !(1 << run);
        end.accepted |= 1 << run;
        if rules.accepting_drops_answers {
            (end.pending, end.accepted) = (0, 1 << run);
        }
        if rules.accepting_ends_attempt || is_late {
            end.end_attempt();
        }
        end.seeded(seed, rules);
    }

    fn answer(&mut self, run: u8, refuse: bool, rules: Rules) {
        let end = &mut self.ends[self.responder(run)];
        end.accepted &= !(1 << run);
        if refuse {
            return self.send(Kind::Refusal, run);
        }
        end.keep(run, rules);
        self.send(Kind::R2, run);
    }

    fn on_r2(&mut self, run: u8, ok: bool, rules: Rules) {
        let seed = self.seeds[usize::from(run)];
        let end = &mut self.ends[self.initiator(run)];
        if end.run != run {
            return;
        }
        end.end_attempt();
        end.seeded(seed, rules);
        if ok {
            if rules.completing_drops_answers {
                (end.pending, end.accepted) = (0, 0);
            }
            end.keep(run, rules);
            self.send(Kind::DataI, run);
        }
    }

    fn on_data(&mut self, to: usize, run: u8, reply: Kind, rules: Rules) {
        let end = &mut self.ends[to];
        if has(end.sessions, run) {
            end.sessions &= !(1 << run);
            end.change(rules, |store| store.confirm([run; 8]));
            self.send(reply, run);
        }
    }
}

impl End {
    fn entries(&self) -> [u8; 3] {
        [self.confirmed, self.unconfirmed[0], self.unconfirmed[1]]
    }

    fn end_attempt(&mut self) {
        (self.attempt, self.run) = (NONE, NONE);
    }

    /// The real store in this state.
    fn store(&self) -> RatchetStore {
        let mut store = RatchetStore::absent();
        for id in self.entries().into_iter().filter(|&id| id != NONE) {
            store.store(entry(id));
            if self.confirmed == id {
                store.confirm([id; 8]);
            }
        }
        store
    }

    /// The real store does the work; what it says is displaced loses its session.
    fn change(&mut self, rules: Rules, change: impl FnOnce(&mut RatchetStore) -> Vec<[u8; 8]>) {
        let mut store = self.store();
        let displaced = change(&mut store);
        let confirmed = store.confirmed().map_or(NONE, |id| id[0]);
        let mut unconfirmed: Vec<u8> = store.newest_first().map(|entry| entry.id[0]).collect();
        unconfirmed.retain(|&id| id != confirmed);
        unconfirmed.reverse();
        unconfirmed.resize(2, NONE);
        (self.confirmed, self.unconfirmed) = (confirmed, [unconfirmed[0], unconfirmed[1]]);
        if rules.displaced_sessions_go {
            displaced.into_iter().filter(|id| id[0] != FIRST).for_each(|id| self.sessions &= !(1 << id[0]));
        }
    }

    fn seeded(&mut self, seed: u8, rules: Rules) {
        if rules.seeded_confirms {
            self.change(rules, |store| store.seeded_with([seed; 8]));
        }
    }

    fn keep(&mut self, run: u8, rules: Rules) {
        self.change(rules, |store| store.store(entry(run)));
        self.sessions |= 1 << run;
    }
}

fn entry(id: u8) -> RatchetEntry {
    RatchetEntry { id: [id; 8], rs: Secret::take(&mut [id; 32]), when: UnixTime(0), role: Role::Initiator }
}
