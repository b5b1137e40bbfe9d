//! `plait peer add` and `remove`: a peer comes and goes by command, without the file, or with `--save` in it too.

use crate::hub::Hub;
use crate::reload::kinds;
use crate::site::Site;
use crate::topology::{inner4, inner6, kme4, outer4, runnable};
use crate::traffic::{Echo, Flow, pings};
use crate::validator::fits;
use crate::world::HYBRID_WITHIN;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_secs(20);

/// The options that make site `c` a peer of `a`.
fn about_c(dir: &Path) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let options = [
        ("--name", "c".to_owned()),
        ("--public", file("c.pub")),
        ("--endpoint", format!("{}:51900", outer4(3))),
        ("--allowed-ips", format!("{}/32,{}/128", inner4(3), inner6(3))),
        ("--kme-url", format!("https://{}:8444", kme4(1))),
        ("--local-sae", "SAE-A".to_owned()),
        ("--remote-sae", "SAE-C".to_owned()),
        ("--ca-file", file("pki/ca.pem")),
        ("--cert-file", file("pki/SAE-A.pem")),
        ("--key-file", file("pki/SAE-A.key")),
    ];
    options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
}

/// `plait peer WORDS`; gives the exit code and what was said on both outputs.
fn peer(site: &Site, words: &[&str]) -> (Option<i32>, String, String) {
    let output = site.run(&[&["peer"], words].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn add(site: &Site, name: &str, options: &[String], more: &[&str]) -> (Option<i32>, String, String) {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    peer(site, &[&["add", name], options.as_slice(), more].concat())
}

fn report(schema: &str, (code, out, err): (Option<i32>, String, String)) -> Value {
    assert_eq!(code, Some(0), "{err}");
    fits(schema, &out);
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_peer_is_added_and_removed_by_command_and_the_others_lose_nothing() {
    if !runnable("a_peer_is_added_and_removed_by_command_and_the_others_lose_nothing") {
        return;
    }
    let hub = Hub::up_without_c();
    let _echoes = ["b", "c"].map(|name| Echo::start(&hub.net, name));
    let flow = Flow::start(&hub.net, "a", inner4(2), FAST);
    let (before, file) = (hub.a.status(), std::fs::read_to_string(hub.a.file("toml")).unwrap());
    let routes = || hub.net.ip("a", "route show dev a");
    let to_c = format!("{} ", inner4(3));
    let options = about_c(hub.dir.path());
    let asked = report("peer-add", add(&hub.a, "a", &options, &["--dry-run", "--json"]));
    assert_eq!((kinds(&asked), &asked["dry_run"]), (vec!["peer_added c -".to_owned()], &Value::Bool(true)));
    assert_eq!(hub.a.status().states().len(), 1, "it was only asked");
    let added = report("peer-add", add(&hub.a, "a", &options, &["--json"]));
    assert_eq!((kinds(&added), &added["saved"]), (vec!["peer_added c -".to_owned()], &Value::Bool(false)));
    hub.a.wait_state(&["HYBRID"], SOON);
    hub.c.wait_state(&["HYBRID"], SOON);
    assert_eq!(pings(&hub.net, "a", inner4(3), 50, FAST).lost(), 0);
    assert!(routes().contains(&to_c), "{}", routes());

    let (code, out, err) = peer(&hub.a, &["remove", "a", "c", "--dry-run"]);
    assert!(code == Some(0) && out.contains("peer c: removed") && out.contains("nothing was done"), "{out} {err}");
    let removed = report("peer-remove", peer(&hub.a, &["remove", "a", "c", "--json"]));
    assert_eq!(kinds(&removed), ["peer_removed c -"]);
    hub.c.wait_status("no session", SOON, |status| status.epoch().is_null());
    assert_eq!(pings(&hub.net, "a", inner4(3), 20, FAST).lost(), 20);
    assert!(!routes().contains(&to_c), "{}", routes());
    let after = hub.a.status();
    assert_eq!(after.states(), ["HYBRID"]);
    assert_eq!(after.peer()["handshakes"]["full"], before.peer()["handshakes"]["full"], "the session went on");
    let flow = flow.stop();
    assert_eq!((flow.lost(), flow.duplicates), (0, 0), "of {}", flow.sent());
    assert_eq!(std::fs::read_to_string(hub.a.file("toml")).unwrap(), file, "nothing was to be saved");
}

#[test]
fn what_cannot_be_added_or_removed_changes_nothing() {
    if !runnable("what_cannot_be_added_or_removed_changes_nothing") {
        return;
    }
    let hub = Hub::up_without_c();
    let dir = hub.dir.path();
    let good = about_c(dir);
    let with = |option: &str, value: &str| -> Vec<String> {
        let place = good.iter().position(|word| word == option).unwrap() + 1;
        let mut options = good.clone();
        value.clone_into(&mut options[place]);
        options
    };
    let from = |name: &str, text: &str| -> Vec<String> {
        std::fs::write(dir.join(name), text).unwrap();
        vec!["--from".to_owned(), dir.join(name).display().to_string()]
    };
    let file = hub.a.file("toml").display().to_string();
    let overlap = format!("{}/31", inner4(2));
    let added = [
        ("a", with("--name", "b"), 6, "name: there is a peer \"b\" already"),
        ("a", with("--allowed-ips", &overlap), 6, "overlaps"),
        ("a", with("--public", "/nowhere/c.pub"), 6, "new sections:3:19: public_key_file: cannot open /nowhere/c.pub"),
        ("a", with("--endpoint", "c.example:1"), 6, "endpoint: "),
        ("a", from("bad", "[[peer]]\nnam = \"c\"\n"), 6, "line 2, column 1: unknown key `nam`"),
        ("a", from("more", "[[peer]]\nname = \"c\"\n[policy]\nqkd = \"off\"\n"), 6, "came [policy] too"),
        ("a", from("long", &"#\n".repeat(20_000)), 6, "long"),
        ("nobody", good.clone(), 3, "nobody"),
    ];
    for (name, options, expected, words) in &added {
        let (code, out, err) = add(&hub.a, name, options, &[]);
        assert!(code == Some(*expected) && err.contains(words) && out.is_empty(), "{words}: {code:?} {out} {err}");
    }
    for (words, expected, said) in [
        (&["remove", "a", "bb"][..], 1, "no peer \"bb\" in this interface: there are b; did you mean `b`?"),
        (&["remove", "a", "b"], 6, "expected 1 to"),
        (&["remove", "nobody", "b"], 3, "nobody"),
    ] {
        let (code, out, err) = peer(&hub.a, words);
        assert!(code == Some(expected) && err.contains(said) && out.is_empty(), "{words:?}: {code:?} {out} {err}");
    }
    let output = hub.a.run(&["reload", "a", "--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is another"), "{output:?}");

    // What somebody has written into the file and the daemon has not read is not to be made its own by the way.
    let text = std::fs::read_to_string(hub.a.file("toml")).unwrap();
    std::fs::write(hub.a.file("toml"), format!("{text}# meanwhile\n")).unwrap();
    let (code, _, err) = add(&hub.a, &file, &good, &["--save"]);
    assert!(code == Some(1) && err.contains("says something else than what runs"), "{code:?} {err}");
    assert_eq!(std::fs::read_to_string(hub.a.file("toml")).unwrap(), format!("{text}# meanwhile\n"));
    assert_eq!(hub.a.status().states(), ["HYBRID"]);
}

#[test]
fn what_is_saved_outlives_a_restart() {
    if !runnable("what_is_saved_outlives_a_restart") {
        return;
    }
    let mut hub = Hub::up_without_c();
    let _echo = Echo::start(&hub.net, "c");
    let file = hub.a.file("toml").display().to_string();
    let before = format!("# by hand, to be kept\n{}", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, &before).unwrap();
    assert!(kinds(&serde_json::from_slice(&hub.a.run(&["reload", "a", "--json"]).stdout).unwrap()).is_empty());
    let added = report("peer-add", add(&hub.a, &file, &about_c(hub.dir.path()), &["--save", "--json"]));
    assert_eq!((kinds(&added), &added["saved"]), (vec!["peer_added c -".to_owned()], &Value::Bool(true)));
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.starts_with(&before), "comments and all: {saved}");
    let output = hub.a.run(&["reload", "a", "--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is another"), "{output:?}");
    hub.a.down();
    hub.a.up_as_it_is();
    hub.a.wait_state(&["HYBRID"], HYBRID_WITHIN);
    assert_eq!(hub.a.status().states().len(), 2);
    assert_eq!(pings(&hub.net, "a", inner4(3), 20, FAST).lost(), 0);
    let removed = report("peer-remove", peer(&hub.a, &["remove", &file, "c", "--save", "--json"]));
    assert_eq!((kinds(&removed), &removed["saved"]), (vec!["peer_removed c -".to_owned()], &Value::Bool(true)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "as it was before");
}
