//! Requests to override the policy: looked at again, whoever typed them, and handed to the engine.

use std::time::Duration;

use super::start::Running;
use crate::control::request::Answer;
use crate::control::time::rfc3339;
use crate::engine::overriding::OverrideOrder;
use crate::types::id::PeerId;
use crate::types::limits::{OVERRIDE_MAX, OVERRIDE_REASON_CHARS_MAX};
use crate::types::policy::QkdPolicy;
use crate::types::time::UnixTime;

/// `plait policy override` for one peer or, with none, for all whose policy is stricter.
pub(super) fn begin(running: &mut Running, which: Option<PeerId>, qkd: &str, for_seconds: u64, reason: &str) -> Answer {
    let refused = |error: String| Answer::Refused { error };
    let qkd = match qkd {
        "preferred" => QkdPolicy::Preferred,
        "off" => QkdPolicy::Off,
        _ => return refused(format!("qkd: expected preferred or off, came {qkd:?}")),
    };
    let lasts = Duration::from_secs(for_seconds);
    if lasts.is_zero() || lasts > OVERRIDE_MAX {
        let most = OVERRIDE_MAX.as_secs();
        return refused(format!("for: expected 1 to {most} seconds, came {for_seconds}"));
    }
    let characters = reason.chars().count();
    if !(1..=OVERRIDE_REASON_CHARS_MAX).contains(&characters) || reason.chars().any(char::is_control) {
        return refused(format!("reason: expected 1 to {OVERRIDE_REASON_CHARS_MAX} characters on one line"));
    }
    let peers = running.engine.stricter_than(qkd);
    let peers: Vec<PeerId> = peers.into_iter().filter(|id| which.is_none_or(|which| which == *id)).collect();
    if peers.is_empty() {
        return refused(format!("the policy is {} or weaker already: there is nothing to override", qkd.as_str()));
    }
    let now = running.now();
    let order = OverrideOrder { qkd, lasts, reason: reason.to_owned() };
    let began = peers.iter().filter(|id| running.engine.begin_override(now, **id, order.clone())).count();
    let until = rfc3339(UnixTime(now.unix.0.saturating_add(for_seconds)));
    let text = format!(
        "qkd {} for {began} peer(s) until {until}; it holds as far as the other end allows: override there too",
        qkd.as_str()
    );
    Answer::Done { text }
}

/// `plait policy end` for one peer or all.
pub(super) fn end(running: &mut Running, which: Option<PeerId>) -> Answer {
    let now = running.now();
    let peers: Vec<PeerId> = running.engine.ids().filter(|id| which.is_none_or(|which| which == *id)).collect();
    let ended = peers.into_iter().filter(|id| running.engine.end_override(now, *id)).count();
    match ended {
        0 => Answer::Refused { error: "the policy is not overridden".to_owned() },
        ended => Answer::Done { text: format!("the configured policy holds again for {ended} peer(s)") },
    }
}
