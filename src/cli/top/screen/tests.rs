//! The screen of `top`, painted into memory: what stands on it, with data, in an outage, without an answer, and when small.

mod picture;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::*;
use crate::control::live::meaning;

fn policy() -> Value {
    json!({"qkd": "required", "min_sources": 1, "hold_last_seconds": 3600, "degrade_for_seconds": null,
        "rekey_seconds": 60, "full_seconds": 600})
}

fn peer(name: &str, state: &str) -> Value {
    json!({
        "name": name, "state": state, "fingerprint": "F", "endpoint": null, "allowed_ips": [], "peer_qkd": null,
        "effective_qkd": null, "policy": policy(), "deadline_seconds": null,
        "epoch": {"number": 44, "age_seconds": 43.1, "qkd_age_seconds": 43.1, "cipher": "aes-256-gcm",
            "check_words": "7f2c-91aa", "mixed": ["x25519", "ml-kem-1024", "fibre-1"], "key_ids": []},
        "handshakes": {"full": 3, "fast": 41, "failed": 0, "last_full": null},
        "transfer": {"received_bytes": 1024, "sent_bytes": 0, "received_packets": 0, "sent_packets": 0},
        "drops": {}, "refused": {}
    })
}

fn screen() -> Screen {
    let report = json!({
        "schema": 1, "version": "0.1.0", "time": "2026-11-24T09:04:00Z",
        "status": {
            "schema": 1, "interface": "hq", "state": "HYBRID", "fingerprint": "F", "listen": "l", "mtu": 1420,
            "uptime_seconds": 7200.0, "policy": policy(), "refused": {},
            "peers": [peer("dc", "HYBRID"), peer("branch", "DOWN")],
            "sources": [{"name": "fibre-1", "peer": "dc", "type": "etsi014", "state": "ok", "stored_keys": 812,
                "stored_keys_age_seconds": 12.5, "stored_keys_stale": false, "rate_in_per_second": 0.01, "rate_out_per_second": 0.017,
                "lasts_seconds": 24000.0, "tls": null, "keys_used": 4, "requests_ok": 5,
                "requests_failed": 0, "last_error": null, "last_error_age_seconds": null, "certificate_expiry": null}]
        },
        "courses": [{"peer": "dc", "meaning": meaning("HYBRID"), "state_age_seconds": 1.0, "epochs": [], "states": [],
            "traffic": [[5.0, 1_250_000.0, 0.0], [0.0, 2_500_000.0, 10.0]]}],
        "stocks": [{"source": "fibre-1", "peer": "dc", "stored": []}],
        "events": [{"schema": 1, "seq": 1, "time": "2026-11-24T08:49:12.250Z", "kind": "state", "peer": "dc",
            "from": "HOLDING", "to": "HYBRID", "text": "a session stands"}]
    });
    Screen::new(serde_json::from_value(report).unwrap(), false)
}

fn painted(screen: &Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.paint(frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().to_string()
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
}

/// The same in another state, with what belongs to it.
fn in_state(state: &str) -> Screen {
    let mut screen = screen();
    let status = &mut screen.live.status;
    (status.state, status.peers[0].state) = (state.to_owned(), state.to_owned());
    screen
}

#[test]
fn everything_stands_on_it() {
    let words = [
        "hq  HYBRID  up 2 h",
        "Nothing to do.",
        "> dc",
        "branch",
        "43 s of 60 s",
        "20.0 Mbit/s",
        "80 bit/s",
        "keys with dc",
        "epoch 44: 43 s of 60 s",
        "check words 7f2c-91aa",
        "received, 1.00 KiB",
        "fibre-1 ok  812 keys (12 s ago), 0.010/s in, 0.017/s out, lasts 6 h",
        "08:49:12 dc a session stands",
    ];
    has(&painted(&screen(), 120, 40), &words);
}

#[test]
fn every_state_has_its_word_and_its_sentence() {
    for state in STATES {
        let text = painted(&in_state(state), 220, 40);
        has(&text, &[&format!("hq  {state}  up"), meaning(state)]);
    }
}

#[test]
fn an_outage_is_named_with_what_is_left_and_what_is_stale() {
    let mut screen = in_state("HOLDOVER");
    let status = &mut screen.live.status;
    status.peers[0].deadline_seconds = Some(2712.0);
    status.sources[0].not_used = Some("unreachable".to_owned());
    status.sources[0].stored_keys_stale = Some(true);
    for (width, height) in [(120, 40), (60, 16)] {
        has(
            &painted(&screen, width, height),
            &["HOLDOVER", "stops in 45 min", "FAILING", "STALE", "QKD keys have stopped"],
        );
    }
    screen.live.status.peers[0].epoch = None;
    has(&painted(&screen, 120, 40), &["no keys in use", "unreachable"]);
}

#[test]
fn an_override_of_the_chosen_peer_is_named_with_its_end() {
    let mut screen = in_state("DEGRADED");
    screen.live.status.peers[0].over = Some(OverrideReport {
        qkd: "preferred".to_owned(),
        remaining_seconds: 600.5,
        ends: "2026-11-24T09:14:00Z".to_owned(),
        reason: "fibre work".to_owned(),
    });
    let words = "POLICY OVERRIDDEN: preferred for 10 min more, until 2026-11-24T09:14:00Z: fibre work";
    has(&painted(&screen, 120, 40), &[words, "DEGRADED"]);
    screen.press(KeyCode::Down);
    assert!(!painted(&screen, 120, 40).contains("OVERRIDDEN"), "it is the other peer's");
}

#[test]
fn without_an_answer_the_figures_are_said_to_be_old() {
    let mut screen = screen();
    screen.fail("no daemon runs".to_owned(), Duration::from_secs(7));
    has(&painted(&screen, 120, 40), &["NO ANSWER, all figures 7 s old: no daemon runs"]);
    let live = screen.live.clone();
    screen.show(live);
    assert!(!painted(&screen, 120, 40).contains("NO ANSWER"));
}

#[test]
fn keys_choose_a_peer_and_stay_within() {
    let mut screen = screen();
    assert!(screen.press(KeyCode::Up));
    assert_eq!(screen.selected, 0);
    for _ in 0..5 {
        assert!(screen.press(KeyCode::Down));
    }
    assert_eq!(screen.selected, 1);
    let text = painted(&screen, 120, 40);
    has(&text, &["> branch", "keys with branch"]);
    assert!(!text.contains("812 keys"), "{text}");
    let mut fewer = screen.live.clone();
    fewer.status.peers.pop();
    screen.show(fewer);
    assert_eq!(screen.selected, 0, "a peer that is gone is not chosen");
}

#[test]
fn q_ends_and_a_question_mark_explains() {
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert!(!screen().press(code));
    }
    let mut screen = screen();
    assert!(screen.press(KeyCode::Char('?')));
    has(&painted(&screen, 160, 40), &["help", "any key: back", "BLOCKED  No QKD keys"]);
    assert!(screen.press(KeyCode::Esc), "it leads back");
    has(&painted(&screen, 120, 40), &["last events"]);
    screen.press(KeyCode::Char('?'));
    assert!(!screen.press(KeyCode::Char('q')));
}

#[test]
fn the_chosen_one_of_many_is_in_sight() {
    let mut screen = screen();
    for at in 0..20 {
        let more = serde_json::from_value(peer(&format!("site-{at}"), "HYBRID")).unwrap();
        screen.live.status.peers.push(more);
    }
    for _ in 0..17 {
        screen.press(KeyCode::Down);
    }
    for (width, height) in [(120, 40), (40, 12)] {
        has(&painted(&screen, width, height), &["> site-15"]);
    }
}

#[test]
fn a_small_terminal_shows_what_matters_most() {
    let text = painted(&screen(), 40, 12);
    has(&text, &["HYBRID", "> dc", "branch", "DOWN", "43 s of 60 s", "fibre-1 ok"]);
    assert!(!text.contains("last events"), "{text}");
    has(&painted(&screen(), 80, 24), &["HYBRID", "fibre-1 ok", "epoch 44", "last events", "received"]);
    for (width, height) in [(1, 1), (10, 3), (300, 100)] {
        assert!(!painted(&screen(), width, height).is_empty());
    }
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let plain = screen();
    assert!(plain.style("DOWN").fg.is_none());
    let coloured = Screen { colours: true, ..screen() };
    assert_eq!(coloured.style("DOWN").fg, Some(Color::Red));
}
