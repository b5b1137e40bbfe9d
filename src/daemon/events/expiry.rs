//! When our certificates end: an event at each step of nearness, once.

use std::collections::BTreeMap;

use crate::control::event::{Draft, EventKind};
use crate::control::time::rfc3339;
use crate::types::time::UnixTime;

/// Days before the end at which it is said: order one, it is late, it is now. Descending; after the last comes the end itself.
const STEPS_DAYS: [u64; 3] = [30, 7, 1];

/// How near the end of each source's certificate was when it was last told of.
#[derive(Default)]
pub(super) struct Expiry(BTreeMap<(String, String), usize>);

impl Expiry {
    /// What is to be told of a certificate, if it came a step nearer to its end.
    pub(super) fn look(&mut self, now: UnixTime, peer: &str, source: &str, end: UnixTime) -> Option<Draft> {
        let step = step(now, end);
        let before = self.0.insert((peer.to_owned(), source.to_owned()), step).unwrap_or(0);
        if step <= before {
            return None;
        }
        let moment = rfc3339(end);
        let text = match end.0.checked_sub(now.0) {
            Some(left) if left > 0 => {
                format!("our certificate for this KME ends at {moment}, in {} days", left / 86_400)
            }
            Some(_) | None => format!("our certificate for this KME ended at {moment}: the KME will refuse it"),
        };
        Some(Draft::new(EventKind::Certificate, text).peer(peer).source(source))
    }
}

/// 0: far; one more for each step that is reached; the highest: it has ended.
fn step(now: UnixTime, end: UnixTime) -> usize {
    let left = end.0.saturating_sub(now.0);
    STEPS_DAYS.into_iter().filter(|days| left <= days * 86_400).count() + usize::from(left == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;

    #[test]
    fn each_step_is_told_once_and_a_new_certificate_starts_anew() {
        const DAY: u64 = 86_400;
        let end = UnixTime(100 * DAY);
        let mut expiry = Expiry::default();
        let mut told = |day: u64, end| {
            let draft = expiry.look(UnixTime(day * DAY), "dc", "fibre-1", end);
            draft.map(|draft| draft.numbered(1, UnixMillis(0)).text)
        };
        assert_eq!(told(69, end), None);
        assert!(told(70, end).unwrap().ends_with("in 30 days"));
        assert_eq!(told(71, end), None, "once");
        assert!(told(93, end).unwrap().ends_with("in 7 days"));
        assert!(told(99, end).unwrap().ends_with("in 1 days"));
        assert!(told(100, end).unwrap().contains("ended at 1970-04-11"));
        assert_eq!(told(101, end), None);
        assert_eq!(told(102, UnixTime(500 * DAY)), None, "it was renewed");
        assert!(told(499, UnixTime(500 * DAY)).is_some());
    }
}
