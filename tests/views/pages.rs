//! The page in a browser: at a telephone and at a desk, light and dark, in the moments that matter.

use crate::browser::Browser;
use crate::sample::{in_state, just_started, outage, overridden, several, well};
use crate::server::Server;
use plait::control::live::LiveView;
use serde_json::json;

/// A telephone and a desk.
const SIZES: [(u32, u32); 2] = [(390, 844), (1440, 900)];
/// The least contrast of any text with what is behind it (WCAG 2.2, 1.4.3): ratio, then the text.
const CONTRAST: &str = r#"(() => {
  const parts = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = parts(colour).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor, [, , , alpha] = parts(colour);
      if (alpha !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  let worst = [99, ''];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'title'].includes(node.tagName)) continue;
    const style = getComputedStyle(node), svg = node.tagName === 'text';
    const back = svg && node.classList.contains('onband') ? getComputedStyle(node.parentElement).color : behind(node);
    const [a, b] = [light(svg ? style.fill : style.color), light(back)].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < worst[0]) worst = [ratio, node.textContent];
  }
  return worst;
})()"#;

fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("PLAIT_SCREENSHOTS") {
        browser.picture(&std::path::Path::new(&folder).join(format!("{name}.png")));
    }
}

fn look(name: &str, view: LiveView, words: &[&str]) {
    let Some(mut browser) = Browser::start(name) else { return };
    let server = Server::start(Some(view));
    for size in SIZES {
        for scheme in ["light", "dark"] {
            browser.open(&format!("http://{}/", server.address), size, scheme);
            let (text, what) = (browser.text(), format!("{name} {} {scheme}", size.0));
            for word in words {
                assert!(text.contains(word), "{what}: no {word:?} in\n{text}");
            }
            for leftover in ["undefined", "NaN", "null", "[object", "Infinity"] {
                assert!(!text.contains(leftover), "{what}: {leftover} in\n{text}");
            }
            let wide = browser.ask("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= size.0.into(), "{what}: {wide} pixels wide");
            let contrast = browser.ask(CONTRAST);
            assert!(contrast[0].as_f64().unwrap() >= 4.5, "{what}: contrast {contrast}");
            keep(&mut browser, &format!("{name}-{}-{scheme}", size.0));
        }
    }
    assert!(browser.complaints.is_empty(), "{name}: {:?}", browser.complaints);
}

#[test]
fn with_data() {
    let words = [
        "hq-dc",
        "HYBRID",
        "dc-east",
        "Nothing to do",
        "7f2c-91aa",
        "EPOCH 120, AGE",
        "of 60 s",
        "812 keys stored",
        "0.048/s in, 0.017/s out",
        "key_ID 4f1c...e2",
        "received",
        "Mbit/s",
        "a session stands",
        "18.4 GiB received",
        "TLSv1.3 X25519MLKEM768",
    ];
    look("well", well(), &words.map(|word| if word.starts_with("EPOCH") { "Epoch 120, age" } else { word }));
}

#[test]
fn with_an_outage() {
    let words = [
        "HOLDOVER",
        "Traffic stops in 00:45:",
        "FAILING",
        "STALE",
        "a firewall that drops <b>",
        "No keys from it: unreachable",
        "Look at the KME",
        "17 no-route",
        "gro GIVEN UP",
        "certificate ends in 7 days",
        "QKD keys stopped coming",
        "for 14 min",
    ];
    look("outage", outage(), &words);
}

#[test]
fn just_after_the_start() {
    let words = ["HOLDING", "none: no keys in use", "not asked yet", "Stock not known yet", "collecting", "none yet"];
    look("started", just_started(), &words);
}

#[test]
fn while_the_policy_is_overridden() {
    let words = [
        "DEGRADED",
        "Policy overridden: preferred, ends in 00:10:",
        "2026-11-24 09:14:00 UTC",
        "fibre work <b>",
        "lasts 9 min",
    ];
    look("overridden", overridden(), &words);
}

#[test]
fn with_several_peers() {
    look("several", several(), &["branch-with-a-rather-long-name.example DOWN", "lab OFF", "dc-east HYBRID"]);
}

#[test]
fn every_state_has_its_word_and_its_sentence() {
    let Some(mut browser) = Browser::start("every_state") else { return };
    for state in ["HYBRID", "OFF", "HOLDOVER", "DEGRADED", "HOLDING", "BLOCKED", "DOWN"] {
        let server = Server::start(Some(in_state(state)));
        browser.open(&format!("http://{}/", server.address), SIZES[0], "light");
        let text = browser.text();
        assert!(text.contains(plait::control::live::meaning(state)), "{state}: {text}");
        assert_eq!(browser.ask("document.title"), json!(format!("{state} hq-dc")));
    }
}

#[test]
fn a_daemon_that_stops_answering_is_said_and_its_figures_stand_still() {
    let Some(mut browser) = Browser::start("no_answer") else { return };
    let server = Server::start(Some(well()));
    browser.open(&format!("http://{}/", server.address), SIZES[0], "dark");
    assert_eq!(browser.ask("document.getElementById('alert').hidden"), json!(true));
    drop(server);
    browser.wait("failure !== ''");
    // Twenty seconds later.
    browser.ask("seen -= 20000; tick()");
    let text = browser.text();
    assert!(text.contains("NO ANSWER from the daemon") && text.contains("All figures below are 2"), "{text}");
    assert_eq!(browser.ask("document.title"), json!("NO ANSWER hq-dc"));
    for id in ["state", "index", "peers", "events", "foot"] {
        let opacity = browser.ask(&format!("getComputedStyle(document.getElementById('{id}')).opacity"));
        assert_eq!(opacity, json!("0.45"), "#{id} is old too");
    }
    keep(&mut browser, "no-answer-390-dark");
    browser.complaints.retain(|complaint| !complaint.contains("ERR_CONNECTION_REFUSED"));
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}
