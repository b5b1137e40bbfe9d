//! What verbs print with `--json` without a daemon, held against the published schemas.

use clap::CommandFactory;
use plait::cli::args::Arguments;

use super::run::Run;
use super::site::Site;
use super::validator::{fits, schema};

const PLACES: [&str; 4] = ["--run-dir", "run", "--state-dir", "state"];

fn run(site: &Site, arguments: &[&str]) -> Run {
    site.plait(&[&PLACES[..], arguments].concat())
}

/// Verbs with the option `--json`, their words joined by a hyphen.
fn with_json(command: &clap::Command, name: &str, found: &mut Vec<String>) {
    if command.get_arguments().any(|argument| argument.get_id() == "json") {
        found.push(name.to_owned());
    }
    for inner in command.get_subcommands() {
        let inner_name =
            if name.is_empty() { inner.get_name().to_owned() } else { format!("{name}-{}", inner.get_name()) };
        with_json(inner, &inner_name, found);
    }
}

#[test]
fn every_verb_that_prints_json_has_a_published_schema() {
    let mut found = Vec::new();
    with_json(&Arguments::command(), "", &mut found);
    assert!(found.len() >= 12, "{found:?}");
    for name in found {
        let title = schema(&name)["title"].clone();
        assert_eq!(
            title,
            format!(
                "plait {} --json",
                ["kme", "audit", "ratchet", "policy", "peer"]
                    .iter()
                    .fold(name, |name, group| name.replace(&format!("{group}-"), &format!("{group} ")))
            )
        );
    }
}

#[test]
fn a_good_site_prints_what_the_schemas_say() {
    let site = Site::new();
    for (schema, arguments, code) in [
        ("version", &["version", "--json"][..], 0),
        ("fingerprint", &["fingerprint", "dc.pub", "--json"], 0),
        ("fingerprint", &["fingerprint", "hq.key", "--json"], 0),
        ("check", &["check", "hq.toml", "--json"], 0),
        // Nothing listens where the configuration says that the KME is.
        ("check", &["check", "hq.toml", "--json", "--online"], 1),
        ("doctor", &["doctor", "./hq.toml", "--json"], 1),
        ("report", &["report", "./hq.toml", "--json"], 0),
        ("ratchet-show", &["ratchet", "show", "./hq.toml", "dc", "--json"], 0),
    ] {
        let run = run(&site, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        fits(schema, &run.out);
    }
}

#[test]
fn a_refused_configuration_is_json_too() {
    let site = Site::new().with("listen =", "lissen =");
    let check = run(&site, &["check", "hq.toml", "--json"]);
    assert_eq!(check.code, 6, "{check:?}");
    fits("check", &check.out);
    let report: serde_json::Value = serde_json::from_str(&check.out).unwrap();
    assert_eq!(report["ok"], false);
    assert!(report["faults"][0].as_str().unwrap().contains("did you mean `listen`?"), "{report}");
    assert_eq!(check.err, "", "it is said once");
    fits("doctor", &run(&site, &["doctor", "./hq.toml", "--json"]).out);
}
