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
}
