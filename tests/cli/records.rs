//! `plait events` and `plait audit` without a daemon: from files, and where there are none.

use super::site::Site;
use super::validator::fits;

const EVENTS: &str = concat!(
    "{\"schema\":1,\"seq\":1,\"time\":\"2026-11-24T09:00:00.250Z\",\"kind\":\"start\",\"text\":\"runs\"}\n",
    "{\"schema\":1,\"seq\":2,\"time\":\"2026-11-24T09:00:01.000Z\",\"kind\":\"state\",\"peer\":\"dc\",\"from\":\"HOLDING\",",
    "\"to\":\"HYBRID\",\"text\":\"QKD keys are mixed\"}\n",
    "{\"schema\":1,\"se"
);
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn state(site: &Site) -> std::path::PathBuf {
    let folder = site.at("state/hq");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn without_a_daemon_events_come_from_its_files() {
    let site = Site::new();
    let places = ["--run-dir", "run", "--state-dir", "state"];
    let events = |more: &[&str]| site.plait(&[&places[..], &["events", "hq"], more].concat());
    let none = events(&[]);
    assert!(none.code == 3 && none.out.is_empty() && none.err.contains("none has left events"), "{none:?}");
    std::fs::write(state(&site).join("events.jsonl"), EVENTS).unwrap();
    let text = events(&[]);
    assert_eq!(text.code, 0, "{text:?}");
    assert_eq!(text.out.lines().count(), 2, "a torn line is passed over: {text:?}");
    assert!(text.out.contains("HOLDING -> HYBRID: QKD keys are mixed"), "{text:?}");
    assert!(text.err.contains("no daemon runs"), "{text:?}");
    let json = events(&["--json"]);
    assert_eq!(json.out, EVENTS.split_inclusive('\n').take(2).collect::<String>());
    fits("events", &json.out);
    assert_eq!(events(&["--since", "1s"]).out, "", "all are older");
    for wrong in [&["--since", "yesterday"][..], &["--since"], &["--flow"]] {
        assert_eq!(events(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn an_audit_by_hand_is_shown_verified_and_exported() {
    let site = Site::new();
    let audit =
        |verb: &str, more: &[&str]| site.plait(&[&["--state-dir", "state", "audit", verb, "hq"], more].concat());
    for verb in ["show", "verify", "export"] {
        let none = audit(verb, &[]);
        assert!(none.code == 1 && none.out.is_empty() && none.err.contains("no audit of hq"), "{verb}: {none:?}");
    }
    // printf %s%s 0000..00 BODY | sha256sum
    let body = "{\"n\":1,\"time\":\"2026-11-24T09:00:00.000Z\",\"what\":\"state\",\"peer\":\"dc\",\"from\":\"HOLDING\",\"to\":\"HYBRID\"}";
    let hash = data_encoding::HEXLOWER.encode(&plait::crypto::digest::sha256(format!("{ZEROS}{body}").as_bytes()));
    let line = format!("{hash} {body}\n");
    let folder = state(&site);
    std::fs::write(folder.join("audit.log"), &line).unwrap();
    let head =
        format!("{{\"schema\":1,\"first\":1,\"first_previous\":\"{ZEROS}\",\"last\":1,\"last_hash\":\"{hash}\"}}\n");
    std::fs::write(folder.join("audit.head"), &head).unwrap();
    let verified = audit("verify", &[]);
    assert_eq!((verified.code, verified.out), (0, format!("hq: 1 lines, as written; the last is 1, hash {hash}\n")));
    assert_eq!(audit("show", &[]).out, "2026-11-24T09:00:00.000Z  dc  HOLDING -> HYBRID\n");
    assert_eq!(audit("export", &[]).out, line);
    fits("audit-show", &audit("show", &["--json"]).out);
    fits("audit-verify", &audit("verify", &["--json"]).out);
    assert_eq!(audit("show", &["--since", "1s"]).out, "");
    for (name, content) in [("audit.log", line.replace("HYBRID", "OFF")), ("audit.log", String::new())] {
        std::fs::write(folder.join(name), content).unwrap();
        let broken = audit("verify", &[]);
        assert!(
            broken.code == 1 && broken.out.contains("FAULT") && broken.out.contains("NOT as written"),
            "{broken:?}"
        );
        let json = audit("verify", &["--json"]).out;
        fits("audit-verify", &json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(json["ok"] == false && json["faults"][0]["text"].is_string(), "{json}");
    }
    std::fs::write(folder.join("audit.log"), &line).unwrap();
    std::fs::remove_file(folder.join("audit.head")).unwrap();
    let headless = audit("verify", &[]);
    assert!(headless.code == 1 && headless.out.contains("there is no head"), "{headless:?}");
}
