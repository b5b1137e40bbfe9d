//! What a peer went through, as it is plotted and counted: the same as the events told (PROTOCOL 2.8a).

use std::time::Duration;

use plait::engine::output::{EventKind, State};

use crate::kme::Mood;
use crate::world::{Config, World};

#[test]
fn the_course_of_a_peer_is_what_its_events_told() {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(2);
    config.policy.hold_last = Some(Duration::from_secs(5));
    let mut world = World::started(40, [config.clone(), config]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(20));
    world.kme.moods = [Mood::Unreachable, Mood::Unreachable];
    world.run_to("BLOCKED", Duration::from_secs(20), |w| w.both(State::Blocked));
    world.kme.moods = [Mood::Good, Mood::Good];
    world.run_to("HYBRID", Duration::from_secs(120), |w| w.both(State::Hybrid));
    let mut began = 0;
    for side in [0, 1] {
        let node = &world.nodes[side];
        let course = node.engine.as_ref().unwrap().courses().next().unwrap();
        let told: Vec<(State, State)> = node
            .events
            .iter()
            .filter_map(|(_, event)| match event.what {
                EventKind::State { from, to } => Some((from, to)),
                _ => None,
            })
            .collect();
        assert_eq!(course.states().map(|mark| (mark.from, mark.to)).collect::<Vec<_>>(), told);
        let count = |from, to| course.transitions().find(|(a, b, _)| (*a, *b) == (from, to)).map_or(0, |(.., n)| n);
        assert_eq!(count(State::Hybrid, State::Holdover), 1);
        assert_eq!(course.transitions().map(|(.., n)| n).sum::<u64>(), told.len() as u64);
        let epochs: Vec<(u64, bool, usize)> = node
            .events
            .iter()
            .filter_map(|(_, event)| match &event.what {
                EventKind::Epoch { number, full, sources } => Some((*number, *full, sources.len())),
                _ => None,
            })
            .collect();
        let marked: Vec<_> = course.epochs().map(|mark| (mark.number, mark.full, usize::from(mark.qkd_keys))).collect();
        assert_eq!(marked, epochs[epochs.len().saturating_sub(marked.len())..]);
        assert!(marked.iter().any(|(.., keys)| *keys == 0) && marked.iter().any(|(.., keys)| *keys == 1));
        // Four datagrams of 5 ms each are the least that a full handshake takes, two a fast rekey.
        for (took, least) in [(course.full(), 20), (course.fast(), 10)] {
            assert!(took.sum() >= Duration::from_millis(least) * u32::try_from(took.count()).unwrap(), "{took:?}");
            began += took.count();
        }
        let done = world.status(side).unwrap().handshakes;
        assert!(done.failed >= done.failed_fast && course.fast().count() <= done.fast, "{done:?}");
    }
    assert!(began >= 10, "{began} exchanges of both ends have a duration");
}
