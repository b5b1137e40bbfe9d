//! The newest events in memory, numbered over restarts: what the daemon answers when it is asked what happened.

use std::collections::VecDeque;

use super::event::{Draft, Event};
use super::time::parse_rfc3339;
use crate::types::limits::EVENTS_KEPT_MAX;
use crate::types::time::UnixMillis;

/// At most [`EVENTS_KEPT_MAX`] events, oldest first.
#[derive(Default)]
pub struct RecentEvents {
    kept: VecDeque<Event>,
    last: u64,
}

/// Which events are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Not older than so many seconds.
    pub since_seconds: Option<u64>,
    /// Only those with a greater number; a number that was never given counts as none.
    pub after: Option<u64>,
    /// At most the newest so many.
    pub last: Option<u32>,
}

impl RecentEvents {
    /// Goes on where earlier events, oldest first, ended.
    pub fn restored(earlier: impl IntoIterator<Item = Event>) -> Self {
        let mut recent = Self::default();
        for event in earlier {
            recent.last = recent.last.max(event.seq);
            recent.keep(event);
        }
        recent
    }

    /// One more; the oldest makes room.
    pub fn add(&mut self, draft: Draft, time: UnixMillis) -> Event {
        self.last = self.last.saturating_add(1);
        let event = draft.numbered(self.last, time);
        self.keep(event.clone());
        event
    }

    fn keep(&mut self, event: Event) {
        if self.kept.len() >= EVENTS_KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    /// The number of the newest; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.last
    }

    /// The newest event.
    pub fn latest(&self) -> Option<&Event> {
        self.kept.back()
    }

    /// Those that are meant, oldest first.
    pub fn select(&self, which: Selection, now: UnixMillis) -> Vec<Event> {
        let after = which.after.filter(|after| *after <= self.last).unwrap_or(0);
        let meant = |event: &&Event| event.seq > after && is_within(event, which.since_seconds, now);
        let mut events: Vec<Event> = self.kept.iter().filter(meant).cloned().collect();
        let most = which.last.map_or(usize::MAX, |last| usize::try_from(last).unwrap_or(usize::MAX));
        events.drain(..events.len().saturating_sub(most));
        events
    }
}

/// Whether an event is not older than so many seconds. One whose time cannot be read is shown rather than hidden.
pub fn is_within(event: &Event, since_seconds: Option<u64>, now: UnixMillis) -> bool {
    let Some(since) = since_seconds else { return true };
    let oldest = now.0.saturating_sub(since.saturating_mul(1000));
    parse_rfc3339(&event.time).is_none_or(|time| time.0 >= oldest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::EventKind;

    fn numbers(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    /// `count` events, one a second from 1 s on.
    fn filled(count: u64) -> RecentEvents {
        let mut recent = RecentEvents::default();
        for second in 1..=count {
            recent.add(Draft::new(EventKind::Rekey, ""), UnixMillis(second * 1000));
        }
        recent
    }

    #[test]
    fn the_selection_is_by_age_by_number_and_by_count() {
        let recent = filled(10);
        let select = |which| numbers(&recent.select(which, UnixMillis(10_500)));
        let all = Selection::default();
        assert_eq!(select(all), (1..=10).collect::<Vec<_>>());
        assert_eq!(select(Selection { since_seconds: Some(2), ..all }), [9, 10]);
        assert_eq!(select(Selection { since_seconds: Some(u64::MAX), last: Some(1), ..all }), [10]);
        assert_eq!(select(Selection { after: Some(7), ..all }), [8, 9, 10]);
        assert_eq!(select(Selection { after: Some(10), ..all }), [] as [u64; 0]);
        assert_eq!(select(Selection { after: Some(11), last: Some(2), ..all }), [9, 10], "of another daemon's numbers");
        assert_eq!(select(Selection { last: Some(0), ..all }), [] as [u64; 0]);
    }

    #[test]
    fn no_more_than_the_bound_are_kept_and_numbers_go_on() {
        let recent = filled(EVENTS_KEPT_MAX as u64 + 3);
        let kept = recent.select(Selection::default(), UnixMillis(0));
        assert_eq!((kept.len(), kept[0].seq), (EVENTS_KEPT_MAX, 4));
        let mut restored = RecentEvents::restored(kept);
        assert_eq!(restored.newest(), EVENTS_KEPT_MAX as u64 + 3);
        assert_eq!(restored.add(Draft::new(EventKind::Start, ""), UnixMillis(0)).seq, EVENTS_KEPT_MAX as u64 + 4);
    }

    #[test]
    fn an_event_without_a_readable_time_is_shown() {
        let mut event = Draft::new(EventKind::Alarm, "").numbered(1, UnixMillis(0));
        assert!(!is_within(&event, Some(1), UnixMillis(10_000)));
        event.time = "yesterday".to_owned();
        assert!(is_within(&event, Some(1), UnixMillis(10_000)));
    }
}
