//! What is told of the tunnel: log lines for people, states for systemd. Never key material; key_IDs by their prefix.

use crate::control::time::rfc3339;
use crate::engine::output::{Alarm, Event, EventKind, OverrideChange, State};

/// The interface exists and packets are looked at.
pub(super) fn ready(interface: &str) {
    tracing::info!(interface, "running");
    notify(&[sd_notify::NotifyState::Ready]);
}

/// An orderly end has begun.
pub(super) fn stopping() {
    tracing::info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// One event of the engine, at the level of who has to act.
pub(super) fn event(peer: &str, event: &Event) {
    match &event.what {
        EventKind::State { from, to } => {
            let (was, is) = (from.as_str(), to.as_str());
            match to {
                State::Hybrid | State::Off | State::Holding => tracing::info!(peer, from = was, to = is, "state"),
                State::Holdover | State::Degraded | State::Blocked | State::Down => {
                    tracing::warn!(peer, from = was, to = is, "state");
                }
            }
            notify(&[sd_notify::NotifyState::Status(&format!("{peer}: {is}"))]);
        }
        EventKind::Epoch { number, full, sources } => {
            let kind = if *full { "full handshake" } else { "fast rekey" };
            let keys: Vec<String> = sources.iter().map(|(source, id)| format!("{source}:{}..", id.prefix())).collect();
            tracing::info!(peer, epoch = number, kind, qkd = keys.join(" "), "epoch confirmed");
        }
        EventKind::ExchangeFailed { full } => {
            tracing::info!(peer, kind = if *full { "full handshake" } else { "fast rekey" }, "came to nothing");
        }
        EventKind::SourceFailed { source, reason, text } => {
            tracing::warn!(peer, source = %source, reason = reason.as_str(), text, "no QKD key");
        }
        EventKind::PolicyDiffers => tracing::warn!(peer, "the peer has another QKD policy; the stricter holds"),
        EventKind::Override(OverrideChange::Began { order, ends }) => {
            let (qkd, until) = (order.qkd.as_str(), rfc3339(*ends));
            tracing::warn!(peer, qkd, until, reason = order.reason, "POLICY OVERRIDDEN");
        }
        EventKind::Override(OverrideChange::Ended { early }) => {
            tracing::warn!(peer, early, "the override of the policy has ended");
        }
        EventKind::Roamed(to) => tracing::info!(peer, endpoint = %to.to, "endpoint moved"),
        EventKind::Alarm(alarm) => tell_alarm(peer, alarm),
    }
}

fn tell_alarm(peer: &str, alarm: &Alarm) {
    match alarm {
        Alarm::QkdMismatch { keys } => {
            let prefix = |id: &Option<crate::types::id::KeyId>| id.as_ref().map_or("?", |id| id.prefix()).to_owned();
            let keys: Vec<String> = keys.iter().map(|(source, id)| format!("{source}:{}..", prefix(id))).collect();
            tracing::warn!(peer, keys = keys.join(" "), "QKD_MISMATCH: the two KMEs gave different keys");
        }
        Alarm::QkdRequiredMissing => tracing::warn!(peer, "QKD_REQUIRED_MISSING: too few QKD keys for a session"),
        Alarm::RatchetLost => {
            tracing::warn!(
                peer,
                "RATCHET_LOST: no common ratchet entry; a copy, a restored backup, or an impersonator"
            );
        }
        Alarm::RatchetNotWritten => tracing::warn!(peer, "the ratchet state could not be written"),
        Alarm::PskOrIdentity => tracing::warn!(peer, "PSK or identity differs for this peer"),
    }
}
