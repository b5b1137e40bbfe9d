//! What counts as a stricter policy.

use super::*;
use std::time::Duration;

fn policy(qkd: QkdPolicy, min_sources: u8, limit: Option<u64>) -> PolicySetup {
    let limit = limit.map(Duration::from_secs);
    let (rekey, full) = (Duration::from_secs(60), Duration::from_secs(600));
    PolicySetup { qkd, min_sources, hold_last: limit, degrade_for: limit, rekey, full }
}

#[test]
fn stricter_is_what_allows_less() {
    use QkdPolicy::{Off, Preferred, Required};
    for (new, old, expected) in [
        (policy(Required, 1, None), policy(Preferred, 1, None), true),
        (policy(Required, 1, None), policy(Off, 0, None), true),
        (policy(Preferred, 1, Some(60)), policy(Off, 0, None), true),
        (policy(Preferred, 1, None), policy(Required, 2, Some(60)), false),
        (policy(Off, 0, None), policy(Required, 1, None), false),
        (policy(Required, 2, None), policy(Required, 1, None), true),
        (policy(Required, 1, None), policy(Required, 2, None), false),
        (policy(Required, 1, Some(60)), policy(Required, 1, Some(61)), true),
        (policy(Required, 1, Some(61)), policy(Required, 1, Some(60)), false),
        (policy(Preferred, 1, Some(61)), policy(Preferred, 1, None), true),
        (policy(Preferred, 1, None), policy(Preferred, 1, Some(61)), false),
        (policy(Off, 0, Some(1)), policy(Off, 0, Some(2)), false),
    ] {
        assert_eq!(is_stricter_policy(&new, &old), expected, "{new:?} after {old:?}");
    }
}
