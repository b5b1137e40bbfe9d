//! `plait policy override|show|end`: a policy that is weaker for a time, deliberately, and told everywhere.

use std::path::Path;
use std::time::Duration;

use super::args::PolicyCommand;
use super::ask::{ask, interface};
use super::exit::{Exit, Outcome};
use super::output;
use super::status::{Form, report};
use crate::control::request::{Answer, Request};
use crate::control::text;
use crate::io::control_client::ANSWER_DEADLINE;
use crate::types::limits::{OVERRIDE_MAX, OVERRIDE_REASON_CHARS_MAX};

/// Runs the verb.
pub(super) fn run(command: &PolicyCommand, run_dir: &Path) -> Outcome {
    match command {
        PolicyCommand::Override { name, peer, lasts, reason, qkd } => {
            let request = Request::PolicyOverride {
                peer: peer.clone(),
                qkd: qkd.clone(),
                for_seconds: lasts.as_secs(),
                reason: reason.clone(),
            };
            done(name, &request, run_dir)
        }
        PolicyCommand::End { name, peer } => done(name, &Request::PolicyEnd { peer: peer.clone() }, run_dir),
        PolicyCommand::Show { name, json } => show(name, Form::of(*json), run_dir),
    }
}

fn done(name: &str, request: &Request, run_dir: &Path) -> Outcome {
    if let Answer::Done { text } = ask(&interface(name)?, run_dir, request, ANSWER_DEADLINE)? {
        output::talk(&text);
    }
    Ok(Exit::Ok)
}

/// Of each peer the configured policy, what both ends agreed on, and what overrides it.
fn show(name: &str, form: Form, run_dir: &Path) -> Outcome {
    let status = report(&interface(name)?, run_dir)?;
    let shown: String = match form {
        Form::Text => status.peers.iter().map(text::policy).collect(),
        Form::Json => {
            let line = |peer: &crate::control::report::PeerReport| {
                let line = serde_json::json!({
                    "schema": status.schema,
                    "interface": status.interface,
                    "peer": peer.name,
                    "policy": peer.policy,
                    "peer_qkd": peer.peer_qkd,
                    "effective_qkd": peer.effective_qkd,
                    "override": peer.over,
                });
                format!("{line}\n")
            };
            status.peers.iter().map(line).collect()
        }
    };
    output::data(&shown)
}

/// A time that an override may last.
pub(super) fn lasts(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| format!("expected a time such as 30m: {error}"))?;
    let fits = (Duration::from_secs(1)..=OVERRIDE_MAX).contains(&span) && span.subsec_nanos() == 0;
    let most = humantime::format_duration(OVERRIDE_MAX);
    if fits {
        Ok(span)
    } else {
        Err(format!("expected whole seconds, 1s to {most}; for longer change the configuration"))
    }
}

/// A reason that fits.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=OVERRIDE_REASON_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {OVERRIDE_REASON_CHARS_MAX} characters on one line"))
    }
}

/// So that a wrong request is refused where it is typed; the daemon looks again.
pub(super) fn weaker(text: &str) -> Result<String, String> {
    match text {
        "preferred" | "off" => Ok(text.to_owned()),
        _ => Err("expected preferred or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_reasons_are_bounded() {
        assert_eq!(lasts("30m"), Ok(Duration::from_secs(1800)));
        for wrong in ["0s", "25h", "1500ms", "soon", "-1s"] {
            assert!(lasts(wrong).is_err(), "{wrong}");
        }
        assert_eq!(reason(" fibre work, ticket 7 "), Ok("fibre work, ticket 7".to_owned()));
        for wrong in ["", "  ", "a\nb", &"x".repeat(OVERRIDE_REASON_CHARS_MAX + 1)] {
            assert!(reason(wrong).is_err(), "{wrong}");
        }
        assert!(weaker("required").is_err() && weaker("off").is_ok());
    }
}
