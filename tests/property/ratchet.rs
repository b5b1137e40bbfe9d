//! Two ratchet stores always have a common entry, whatever is lost, delayed, repeated, and whoever starts (PROTOCOL 2.7);
//! and one store does what the rules say, over restarts too.

use std::collections::{HashMap, VecDeque};

use plait::keys::ratchet::{RatchetEntry, RatchetStore};
use plait::keys::state_file::FileState;
use plait::types::policy::RatchetPolicy;
use plait::types::secret::Secret;
use plait::types::terms::Role;
use plait::types::time::UnixTime;
use proptest::prelude::*;

use crate::ratchet_model::{ATTEMPTS_MAX, Rules, Step, World};

/// Breadth first over every world with so many attempts and restarts. Gives how many worlds there are, or the steps
/// that lead to one without a common entry.
fn search(rules: Rules, attempts: u8, restarts: u8) -> Result<usize, Vec<Step>> {
    let mut came_from: HashMap<World, Option<(World, Step)>> = HashMap::from([(World::new(), None)]);
    let mut queue = VecDeque::from([World::new()]);
    let mut steps = Vec::new();
    while let Some(world) = queue.pop_front() {
        world.steps(attempts, restarts, &mut steps);
        for &step in &steps {
            let next = world.after(step, rules);
            if came_from.contains_key(&next) {
                continue;
            }
            came_from.insert(next, Some((world, step)));
            if !next.has_common_entry() {
                return Err(path_to(next, &came_from));
            }
            queue.push_back(next);
        }
    }
    Ok(came_from.len())
}

fn path_to(end: World, came_from: &HashMap<World, Option<(World, Step)>>) -> Vec<Step> {
    let mut path = Vec::new();
    let mut at = end;
    while let Some((before, step)) = came_from[&at] {
        path.push(step);
        at = before;
    }
    path.reverse();
    path
}

#[test]
fn no_state_of_three_attempts_is_without_a_common_entry() {
    let worlds = search(Rules::ALL, 3, 0).unwrap_or_else(|path| panic!("lost after {path:#?}"));
    assert!(worlds > 100_000, "only {worlds} worlds: the model does not move");
}

#[test]
fn no_state_of_two_attempts_and_two_restarts_is_without_a_common_entry() {
    let worlds = search(Rules::ALL, 2, 2).unwrap_or_else(|path| panic!("lost after {path:#?}"));
    assert!(worlds > 20_000, "only {worlds} worlds: the model does not move");
}

#[test]
fn the_search_notices_a_missing_rule() {
    let missing = [
        ("confirming the seed", Rules { seeded_confirms: false, ..Rules::ALL }),
        ("2.6 (b)", Rules { accepting_ends_attempt: false, ..Rules::ALL }),
        ("2.6 (d)", Rules { completing_drops_answers: false, ..Rules::ALL }),
    ];
    for (rule, rules) in missing {
        assert!(search(rules, 3, 0).is_err(), "without {rule} nothing was found");
    }
}

/// One random run with as many attempts as the model has room for: deeper than a search reaches.
fn walk(rules: Rules, choices: &[u32]) -> Result<(), Vec<Step>> {
    let (mut world, mut path, mut steps) = (World::new(), Vec::new(), Vec::new());
    for &choice in choices {
        world.steps(ATTEMPTS_MAX as u8, 1, &mut steps);
        let moves = steps.iter().filter(|&&step| world.after(step, rules) != world);
        // Attempts are given up and ends restarted rarely, so that sessions are made at all.
        let weight = |step: &Step| match step {
            Step::GiveUp(_) | Step::Restart(_) | Step::Mismatch(_) | Step::Answer { refuse: true, .. } => 1,
            Step::Start(_) | Step::Answer { .. } | Step::Deliver(..) | Step::DeliverLate(_) => 6,
        };
        let weighted: Vec<Step> = moves.flat_map(|step| std::iter::repeat_n(*step, weight(step))).collect();
        let Some(&step) = weighted.get(choice as usize % weighted.len().max(1)) else { break };
        path.push(step);
        world = world.after(step, rules);
        if !world.has_common_entry() {
            return Err(path);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_long_run_loses_the_common_entry(choices in prop::collection::vec(any::<u32>(), 60..120)) {
        prop_assert!(walk(Rules::ALL, &choices).is_ok(), "{:#?}", walk(Rules::ALL, &choices).err());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Store(u8),
    Confirm(u8),
    Seeded(u8),
    Reload,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0u8..12).prop_map(Op::Store),
        2 => (0u8..12).prop_map(Op::Confirm),
        1 => (0u8..12).prop_map(Op::Seeded),
        1 => Just(Op::Reload),
    ];
    prop::collection::vec(op, 1..40)
}

fn entry(id: u8) -> RatchetEntry {
    let role = if id.is_multiple_of(2) { Role::Initiator } else { Role::Responder };
    RatchetEntry { id: [id; 8], rs: Secret::take(&mut [id; 32]), when: UnixTime(u64::from(id)), role }
}

/// The rules of PROTOCOL 2.7 said in the plainest way: one list in the order stored, and which of it is confirmed.
#[derive(Default)]
struct Plain {
    stored: Vec<u8>,
    confirmed: Option<u8>,
    ever_confirmed: bool,
}

impl Plain {
    fn store(&mut self, id: u8) {
        if self.stored.contains(&id) {
            return;
        }
        self.stored.push(id);
        while self.stored.iter().filter(|&&id| Some(id) != self.confirmed).count() > 2 {
            let oldest = self.stored.iter().position(|&id| Some(id) != self.confirmed).unwrap();
            self.stored.remove(oldest);
        }
    }

    fn confirm(&mut self, id: u8) {
        if let Some(at) = self.stored.iter().position(|&stored| stored == id) {
            self.stored.drain(..at);
            self.confirmed = Some(id);
            self.ever_confirmed = true;
        }
    }
}

proptest! {
    #[test]
    fn a_store_does_what_the_rules_say_over_restarts_too(ops in ops()) {
        let (mut store, mut plain) = (RatchetStore::absent(), Plain::default());
        for op in ops {
            let before: Vec<u8> = store.newest_first().map(|entry| entry.id[0]).collect();
            let confirmed_before = store.confirmed().map(|id| id[0]);
            let displaced = match op {
                Op::Store(id) => { plain.store(id); store.store(entry(id)) }
                Op::Confirm(id) => { plain.confirm(id); store.confirm([id; 8]) }
                Op::Seeded(id) => { plain.confirm(id); store.seeded_with([id; 8]) }
                Op::Reload => { store = RatchetStore::from_file(Some(store.to_bytes().expose())); Vec::new() }
            };
            let now: Vec<u8> = store.newest_first().map(|entry| entry.id[0]).collect();
            prop_assert_eq!(&now, &plain.stored.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(store.confirmed().map(|id| id[0]), plain.confirmed);
            let gone = before.into_iter().filter(|id| !now.contains(id) && Some(*id) != confirmed_before);
            let mut displaced: Vec<u8> = displaced.into_iter().map(|id| id[0]).collect();
            displaced.reverse();
            prop_assert_eq!(displaced, gone.collect::<Vec<_>>(), "what is displaced is named");
            let open = store.wire_policy(RatchetPolicy::Require) == RatchetPolicy::RequireOpen;
            prop_assert_eq!(open, !plain.ever_confirmed);
            for entry in store.newest_first() {
                prop_assert_eq!(entry.rs.expose(), &[entry.id[0]; 32]);
            }
        }
    }

    #[test]
    fn the_responder_selects_its_newest_of_what_is_offered(ops in ops(), offered in prop::collection::vec(0u8..12, 0..5)) {
        let mut store = RatchetStore::absent();
        for op in ops {
            match op {
                Op::Store(id) => drop(store.store(entry(id))),
                Op::Confirm(id) | Op::Seeded(id) => drop(store.confirm([id; 8])),
                Op::Reload => {}
            }
        }
        let ids: Vec<[u8; 8]> = offered.iter().map(|&id| [id; 8]).collect();
        let expected = store.newest_first().map(|entry| entry.id).find(|id| ids.contains(id));
        prop_assert_eq!(store.select(&ids).map(|(id, _)| id), expected);
    }

    #[test]
    fn a_changed_file_is_damaged_and_no_bytes_panic(
        at in any::<prop::sample::Index>(), change in 1u8.., random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut store = RatchetStore::absent();
        store.store(entry(1));
        store.confirm([1; 8]);
        store.store(entry(2));
        let mut bytes = store.to_bytes().expose().to_vec();
        let length = bytes.len();
        bytes[at.index(length)] ^= change;
        for bad in [bytes, random] {
            let store = RatchetStore::from_file(Some(&bad));
            prop_assert_eq!(store.file_state(), FileState::Damaged);
            prop_assert!(store.is_empty());
        }
    }
}
