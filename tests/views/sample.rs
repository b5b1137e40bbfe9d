//! What a daemon shows: all well, an outage, just started; and any state.

use plait::control::live::LiveView;
use serde_json::{Value, json};

/// Two hours after a start, everything as it should be.
pub(crate) fn well() -> LiveView {
    view(report())
}

/// The same in another state, with what belongs to it.
pub(crate) fn in_state(state: &str) -> LiveView {
    let mut report = report();
    set_state(&mut report, state);
    view(report)
}

/// A KME that has been away for a quarter of an hour.
pub(crate) fn outage() -> LiveView {
    let mut report = report();
    set_state(&mut report, "HOLDOVER");
    let status = &mut report["status"];
    status["peers"][0]["deadline_seconds"] = json!(2712.3);
    status["peers"][0]["drops"]["no_epoch"] = json!(3);
    let epoch = &mut status["peers"][0]["epoch"];
    epoch["qkd_age_seconds"] = json!(903.0);
    epoch["key_ids"] = json!([]);
    epoch["mixed"] = json!(["x25519", "ml-kem-1024"]);
    status["unclaimed"]["no_route"] = json!(17);
    status["offload_given_up"] = json!(["gro"]);
    let source = &mut status["sources"][0];
    source["not_used"] = json!("unreachable");
    source["stored_keys_age_seconds"] = json!(904.0);
    source["stored_keys_stale"] = json!(true);
    for rate in ["rate_in_per_second", "rate_out_per_second"] {
        source[rate] = Value::Null;
    }
    source["last_error"] =
        json!("unreachable: no TCP connection with kme-a.example:8443 in 3 s: a firewall that drops <b>");
    source["last_error_age_seconds"] = json!(21.0);
    source["certificate_expiry"] = json!("2026-12-02T00:00:00Z");
    let course = &mut report["courses"][0];
    course["state_age_seconds"] = json!(888.0);
    course["states"] = json!([
        {"age_seconds": 7190.0, "from": "HOLDING", "to": "HYBRID"},
        {"age_seconds": 888.0, "from": "HYBRID", "to": "HOLDOVER"},
    ]);
    for epoch in course["epochs"].as_array_mut().unwrap() {
        if epoch["age_seconds"].as_f64().unwrap() < 888.0 {
            epoch["qkd_keys"] = json!(0);
        }
    }
    let stock = &mut report["stocks"][0];
    let mut stored = stock["stored"].as_array().unwrap().clone();
    stored.retain(|point| point[0].as_f64().unwrap() > 900.0);
    stock["stored"] = json!(stored);
    let text = "QKD keys stopped coming: HYBRID is HOLDOVER, traffic stops in 1h";
    report["events"].as_array_mut().unwrap().push(event(41, "state", text, Some(("HYBRID", "HOLDOVER"))));
    view(report)
}

/// The operator lets traffic flow with less than is configured; the stock falls.
pub(crate) fn overridden() -> LiveView {
    let mut report = report();
    set_state(&mut report, "DEGRADED");
    let status = &mut report["status"];
    status["peers"][0]["override"] = json!({"qkd": "preferred", "remaining_seconds": 640.5,
        "ends": "2026-11-24T09:14:00Z", "reason": "fibre work <b>"});
    status["sources"][0]["lasts_seconds"] = json!(580.0);
    view(report)
}

/// A second after the start.
pub(crate) fn just_started() -> LiveView {
    let mut report = report();
    set_state(&mut report, "HOLDING");
    let status = &mut report["status"];
    status["uptime_seconds"] = json!(1.2);
    let peer = &mut status["peers"][0];
    peer["epoch"] = Value::Null;
    peer["endpoint"] = Value::Null;
    peer["peer_qkd"] = Value::Null;
    for agreed in ["effective_qkd", "effective_min_sources", "effective_limit_seconds"] {
        peer[agreed] = Value::Null;
    }
    peer["handshakes"] = json!({"full": 0, "fast": 0, "failed": 0, "failed_fast": 0, "last_full": null});
    peer["transfer"] = json!({"received_bytes": 0, "sent_bytes": 0, "received_packets": 0, "sent_packets": 0});
    let source = &mut status["sources"][0];
    source["state"] = json!("unknown");
    let unknown = ["stored_keys", "stored_keys_age_seconds", "stored_keys_stale", "tls"];
    for member in unknown.into_iter().chain(["rate_in_per_second", "rate_out_per_second"]) {
        source[member] = Value::Null;
    }
    report["courses"] = json!([{
        "peer": "dc-east", "meaning": plait::control::live::meaning("HOLDING"), "state_age_seconds": 1.2,
        "epochs": [], "states": [], "traffic": []
    }]);
    report["stocks"] = json!([]);
    report["events"] = json!([event(1, "start", "the daemon of version 0.1.0 runs", None)]);
    view(report)
}

/// Three peers, one of them gone.
pub(crate) fn several() -> LiveView {
    let mut report = report();
    for (name, state) in [("branch-with-a-rather-long-name.example", "DOWN"), ("lab", "OFF")] {
        let mut peer = report["status"]["peers"][0].clone();
        peer["name"] = json!(name);
        peer["state"] = json!(state);
        let mut course = report["courses"][0].clone();
        course["peer"] = json!(name);
        course["meaning"] = json!(plait::control::live::meaning(state));
        report["status"]["peers"].as_array_mut().unwrap().push(peer);
        report["courses"].as_array_mut().unwrap().push(course);
    }
    view(report)
}

fn set_state(report: &mut Value, state: &str) {
    report["status"]["state"] = json!(state);
    report["status"]["peers"][0]["state"] = json!(state);
    report["courses"][0]["meaning"] = json!(plait::control::live::meaning(state));
}

fn view(report: Value) -> LiveView {
    LiveView {
        report: serde_json::from_value(report).unwrap(),
        measures: plait::control::measures::Measures::default(),
    }
}

fn event(seq: u64, kind: &str, text: &str, change: Option<(&str, &str)>) -> Value {
    let mut event = json!({"schema": 1, "seq": seq, "time": "2026-11-24T08:49:12.250Z", "kind": kind,
        "peer": "dc-east", "text": text});
    if let Some((from, to)) = change {
        event["from"] = json!(from);
        event["to"] = json!(to);
    }
    event
}

fn policy() -> Value {
    json!({"qkd": "required", "min_sources": 1, "hold_last_seconds": 3600, "degrade_for_seconds": null,
        "rekey_seconds": 60, "rekey_min_seconds": null, "rekey_max_seconds": null, "full_seconds": 600})
}

fn peer() -> Value {
    json!({
        "name": "dc-east", "state": "HYBRID", "fingerprint": "9XJD-QK3F-7KRA-2M4T", "endpoint": "198.51.100.7:51900",
        "allowed_ips": ["10.20.0.0/16", "fd20::/48"], "peer_qkd": "required", "effective_qkd": "required",
        "policy": policy(),
        "epoch": {"number": 120, "age_seconds": 43.1, "qkd_age_seconds": 43.1, "cipher": "aes-256-gcm",
            "check_words": "7f2c-91aa", "mixed": ["x25519", "ml-kem-1024", "fibre-1"],
            "key_ids": [{"source": "fibre-1", "key_id": "4f1c2a9e-8d7b-4c1e-9a55-0b6f3d2a91e2"}]},
        "effective_min_sources": 1, "effective_limit_seconds": 3600, "override": null, "deadline_seconds": null,
        "handshakes": {"full": 12, "fast": 108, "failed": 0, "failed_fast": 0, "last_full": "2026-11-24T09:00:00Z"},
        "transfer": {"received_bytes": 19_778_324_398_u64, "sent_bytes": 2_254_857_830_u64, "received_packets": 13_900_000,
            "sent_packets": 1_600_000},
        "drops": {"replay": 0, "auth": 0, "no_epoch": 0}, "refused": {}
    })
}

fn report() -> Value {
    let source = json!({
        "name": "fibre-1", "peer": "dc-east", "type": "etsi014", "state": "ok", "not_used": null, "stored_keys": 812,
        "stored_keys_age_seconds": 12.5, "stored_keys_stale": false, "rate_in_per_second": 0.048333,
        "rate_out_per_second": 0.016667, "lasts_seconds": null, "tls": "TLSv1.3 X25519MLKEM768", "keys_used": 120,
        "requests_ok": 360, "requests_failed": 0, "last_error": null, "last_error_age_seconds": null,
        "certificate_expiry": "2027-11-24T00:00:00Z"
    });
    let ages = |count: u64, step: f64| (0..count).rev().map(move |n| n as f64 * step);
    let epoch = |(at, age): (usize, f64)| json!({"number": 61 + at, "age_seconds": age + 43.0, "full": at % 10 == 0, "qkd_keys": 1});
    let flow = |age: f64| json!([age, 9.0e6 + 5.0e6 * (age / 90.0).sin(), 1.2e6 + 6.0e5 * (age / 40.0).cos()]);
    let stock = |(at, age): (usize, f64)| json!([age + 12.5, 640 + at - 6 * (at % 4)]);
    json!({
        "schema": 1, "version": "0.1.0", "time": "2026-11-24T09:04:00Z",
        "status": {
            "schema": 1, "interface": "hq-dc", "state": "HYBRID", "fingerprint": "QH3F-7KRA-9XJD-2M4T-AAAA-BBBB-CCCC-DDDD",
            "listen": "[::]:51900", "mtu": 1420, "offload": ["tso", "uso", "gso", "gro"], "offload_given_up": [],
            "uptime_seconds": 7200.0, "policy": policy(), "peers": [peer()], "sources": [source],
            "refused": {}, "unclaimed": {"malformed": 0, "no_route": 0, "not_ip": 0, "queue": 0, "unknown_index": 0}
        },
        "courses": [{
            "peer": "dc-east", "meaning": plait::control::live::meaning("HYBRID"), "state_age_seconds": 7190.0,
            "epochs": ages(60, 60.0).enumerate().map(epoch).collect::<Vec<_>>(),
            "states": [{"age_seconds": 7190.0, "from": "HOLDING", "to": "HYBRID"}],
            "traffic": ages(359, 5.0).map(flow).collect::<Vec<_>>()
        }],
        "stocks": [{
            "source": "fibre-1", "peer": "dc-east", "stored": ages(180, 30.0).enumerate().map(stock).collect::<Vec<_>>()
        }],
        "events": [
            event(39, "start", "the daemon of version 0.1.0 runs", None),
            event(40, "state", "a session stands: HOLDING is HYBRID", Some(("HOLDING", "HYBRID")))
        ]
    })
}
