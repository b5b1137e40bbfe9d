//! Callers of `events --follow`: answered with the next events, or with none when time is up.

use tokio::sync::oneshot::Sender;

use crate::control::event::Event;
use crate::control::recent::Selection;
use crate::control::request::Answer;
use crate::daemon::limits::{EVENTS_WAIT, WAITERS_MAX};
use crate::types::time::Instant;

struct Caller {
    which: Selection,
    until: Instant,
    answer: Sender<Answer>,
}

/// All who wait.
#[derive(Default)]
pub(super) struct Waiting(Vec<Caller>);

impl Waiting {
    /// One more; turned away if there are too many. `newest` is the number of the newest event.
    pub(super) fn add(&mut self, now: Instant, which: Selection, newest: u64, answer: Sender<Answer>) {
        // Places of those who went away are free.
        self.0.retain(|caller| !caller.answer.is_closed());
        if self.0.len() >= WAITERS_MAX {
            let error = format!("{WAITERS_MAX} callers wait for events already");
            drop(answer.send(Answer::Refused { error }));
            return;
        }
        let after = which.after.filter(|after| *after <= newest).unwrap_or(0);
        self.0.push(Caller { which: Selection { after: Some(after), ..which }, until: now + EVENTS_WAIT, answer });
    }

    /// Answers those for whom there is something, and those who have waited long enough.
    pub(super) fn look(&mut self, now: Instant, newest: u64, select: impl Fn(Selection) -> Vec<Event>) {
        if self.0.is_empty() {
            return;
        }
        let is_done =
            |caller: &mut Caller| caller.until <= now || caller.which.after.is_some_and(|after| newest > after);
        for caller in self.0.extract_if(.., is_done) {
            // A caller who has gone needs no answer.
            drop(caller.answer.send(Answer::Events { events: select(caller.which) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::{Draft, EventKind};
    use crate::types::time::UnixMillis;
    use tokio::sync::oneshot::channel;

    fn some(_: Selection) -> Vec<Event> {
        vec![Draft::new(EventKind::Start, "").numbered(8, UnixMillis(0))]
    }

    #[test]
    fn a_caller_is_answered_by_the_next_event_or_by_none_in_time() {
        let mut waiting = Waiting::default();
        let (answer, mut coming) = channel();
        waiting.add(Instant::ZERO, Selection { after: Some(7), ..Selection::default() }, 7, answer);
        waiting.look(Instant::ZERO, 7, some);
        assert!(coming.try_recv().is_err(), "nothing new yet");
        waiting.look(Instant::ZERO, 8, some);
        assert!(matches!(coming.try_recv().unwrap(), Answer::Events { events } if events.len() == 1));
        let (answer, mut coming) = channel();
        waiting.add(Instant::ZERO, Selection { after: Some(8), ..Selection::default() }, 8, answer);
        waiting.look(Instant::ZERO, 8, some);
        assert!(coming.try_recv().is_err(), "still nothing new");
        waiting.look(Instant::ZERO + EVENTS_WAIT, 8, |_| Vec::new());
        assert!(matches!(coming.try_recv().unwrap(), Answer::Events { events } if events.is_empty()));
    }

    #[test]
    fn one_too_many_is_turned_away_and_those_who_left_take_no_place() {
        let mut waiting = Waiting::default();
        let mut callers: Vec<_> = (0..WAITERS_MAX)
            .map(|_| {
                let (answer, coming) = channel();
                waiting.add(Instant::ZERO, Selection::default(), 7, answer);
                coming
            })
            .collect();
        let (answer, mut coming) = channel();
        waiting.add(Instant::ZERO, Selection::default(), 7, answer);
        assert!(matches!(coming.try_recv().unwrap(), Answer::Refused { .. }));
        callers.pop();
        let (answer, mut coming) = channel();
        waiting.add(Instant::ZERO, Selection::default(), 7, answer);
        assert!(coming.try_recv().is_err(), "it waits");
    }
}
