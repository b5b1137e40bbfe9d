//! The replay window against a set that remembers everything.

use std::collections::BTreeSet;

use plait::session::replay::{Accepted, REPLAY_BITS_USABLE, ReplayWindow};
use proptest::collection::vec;
use proptest::prelude::*;

/// Walks that stay near, reach the edge of the window, or jump over it.
fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        8 => -70_i64..=70,
        3 => (-3_i64..=3).prop_map(|off| off - REPLAY_BITS_USABLE as i64),
        2 => (-3_i64..=3).prop_map(|off| off + 8192),
        1 => -20_000_i64..=20_000,
        1 => Just(1 << 50),
    ];
    (0_u64..20_000, vec(step, 1..400)).prop_map(|(start, steps)| {
        let mut at = start;
        steps
            .into_iter()
            .map(|step| {
                at = at.saturating_add_signed(step) % (1 << 56);
                at
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn the_window_agrees_with_a_set(numbers in numbers()) {
        let (mut window, mut seen) = (ReplayWindow::new(), BTreeSet::new());
        for number in numbers {
            let top = seen.last().copied();
            let in_window = top.is_none_or(|top: u64| number > top || top - number <= REPLAY_BITS_USABLE);
            let fresh = in_window && !seen.contains(&number);
            let raised = top.is_none_or(|top| number > top);
            let expected = fresh.then_some(if raised { Accepted::RaisedTop } else { Accepted::Behind });
            prop_assert_eq!(window.would_accept(number), fresh, "{}", number);
            prop_assert_eq!(window.accept(number), expected, "{}", number);
            if fresh {
                seen.insert(number);
            }
        }
    }

    #[test]
    fn a_run_is_marked_as_its_numbers_one_by_one_would_be(
        numbers in numbers(), runs in vec((any::<u64>(), any::<u64>(), any::<bool>()), 400)
    ) {
        let (mut window, mut single) = (ReplayWindow::new(), ReplayWindow::new());
        for (first, (one, other, dense)) in numbers.into_iter().zip(runs) {
            let wanted = if dense { one | other } else { one & other };
            let could = window.would_accept_run(first);
            for at in 0..64 {
                prop_assert_eq!(could >> at & 1 == 1, single.would_accept(first + at), "{} + {}", first, at);
            }
            let top_first = (0..64_u64).rev().filter(|at| wanted >> at & 1 == 1);
            let marked: Vec<_> = top_first.map(|at| (at, single.accept(first + at))).collect();
            let raised = marked.iter().any(|(_, accepted)| *accepted == Some(Accepted::RaisedTop));
            let accepted = marked.iter().filter(|(_, a)| a.is_some()).fold(0_u64, |bits, (at, _)| bits | 1 << at);
            prop_assert_eq!(window.accept_run(first, wanted), (accepted, raised), "{} {:064b}", first, wanted);
        }
    }
}
