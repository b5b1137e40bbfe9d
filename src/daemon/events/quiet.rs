//! Keeps what repeats from flooding the events: a few of a kind in a while are told, the others bundled into one line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::translate::{Happening, Topic};
use crate::control::event::Draft;
use crate::types::time::Instant;

/// The span in which a topic may be told its number of times: a line every ten minutes is 144 a day.
pub(super) const WINDOW: Duration = Duration::from_secs(600);

/// One topic: who is concerned by what.
#[derive(Default)]
struct Window {
    began: Instant,
    told: u32,
    held: u32,
    last: Option<Draft>,
}

/// All topics that were told of: bounded by the peers and sources of the configuration.
#[derive(Default)]
pub(super) struct Quiet(BTreeMap<Topic, Window>);

impl Quiet {
    /// What of a happening is told now: nothing, or the event, and before it what was held back of an earlier window.
    pub(super) fn pass(&mut self, now: Instant, happening: Happening) -> Vec<Draft> {
        let Happening { topic, draft } = happening;
        let Some(topic) = topic else { return vec![draft] };
        let window = self.0.entry(topic).or_default();
        let mut told = Vec::new();
        if window.told == 0 || now.since(window.began) >= WINDOW {
            told.extend(window.bundle());
            *window = Window { began: now, ..Window::default() };
        }
        if window.told < topic.times() {
            window.told += 1;
            told.push(draft);
        } else {
            window.held = window.held.saturating_add(1);
            window.last = Some(draft);
        }
        told
    }

    /// What was held back in windows that have ended.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Draft> {
        let ended = self.0.values_mut().filter(|window| window.held > 0 && now.since(window.began) >= WINDOW);
        ended
            .filter_map(|window| {
                let bundle = window.bundle();
                // The bundle is the first of the next window.
                *window = Window { began: now, told: 1, ..Window::default() };
                bundle
            })
            .collect()
    }

    /// Whatever is held back.
    pub(super) fn rest(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.0).into_values().filter_map(|mut window| window.bundle()).collect()
    }
}

impl Window {
    /// The last that was held back, with how many there were before it.
    fn bundle(&mut self) -> Option<Draft> {
        let last = self.last.take()?;
        let others = std::mem::take(&mut self.held).saturating_sub(1);
        Some(if others == 0 { last } else { last.with_note(&format!(" (and {others} more of this kind before it)")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::EventKind;
    use crate::types::id::PeerId;
    use crate::types::time::UnixMillis;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn rekey(number: u32) -> Happening {
        let draft = Draft::new(EventKind::Rekey, format!("epoch {number}"));
        Happening { topic: Some(Topic::FastRekey(PeerId(0))), draft }
    }

    fn texts(drafts: Vec<Draft>) -> Vec<String> {
        drafts.into_iter().map(|draft| draft.numbered(1, UnixMillis(0)).text).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_in_one_line() {
        let mut quiet = Quiet::default();
        assert_eq!(texts(quiet.pass(at(0), rekey(0))), ["epoch 0"]);
        for number in 1..=9 {
            assert!(quiet.pass(at(u64::from(number) * 60), rekey(number)).is_empty());
        }
        assert!(quiet.due(at(599)).is_empty());
        assert_eq!(texts(quiet.due(at(600))), ["epoch 9 (and 8 more of this kind before it)"]);
        assert!(quiet.due(at(9999)).is_empty(), "told once");
        assert!(quiet.pass(at(601), rekey(10)).is_empty(), "the bundle was the line of its window");
        assert_eq!(texts(quiet.rest()), ["epoch 10"]);
    }

    #[test]
    fn after_a_pause_the_next_is_told_at_once() {
        let mut quiet = Quiet::default();
        quiet.pass(at(0), rekey(0));
        quiet.pass(at(1), rekey(1));
        assert_eq!(texts(quiet.pass(at(700), rekey(2))), ["epoch 1", "epoch 2"]);
        assert_eq!(texts(quiet.pass(at(1400), rekey(3))), ["epoch 3"]);
    }

    #[test]
    fn peers_do_not_silence_each_other_and_states_are_never_held_back() {
        let mut quiet = Quiet::default();
        quiet.pass(at(0), rekey(0));
        let other = Happening { topic: Some(Topic::FastRekey(PeerId(1))), ..rekey(5) };
        assert_eq!(texts(quiet.pass(at(0), other)), ["epoch 5"]);
        for _ in 0..100 {
            let state = Happening { topic: None, draft: Draft::new(EventKind::State, "x") };
            assert_eq!(quiet.pass(at(0), state).len(), 1);
        }
    }
}
