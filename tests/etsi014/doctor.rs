//! `plait doctor` without a daemon: planted faults of files and KMEs, each named as the first cause.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::pki::{Odd, Pki};
use crate::sites;
use crate::stub::{Act, Stub, http, tls};
use crate::world::{STILL, serve};

const STATUS: &str = r#"{"source_KME_ID":"KME-A","target_KME_ID":"KME-B","master_SAE_ID":"SAE-A","slave_SAE_ID":"SAE-B","key_size":256,"stored_key_count":5,"max_key_count":9,"max_key_per_request":1,"max_key_size":512,"min_key_size":128,"max_SAE_ID_count":0}"#;

/// What dc owns inside.
const OTHER_SIDE: &str = "10.99.0.2/32";

/// Exit code and what was found, at a site whose KME is at `at`.
struct Found {
    code: i32,
    json: Value,
    text: String,
}

fn plait(pki: &Pki, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.current_dir(pki.dir()).args(["--run-dir", "run"]).args(words).output().unwrap()
}

async fn doctor(pki: &Pki) -> Found {
    let ask = |more: &[&str]| plait(pki, &[&["doctor", "hq/hq.toml"], more].concat());
    let output = tokio::task::block_in_place(|| ask(&["--json"]));
    let text = tokio::task::block_in_place(|| ask(&[]));
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    Found { code: output.status.code().unwrap(), json, text: String::from_utf8(text.stdout).unwrap() }
}

/// The first failure, but for what only root can do.
#[track_caller]
fn first_failure(found: &Found, name: &str, words: &str) {
    let steps = found.json["steps"].as_array().unwrap();
    let may_make_interfaces = nix::unistd::Uid::effective().is_root();
    let first = steps.iter().find(|step| step["outcome"] == "failed" && (may_make_interfaces || step["name"] != "TUN"));
    let first = first.unwrap_or_else(|| panic!("nothing failed: {}", found.text));
    assert!(first["name"] == name && first["text"].as_str().unwrap().contains(words), "{}", found.text);
    assert_eq!((found.code, &found.json["keys_spent"]), (1, &0.into()));
    if may_make_interfaces {
        assert_eq!(&found.json["first_cause"], first);
        assert!(found.text.lines().last().unwrap().starts_with(&format!("look here first: {name}")), "{}", found.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_ready_has_no_failure() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    sites::init(&pki, server.addresses()[0][0], ("SAE-A", "SAE-B"), OTHER_SIDE);
    let found = doctor(&pki).await;
    let steps = found.json["steps"].as_array().unwrap();
    let outcome = |name: &str| steps.iter().find(|step| step["name"] == name).map(|step| step["outcome"].clone());
    for name in ["configuration", "files", "clock", "routes", "KME connection", "KME identity", "KME keys"] {
        assert_eq!(outcome(name), Some("ok".into()), "{name}: {}", found.text);
    }
    assert_eq!(outcome("daemon"), Some("warning".into()));
    assert_eq!(server.order(plait::kme::order::Order::Status).keys_issued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_before_everything_else() {
    let pki = Pki::new();
    sites::init(&pki, "127.0.0.1:1".parse().unwrap(), ("SAE-A", "SAE-B"), OTHER_SIDE);
    std::fs::set_permissions(pki.file("hq/hq.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = doctor(&pki).await;
    assert_eq!(found.json["first_cause"]["name"], "files", "{}", found.text);
    assert!(found.text.contains("chmod 600") && found.code == 1, "{}", found.text);
    let text = std::fs::read_to_string(pki.file("hq/hq.toml")).unwrap().replace("listen", "lissen");
    pki.write("hq/hq.toml", text.as_bytes());
    let found = doctor(&pki).await;
    assert_eq!(found.json["first_cause"]["name"], "configuration", "{}", found.text);
    assert!(found.text.contains("did you mean `listen`?"), "{}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_named() {
    let pki = Pki::new();
    sites::init(&pki, "127.0.0.1:1".parse().unwrap(), ("SAE-A", "SAE-B"), OTHER_SIDE);
    first_failure(&doctor(&pki).await, "KME connection", "nothing listens at 127.0.0.1:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ca_is_named() {
    let (pki, other) = (Pki::new(), Pki::new());
    let server = serve(&pki, STILL, "").await;
    sites::init(&pki, server.addresses()[0][0], ("SAE-A", "SAE-B"), OTHER_SIDE);
    std::fs::copy(other.file("ca.pem"), pki.file("ca.pem")).unwrap();
    first_failure(&doctor(&pki).await, "KME connection", "was not issued by a CA of ca_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_sae_ids_are_named() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    sites::init(&pki, server.addresses()[0][0], ("SAE-B", "SAE-A"), OTHER_SIDE);
    first_failure(&doctor(&pki).await, "KME identity", "local_sae and remote_sae are swapped");
}

/// A KME that shows this certificate and answers everything with its status and these headers.
async fn stub(pki: &Pki, cert: &str, headers: &str) -> Stub {
    let act = Act::Answer(http(200, headers, STATUS));
    Stub::start(tls(pki.certified(cert), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_named_at_either_end() {
    let pki = Pki::new();
    pki.issue("late", &Odd { valid: (-30, -1), ..Odd::default() });
    let kme = stub(&pki, "late", "").await;
    sites::init(&pki, kme.address, ("SAE-A", "SAE-B"), OTHER_SIDE);
    first_failure(&doctor(&pki).await, "KME connection", "the KME's certificate has expired");
    let purpose = rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    pki.issue("SAE-A", &Odd { cn: "SAE-A", san: &[], purpose, valid: (-30, -1) });
    let found = doctor(&pki).await;
    first_failure(&found, "KME connection", "our certificate: CN=SAE-A: ended at");
    assert!(found.text.contains("the KME will refuse it"), "the file says so too: {}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_one_day_off_is_named() {
    let pki = Pki::new();
    let yesterday = http_date(-86_400);
    let kme = stub(&pki, "KME-A", &format!("Date: {yesterday}\r\n")).await;
    sites::init(&pki, kme.address, ("SAE-A", "SAE-B"), OTHER_SIDE);
    first_failure(&doctor(&pki).await, "clock", "set the wrong one right");
    let good = stub(&pki, "KME-A", &format!("Date: {}\r\n", http_date(0))).await;
    let text = std::fs::read_to_string(pki.file("hq/hq.toml")).unwrap();
    pki.write("hq/hq.toml", text.replace(&kme.address.to_string(), &good.address.to_string()).as_bytes());
    let found = doctor(&pki).await;
    assert!(found.text.contains("ok      clock"), "{}", found.text);
}

/// A `Date` so many seconds from now.
fn http_date(offset: i64) -> String {
    let now = i64::try_from(plait::io::clock::Clock::start().unix().0).unwrap() + offset;
    let text = plait::control::time::rfc3339(plait::types::time::UnixTime(now as u64));
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[text[5..7].parse::<usize>().unwrap() - 1];
    format!("Mon, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_kme_is_named() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 0\nstock_start = 0", "").await;
    sites::init(&pki, server.addresses()[0][0], ("SAE-A", "SAE-B"), OTHER_SIDE);
    first_failure(&doctor(&pki).await, "KME keys", "it has no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_the_same_time_are_not_in_each_others_way() {
    let pki = Pki::new();
    sites::init(&pki, "127.0.0.1:1".parse().unwrap(), ("SAE-A", "SAE-B"), OTHER_SIDE);
    let start = |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
        command.current_dir(pki.dir()).args(["--run-dir", "run", "doctor", "hq/hq.toml", "--json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let all: Vec<_> = (0..40).map(start).collect();
    let outputs =
        tokio::task::block_in_place(|| all.into_iter().map(|one| one.wait_with_output().unwrap()).collect::<Vec<_>>());
    for output in outputs {
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let tun = found["steps"].as_array().unwrap().iter().find(|step| step["name"] == "TUN").unwrap();
        assert!(!tun["text"].as_str().unwrap().contains("in use"), "{tun}");
    }
}
