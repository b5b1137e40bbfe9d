//! The published schema of `status --json` and what is printed: each member on either side is on the other, with its type.

use crate::sample::{in_state, just_started, outage, overridden, several, well};
use crate::validator::{fits, schema, wrong};
use plait::control::live::LiveView;
use serde_json::{Value, json};

fn printed(view: LiveView) -> Value {
    serde_json::to_value(view.report.status).unwrap()
}

#[test]
fn what_is_printed_is_what_the_schema_says() {
    let states = ["HYBRID", "OFF", "HOLDOVER", "DEGRADED", "HOLDING", "BLOCKED", "DOWN"].map(in_state);
    for view in [well(), outage(), overridden(), just_started(), several()].into_iter().chain(states) {
        fits("status", &printed(view).to_string());
    }
}

#[test]
fn what_is_not_of_the_form_is_found() {
    let schema = schema("status");
    for (pointer, value) in [
        ("/schema", json!(2)),
        ("/state", json!("PARTYING")),
        ("/mtu", json!("1420")),
        ("/uptime_seconds", json!(-1)),
        ("/peers", json!([])),
        ("/peers/0/epoch/check_words", json!("7f2c-91ag")),
        ("/peers/0/epoch/check_words", json!("7f2c-91aa0")),
        ("/peers/0/handshakes/last_full", json!("yesterday")),
        ("/peers/0/drops/replay", json!(0.5)),
        ("/peers/0/peer_qkd", json!("maybe")),
        ("/sources/0/stored_keys_stale", json!("no")),
        ("/sources/0/rate_in_per_second", json!(-0.1)),
        ("/sources/0/lasts_seconds", json!("long")),
        ("/offload/0", json!("magic")),
    ] {
        let mut status = printed(well());
        *status.pointer_mut(pointer).unwrap() = value;
        assert!(!wrong(&schema, &schema, &status, "", false).is_empty(), "{pointer}");
    }
    let mut status = printed(well());
    status["peers"][0].as_object_mut().unwrap().remove("deadline_seconds");
    assert!(!wrong(&schema, &schema, &status, "", false).is_empty());
    status = printed(well());
    status["peers"][0]["mood"] = json!("good");
    assert_eq!(wrong(&schema, &schema, &status, "", false), ["/peers/0/mood: not in the schema"]);
    assert!(wrong(&schema, &schema, &status, "", true).is_empty(), "a reader lets it through");
}
