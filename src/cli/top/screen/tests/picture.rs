//! The picture of `top` in README.md: the screen itself, painted into memory and written as SVG, letter by letter.

use std::fmt::Write;
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use serde_json::{Value, json};

use super::super::*;

/// Columns and lines of the picture.
const SIZE: (u16, u16) = (100, 30);
/// Width, height and foot of a letter, in units of the picture.
const CELL: (u32, u32, u32) = (9, 19, 14);
/// Around the letters.
const MARGIN: u32 = 12;
/// Colour of letters and of what is behind them.
const PLAIN: [&str; 2] = ["#d8dee9", "#10151c"];
/// Set, the picture is written instead of compared.
const WRITE: &str = "PLAIT_PICTURES";

/// A hub: one peer well under load, one whose KME is away, one without QKD.
fn hub() -> Screen {
    let policy = |qkd: &str| {
        json!({"qkd": qkd, "min_sources": 1, "hold_last_seconds": 3600, "degrade_for_seconds": null,
            "rekey_seconds": 60, "full_seconds": 600})
    };
    let peer = |name: &str, state: &str, (age, qkd_age): (f64, f64), mixed: Value, left: Value| {
        json!({
            "name": name, "state": state, "fingerprint": "F", "endpoint": null, "allowed_ips": [], "peer_qkd": null,
            "effective_qkd": null, "policy": policy(if state == "OFF" { "off" } else { "required" }),
            "deadline_seconds": left,
            "epoch": {"number": 2_044, "age_seconds": age, "qkd_age_seconds": qkd_age, "cipher": "aes-256-gcm",
                "check_words": "7f2c-91aa", "mixed": mixed, "key_ids": []},
            "handshakes": {"full": 205, "fast": 1_839, "failed": 0, "last_full": null},
            "transfer": {"received_bytes": 19_778_430_000_u64, "sent_bytes": 2_254_900_000_u64,
                "received_packets": 0, "sent_packets": 0},
            "drops": {}, "refused": {}
        })
    };
    let source = |name: &str, of: &str, keys: u64, lasts: f64| {
        json!({"name": name, "peer": of, "type": "etsi014", "state": "ok", "stored_keys": keys,
            "stored_keys_age_seconds": 12.5, "stored_keys_stale": false, "rate_in_per_second": 0.012,
            "rate_out_per_second": 0.017, "lasts_seconds": lasts, "tls": null, "keys_used": 2_040, "requests_ok": 2_100,
            "requests_failed": 0, "last_error": null, "last_error_age_seconds": null, "certificate_expiry": null})
    };
    let event = |time: &str, kind: &str, of: &str, text: &str| json!({"schema": 1, "seq": 1, "time": format!("2026-11-24T{time}Z"), "kind": kind, "peer": of, "text": text});
    let course = |name: &str, state: &str, traffic: Vec<(f64, f64, f64)>| {
        json!({"peer": name, "meaning": meaning(state), "state_age_seconds": 1.0, "epochs": [], "states": [],
            "traffic": traffic})
    };
    let x25519 = ["x25519", "ml-kem-1024"];
    let mut report = json!({
        "schema": 1, "version": "0.1.0", "time": "2026-11-24T09:04:00Z",
        "status": {
            "schema": 1, "interface": "hq", "state": "HOLDOVER", "fingerprint": "F", "listen": "l", "mtu": 1420,
            "uptime_seconds": 122_800.0, "policy": policy("required"), "refused": {},
            "peers": [
                peer("dc", "HYBRID", (43.1, 43.1), json!(["x25519", "ml-kem-1024", "fibre-1", "fibre-2"]), Value::Null),
                peer("branch", "HOLDOVER", (12.0, 903.0), json!(x25519), json!(2_712.0)),
                peer("lab", "OFF", (31.0, 0.0), json!(x25519), Value::Null),
            ],
            "sources": [source("fibre-1", "dc", 812, 162_400.0), source("fibre-2", "dc", 96, 19_200.0)]
        },
        "courses": [course("dc", "HYBRID", traffic()), course("branch", "HOLDOVER", vec![(0.0, 41_300.0, 9_800.0)]),
            course("lab", "OFF", vec![(0.0, 1_020.0, 88.0)])],
        "stocks": [],
        "events": [
            event("08:29:40.000", "rekey", "dc", "a full handshake: new keys from X25519 and ML-KEM-1024"),
            event("08:44:11.000", "kme", "branch", "fibre-3: unreachable: nothing listens at kme-c.example:8443"),
            event("08:48:57.000", "state", "branch", "no QKD key came: HOLDOVER, traffic stops in 1 h"),
            event("08:51:02.000", "endpoint", "lab", "moved to 203.0.113.77:51900"),
            event("09:03:17.000", "rekey", "dc", "new keys, each with a fresh QKD key of fibre-1 and fibre-2"),
        ]
    });
    report["events"][2]["from"] = json!("HYBRID");
    report["events"][2]["to"] = json!("HOLDOVER");
    Screen::new(serde_json::from_value(report).unwrap(), true)
}

/// Two minutes of a transfer with a pause in it; drawn, not measured.
fn traffic() -> Vec<(f64, f64, f64)> {
    let wave = |second: u32, every: u32| f64::from((second * second / 7 + second * 13) % every) / f64::from(every);
    (0..48)
        .map(|second| {
            let busy = if (20..27).contains(&second) { 0.08 } else { 1.0 };
            let (received, sent) = (7.2e7 * (0.55 + 0.45 * wave(second, 17)), 9.0e6 * (0.3 + 0.7 * wave(second, 11)));
            (f64::from(47 - second), received * busy, sent * busy)
        })
        .collect()
}

/// A colour of a terminal as one of a page.
fn colour(colour: Color, plain: &'static str) -> &'static str {
    let known = [
        (Color::Green, "#7fd962"),
        (Color::Yellow, "#ffcc66"),
        (Color::Blue, "#6cb6ff"),
        (Color::Magenta, "#d2a6ff"),
        (Color::Red, "#ff6b68"),
    ];
    known.iter().find(|(known, _)| *known == colour).map_or(plain, |(_, code)| code)
}

/// What stands in a cell, drawn so that no font is needed for lines and bars.
fn drawn(symbol: &str, ink: &str, (x, y): (u32, u32)) -> Option<String> {
    let (width, height, _) = CELL;
    let letter = symbol.chars().next()?;
    if ('▁'..='█').contains(&letter) {
        let full = (u32::from(letter) - u32::from('▁') + 1) * height / 8;
        return Some(format!(
            r#"<rect x="{x}" y="{}" width="{width}" height="{full}" fill="{ink}"/>"#,
            y + height - full
        ));
    }
    let (mid_x, mid_y, right, foot) = (x + width / 2, y + height / 2, x + width, y + height);
    let path = match letter {
        '─' => format!("M{x} {mid_y}H{right}"),
        '│' => format!("M{mid_x} {y}V{foot}"),
        '┌' => format!("M{right} {mid_y}H{mid_x}V{foot}"),
        '┐' => format!("M{x} {mid_y}H{mid_x}V{foot}"),
        '└' => format!("M{right} {mid_y}H{mid_x}V{y}"),
        '┘' => format!("M{x} {mid_y}H{mid_x}V{y}"),
        _ => return None,
    };
    Some(format!(r##"<path d="{path}" stroke="#55606e" fill="none"/>"##))
}

/// Letter, colour of it, colour behind it, and whether it is bold.
fn look(cell: &Cell) -> (&str, &'static str, &'static str, bool) {
    let [plain, behind] = PLAIN;
    let (ink, ground) = (colour(cell.fg, plain), colour(cell.bg, behind));
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let (ink, ground) = if reversed { (ground, ink) } else { (ink, ground) };
    // The label of a gauge takes its letters' colour from what is behind the bar.
    let ink = if ground != behind && ink == plain { behind } else { ink };
    (cell.symbol(), ink, ground, cell.modifier.contains(Modifier::BOLD))
}

fn svg(buffer: &Buffer) -> String {
    let (width, height, foot) = CELL;
    let [plain, behind] = PLAIN;
    let [wide, high] = [(SIZE.0, width), (SIZE.1, height)].map(|(cells, unit)| u32::from(cells) * unit + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-size=\"15\" shape-rendering=\"crispEdges\" fill=\"{plain}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\">\n\
         <title>plait top</title>\n<rect width=\"{wide}\" height=\"{high}\" rx=\"8\" fill=\"{behind}\"/>\n"
    );
    for line in 0..SIZE.1 {
        let y = MARGIN + u32::from(line) * height;
        let x = |column: u16| MARGIN + u32::from(column) * width;
        let mut words: Vec<(u16, String, &str, bool)> = Vec::new();
        for (column, cell) in (0..SIZE.0).filter_map(|column| Some((column, buffer.cell((column, line))?))) {
            let (symbol, ink, ground, bold) = look(cell);
            if ground != behind {
                let x = x(column);
                writeln!(svg, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{ground}"/>"#).unwrap();
            }
            if let Some(shape) = drawn(symbol, ink, (x(column), y)) {
                svg.push_str(&(shape + "\n"));
                continue;
            }
            if symbol.trim().is_empty() {
                continue;
            }
            let next = |(from, text, is, was): &(u16, String, &str, bool)| {
                usize::from(column - from) == text.chars().count() && (*is, *was) == (ink, bold)
            };
            match words.last_mut().filter(|word| next(word)) {
                Some((_, text, _, _)) => text.push_str(symbol),
                None => words.push((column, symbol.to_owned(), ink, bold)),
            }
        }
        for (column, text, ink, bold) in words {
            let (x, y, length) = (x(column), y + foot, text.chars().count() as u32 * width);
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            writeln!(svg, r#"<text x="{x}" y="{y}" textLength="{length}" fill="{ink}"{weight}>{text}</text>"#).unwrap();
        }
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_of_the_readme_is_the_screen() {
    let area = Rect::new(0, 0, SIZE.0, SIZE.1);
    let mut buffer = Buffer::empty(area);
    hub().paint(area, &mut buffer);
    let painted = svg(&buffer);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures/top.svg");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &painted).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == painted, "another screen: write its picture with `{WRITE}=write cargo test --lib the_picture_of`");
    assert!(painted.len() < 150_000, "{} bytes", painted.len());
}
