//! Requests and answers of the control socket: one JSON object a line, each with its version.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::live::LiveReport;
use super::reload::{Blame, ReloadReport};
use super::report::StatusReport;

/// Version of the lines. A daemon answers its own version only: client and daemon are one binary.
pub const CONTROL_VERSION: u32 = 1;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The figures of this moment.
    Status,
    /// The figures of this moment and what led to them.
    Live,
    /// Rekey now.
    Rekey {
        /// One peer by its name; none: all.
        #[serde(default)]
        peer: Option<String>,
        /// Answer when every peer asked has a new epoch.
        #[serde(default)]
        wait: bool,
    },
    /// What happened, oldest first.
    Events {
        /// Not older than so many seconds; none: all that is kept.
        #[serde(default)]
        since_seconds: Option<u64>,
        /// Only those with a greater number; one that is greater than all numbers counts as none.
        #[serde(default)]
        after: Option<u64>,
        /// At most the newest so many.
        #[serde(default)]
        last: Option<u32>,
        /// If there is none, answer when there is one, or with none after 30 s.
        #[serde(default)]
        wait: bool,
    },
    /// Read the configuration again and change what differs.
    Reload {
        /// Only say what would change.
        #[serde(default)]
        dry_run: bool,
    },
    /// One more peer.
    PeerAdd {
        /// A `[[peer]]` section and its `[[qkd]]` sections, as in a configuration.
        sections: String,
        /// SHA-256 of the configuration, in hexadecimal digits, without which nothing is done; none: whichever runs.
        #[serde(default)]
        only_if: Option<String>,
        /// Only say what would change.
        #[serde(default)]
        dry_run: bool,
    },
    /// One peer less.
    PeerRemove {
        /// Its name.
        peer: String,
        /// As with `PeerAdd`.
        #[serde(default)]
        only_if: Option<String>,
        /// Only say what would change.
        #[serde(default)]
        dry_run: bool,
    },
    /// Weaken the policy for a time.
    PolicyOverride {
        /// One peer by its name; none: all whose policy is stricter.
        #[serde(default)]
        peer: Option<String>,
        /// `preferred` or `off`.
        qkd: String,
        /// For how long.
        for_seconds: u64,
        /// Why.
        reason: String,
    },
    /// The configured policy holds again.
    PolicyEnd {
        /// One peer by its name; none: all.
        #[serde(default)]
        peer: Option<String>,
    },
    /// Close every session and end.
    Stop,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is done, or begun if nobody wanted to wait.
    Done {
        /// For a person.
        text: String,
    },
    /// The figures.
    Status {
        /// As `plait status --json` prints them.
        status: Box<StatusReport>,
    },
    /// The figures and what led to them.
    Live {
        /// For `plait top`.
        live: Box<LiveReport>,
    },
    /// What happened.
    Events {
        /// Oldest first.
        events: Vec<Event>,
    },
    /// What was or would be changed.
    Reloaded {
        /// For `plait reload`.
        report: Box<ReloadReport>,
    },
    /// Nothing is changed.
    NotReloaded {
        /// Whose fault it is.
        blame: Blame,
        /// What was expected, what came.
        error: String,
    },
    /// It is not done.
    Refused {
        /// What was expected, what came.
        error: String,
    },
}

/// A line of either direction.
#[derive(Serialize, Deserialize)]
struct Line<T> {
    version: u32,
    body: T,
}

/// Only the version, whatever else the line holds.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A line for the other end, with its newline.
pub fn to_line<T: Serialize>(body: &T) -> String {
    let line = serde_json::to_string(&Line { version: CONTROL_VERSION, body });
    // The types hold only strings, numbers and lists: there is nothing that JSON cannot say.
    let mut line = line.unwrap_or_else(|_| String::from("null"));
    line.push('\n');
    line
}

/// Reads a line of the other end.
///
/// # Errors
/// A sentence that says what was expected and what came.
pub fn from_line<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, String> {
    let version =
        serde_json::from_str::<Versioned>(line).map_err(|error| format!("expected a JSON object: {error}"))?;
    if version.version != CONTROL_VERSION {
        return Err(format!("expected version {CONTROL_VERSION}, came {}", version.version));
    }
    serde_json::from_str::<Line<T>>(line).map(|line| line.body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_one_form() {
        let rekey = Request::Rekey { peer: Some("dc".to_owned()), wait: true };
        assert_eq!(to_line(&rekey), "{\"version\":1,\"body\":{\"verb\":\"rekey\",\"peer\":\"dc\",\"wait\":true}}\n");
        assert_eq!(from_line::<Request>(&to_line(&rekey)), Ok(rekey));
        assert_eq!(from_line("{\"version\":1,\"body\":{\"verb\":\"status\"}}"), Ok(Request::Status));
        let events = Request::Events { since_seconds: None, after: Some(7), last: None, wait: false };
        assert_eq!(from_line("{\"version\":1,\"body\":{\"verb\":\"events\",\"after\":7}}"), Ok(events));
    }

    #[test]
    fn what_is_no_request_is_refused_with_words() {
        for (line, words) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            ("{\"version\":2,\"body\":{\"verb\":\"status\"}}", "expected version 1, came 2"),
            ("{\"body\":{\"verb\":\"status\"}}", "version"),
            ("{\"version\":1,\"body\":{\"verb\":\"explode\"}}", "unknown variant `explode`"),
            ("{\"version\":1,\"body\":{\"verb\":\"rekey\",\"pear\":\"dc\"}}", "pear"),
            ("{\"version\":1}", "body"),
        ] {
            let error = from_line::<Request>(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
