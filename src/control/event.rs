//! Events: what happened to the tunnel, one JSON object a line, for people at 3 a.m. and for scripts.
//!
//! No secrets, and key_IDs only by their beginning. Every change of a peer's state is one event of kind `state` with
//! `from` and `to`, whatever the log level is.

use serde::{Deserialize, Serialize};

use super::time::rfc3339_millis;
use crate::types::time::UnixMillis;

/// Number of this form.
pub const EVENT_SCHEMA: u32 = 1;
/// Characters of a text: a sentence; what a KME says is cut there.
pub const EVENT_TEXT_CHARS_MAX: usize = 400;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`EVENT_SCHEMA`].
    pub schema: u32,
    /// Counts up by one an event, over restarts.
    pub seq: u64,
    /// RFC 3339 in UTC with milliseconds: `2026-11-24T09:00:00.250Z`.
    pub time: String,
    /// What kind of thing.
    pub kind: EventKind,
    /// Name of the peer concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Name of the key source concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For a person: one sentence without an end of line.
    pub text: String,
}

/// An event that has no number and no time yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    kind: EventKind,
    peer: Option<String>,
    source: Option<String>,
    change: Option<(String, String)>,
    text: String,
}

impl Draft {
    /// What happened, for a person. Of a text that others wrote, what is no character of a line is left out.
    pub fn new(kind: EventKind, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().chars().filter(|letter| !letter.is_control()).take(EVENT_TEXT_CHARS_MAX).collect();
        Self { kind, peer: None, source: None, change: None, text }
    }

    /// Concerns this peer.
    #[must_use]
    pub fn peer(self, name: &str) -> Self {
        Self { peer: Some(name.to_owned()), ..self }
    }

    /// Concerns this key source.
    #[must_use]
    pub fn source(self, name: &str) -> Self {
        Self { source: Some(name.to_owned()), ..self }
    }

    /// Something was `from` and is `to`.
    #[must_use]
    pub fn change(self, from: &str, to: &str) -> Self {
        Self { change: Some((from.to_owned(), to.to_owned())), ..self }
    }

    /// The text goes on with this.
    #[must_use]
    pub fn with_note(self, note: &str) -> Self {
        Self { text: self.text + note, ..self }
    }

    /// The event.
    pub fn numbered(self, seq: u64, time: UnixMillis) -> Event {
        let (from, to) = self.change.unzip();
        let (schema, time) = (EVENT_SCHEMA, rfc3339_millis(time));
        Event { schema, seq, time, kind: self.kind, peer: self.peer, source: self.source, from, to, text: self.text }
    }
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The daemon runs.
    Start,
    /// The daemon ends in order.
    Stop,
    /// The state of a peer changed: `from` and `to` are the words of `status`.
    State,
    /// The peer runs another QKD policy; the stricter holds.
    PolicyDiffers,
    /// Nothing authentic came from the peer for too long.
    PeerTimeout,
    /// A full handshake or a fast rekey was confirmed: new keys are in use.
    Rekey,
    /// A full handshake or a fast rekey came to nothing.
    RekeyFailed,
    /// What a KME answers is of another class than before: `from` and `to` are `ok` or a class of errors.
    Kme,
    /// The peer's address is another.
    Endpoint,
    /// The interval of rekeys follows the keys that there are: `from` and `to` are intervals; or keys run short.
    Budget,
    /// A certificate of ours ends soon or has ended.
    Certificate,
    /// Help of the kernel is not used any more because it failed.
    Offload,
    /// Somebody should look: keys that differ, a lost ratchet, a foreign PSK.
    Alarm,
    /// The audit can or cannot be written.
    Audit,
    /// The configuration was read again, and used or refused.
    Reload,
    /// The policy is overridden for a time, or the override has ended.
    Override,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

impl EventKind {
    /// All that this version makes.
    pub const ALL: [Self; 16] = [
        Self::Start,
        Self::Stop,
        Self::State,
        Self::PolicyDiffers,
        Self::PeerTimeout,
        Self::Rekey,
        Self::RekeyFailed,
        Self::Kme,
        Self::Endpoint,
        Self::Budget,
        Self::Certificate,
        Self::Offload,
        Self::Alarm,
        Self::Audit,
        Self::Reload,
        Self::Override,
    ];

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::State => "state",
            Self::PolicyDiffers => "policy_differs",
            Self::PeerTimeout => "peer_timeout",
            Self::Rekey => "rekey",
            Self::RekeyFailed => "rekey_failed",
            Self::Kme => "kme",
            Self::Endpoint => "endpoint",
            Self::Budget => "budget",
            Self::Certificate => "certificate",
            Self::Offload => "offload",
            Self::Alarm => "alarm",
            Self::Audit => "audit",
            Self::Reload => "reload",
            Self::Override => "override",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            schema: EVENT_SCHEMA,
            seq: 7,
            time: "2026-11-24T09:00:00.250Z".to_owned(),
            kind: EventKind::State,
            peer: Some("dc".to_owned()),
            source: None,
            from: Some("HYBRID".to_owned()),
            to: Some("HOLDOVER".to_owned()),
            text: "HOLDOVER: no QKD key".to_owned(),
        }
    }

    #[test]
    fn an_event_has_one_form_without_what_does_not_apply() {
        let line = serde_json::to_string(&event()).unwrap();
        assert_eq!(
            line,
            "{\"schema\":1,\"seq\":7,\"time\":\"2026-11-24T09:00:00.250Z\",\"kind\":\"state\",\"peer\":\"dc\",\
             \"from\":\"HYBRID\",\"to\":\"HOLDOVER\",\"text\":\"HOLDOVER: no QKD key\"}"
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event());
    }

    #[test]
    fn a_draft_becomes_an_event_of_one_line_and_bounded_length() {
        let draft =
            Draft::new(EventKind::State, "HOLDOVER: no\n\u{1b} QKD key").peer("dc").change("HYBRID", "HOLDOVER");
        let made = draft.numbered(7, UnixMillis(1_795_510_800_250));
        assert_eq!(made, event());
        let long = Draft::new(EventKind::Kme, "x".repeat(10_000)).numbered(1, UnixMillis(0));
        assert_eq!(long.text.len(), EVENT_TEXT_CHARS_MAX);
    }

    #[test]
    fn each_kind_has_its_word_and_an_unknown_one_can_be_read() {
        for kind in EventKind::ALL {
            let word = format!("\"{}\"", kind.as_str());
            assert_eq!(serde_json::to_string(&kind).unwrap(), word);
            assert_eq!(serde_json::from_str::<EventKind>(&word).unwrap(), kind);
        }
        assert_eq!(serde_json::from_str::<EventKind>("\"teleport\"").unwrap(), EventKind::Other);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in ["{}", "[]", "{\"schema\":1,\"seq\":-1,\"time\":\"\",\"kind\":\"state\",\"text\":\"\"}"] {
            assert!(serde_json::from_str::<Event>(line).is_err(), "{line}");
        }
    }
}
