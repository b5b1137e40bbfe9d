//! What is shipped for Prometheus and Grafana names only figures that exist, and is of a form that promtool takes.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Names of figures in a text: `plait_` and what follows, without the ends that belong to a histogram.
fn figures(text: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    text.match_indices("plait_")
        .filter(|(at, _)| !text[..*at].ends_with(|letter: char| is_name(letter) || letter == '$'))
        .map(|(at, _)| text[at..].chars().take_while(|letter| is_name(*letter)).collect::<String>())
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn documented() -> BTreeSet<String> {
    let lines = include_str!("../../docs/METRICS.md").lines().filter(|line| line.starts_with("| `plait_"));
    lines.flat_map(figures).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn rules_and_dashboard_name_figures_that_exist() {
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    for name in ["alerts.yml", "grafana.json"] {
        let unknown: Vec<String> = figures(&read(name)).difference(&documented).cloned().collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
    assert_eq!(figures("x plait_key_age_seconds > plait_foo_bucket{").len(), 2);
}

#[test]
fn every_state_that_stops_or_endangers_traffic_has_an_alert() {
    let rules = read("alerts.yml");
    for state in ["HOLDOVER", "DEGRADED", "HOLDING", "BLOCKED", "DOWN"] {
        assert!(rules.contains(state), "{state}");
    }
}

#[test]
fn the_dashboard_is_json_whose_panels_do_not_lie_on_each_other() {
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(!panel["targets"][0]["expr"].as_str().unwrap().is_empty());
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}

#[test]
fn promtool_takes_the_rules() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerts.yml");
    match Command::new("promtool").args(["check", "rules", rules]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            eprintln!("NOT RUN promtool_takes_the_rules: promtool: {error} (Debian: apt-get install prometheus)")
        }
    }
}
