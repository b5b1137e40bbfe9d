//! `plait kme test` and `plait check --online` as processes: against our KMEs, and against scripted ones that break the standard.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::pki::{Odd, Pki};
use crate::sites;
use crate::stub::{Act, Stub, http, tls};
use crate::validator::fits;
use crate::world::{STILL, serve};

const STATUS: &str = r#"{"source_KME_ID":"KME-A","target_KME_ID":"KME-B","master_SAE_ID":"SAE-A","slave_SAE_ID":"SAE-B","key_size":256,"stored_key_count":5,"max_key_count":9,"max_key_per_request":1,"max_key_size":512,"min_key_size":128,"max_SAE_ID_count":0}"#;
const KEY: &str = r#"{"keys":[{"key_ID":"k-0","key":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="}]}"#;

/// `plait kme test` as site A or B at `at`, with more words.
async fn test(pki: &Pki, at: std::net::SocketAddr, side: usize, more: &[&str]) -> Output {
    let (own, other) = if side == 0 { ("SAE-A", "SAE-B") } else { ("SAE-B", "SAE-A") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.current_dir(pki.dir()).args(["kme", "test", "--url", &format!("https://{at}"), "--ca", "ca.pem"]);
    command.args(["--cert", &format!("{own}.pem"), "--key", &format!("{own}.key")]);
    if !more.contains(&"--local-sae") {
        command.args(["--local-sae", own, "--remote-sae", other]);
    }
    command.args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What was printed, which has the published form.
fn json(output: &Output) -> Value {
    fits("kme-test", std::str::from_utf8(&output.stdout).unwrap());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Result of the check of that name, and its text.
fn check<'j>(json: &'j Value, name: &str) -> (&'j str, &'j str) {
    let found = json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no check {name} in {json}"));
    (found["result"].as_str().unwrap(), found["text"].as_str().unwrap())
}

/// A KME that shows `cert` and answers requests in turn: the status, then these.
async fn scripted(pki: &Pki, cert: &str, status: Vec<u8>, answers: Vec<Vec<u8>>) -> Stub {
    let script = move |number: usize| match number {
        0 => Act::Answer(status.clone()),
        _ => Act::Answer(answers.get(number - 1).or_else(|| answers.last()).unwrap().clone()),
    };
    Stub::start(tls(pki.certified(cert), rustls::DEFAULT_VERSIONS), script).await
}

fn refusal(code: u16) -> Vec<u8> {
    http(code, "", "{\"message\":\"no\"}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_pair_passes_every_check_at_both_sites() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let (a, b) = (server.addresses()[0][0], server.addresses()[1][0]);
    let first = test(&pki, a, 0, &["--json"]).await;
    let first_json = json(&first);
    assert!(first.status.success(), "{first:?}");
    assert!(first_json["checks"].as_array().unwrap().len() >= 12, "{first_json}");
    assert_eq!((&first_json["failed"], &first_json["warned"]), (&0.into(), &0.into()), "{first_json}");
    for (name, clause) in [("wrong SAE", "5.4"), ("unknown key_ID", "6.4"), ("TLS", "5.1"), ("key size", "6.1")] {
        let found = first_json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        assert_eq!((&found["clause"], &found["result"]), (&clause.into(), &"PASS".into()));
    }
    let id = first_json["key"]["key_ID"].as_str().unwrap();
    let second = test(&pki, b, 1, &["--json", "--with", id]).await;
    let second_json = json(&second);
    assert_eq!((&second_json["failed"], &second_json["warned"]), (&0.into(), &0.into()), "{second_json}");
    assert_eq!(second_json["key"], first_json["key"]);
    for name in ["key round trip", "double delivery", "voided key", "late availability", "response time"] {
        assert_eq!(check(&second_json, name).0, "PASS");
    }
    assert_eq!(server.order(plait::kme::order::Order::Status).keys_issued, 1, "it says that it spends one key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_written_once_and_holds_no_key() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "tls = \"classical\"").await;
    let a = server.addresses()[0][0];
    let output = test(&pki, a, 0, &["--report", "kme.md"]).await;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let report = std::fs::read_to_string(pki.file("kme.md")).unwrap();
    let id = said.lines().next().unwrap().strip_prefix("key_ID: ").unwrap();
    for words in [id, "| WARN | key exchange |", "TLSv1.3 X25519", "SAE-A", "| PASS | wrong SAE | 5.4 |", "0 failed"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(said.contains("WARN  key exchange: classical"), "{said}");
    let again = test(&pki, a, 0, &["--report", "kme.md"]).await;
    assert!(again.status.code() == Some(1) && again.stdout.is_empty(), "{again:?}");
    assert_eq!(std::fs::read_to_string(pki.file("kme.md")).unwrap(), report);
    assert_eq!(
        server.order(plait::kme::order::Order::Status).keys_issued,
        1,
        "no key is spent for a report that is not written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kme_that_gives_what_it_must_refuse_fails() {
    let pki = Pki::new();
    let all = scripted(&pki, "KME-A", http(200, "", STATUS), vec![http(200, "", KEY)]).await;
    let found = test(&pki, all.address, 0, &["--json"]).await;
    assert_eq!(found.status.code(), Some(1));
    for name in ["wrong SAE", "unknown key_ID", "unknown SAE"] {
        assert_eq!(check(&json(&found), name).0, "FAIL", "{name}");
    }
    let other = scripted(&pki, "KME-A", http(200, "", STATUS), vec![http(200, "", KEY), refusal(404)]).await;
    let found = json(&test(&pki, other.address, 0, &["--json"]).await);
    for name in ["wrong SAE", "unknown key_ID", "unknown SAE"] {
        let (result, text) = check(&found, name);
        assert!(result == "WARN" && text.contains("404") && text.contains("the standard says"), "{name}: {text}");
    }
    let twice =
        scripted(&pki, "KME-A", http(200, "", STATUS), vec![refusal(400), refusal(404), http(200, "", KEY)]).await;
    let found = json(&test(&pki, twice.address, 0, &["--json", "--with", "k-0"]).await);
    assert_eq!(check(&found, "double delivery").0, "FAIL");
    let (result, text) = check(&found, "late availability");
    assert!(result == "WARN" && text.contains("try 2"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_never_comes_or_is_none_fails() {
    let pki = Pki::new();
    let lost = scripted(&pki, "KME-A", http(200, "", STATUS), vec![refusal(400)]).await;
    let found = json(&test(&pki, lost.address, 0, &["--json", "--with", "k-0"]).await);
    let (result, text) = check(&found, "key round trip");
    assert!(result == "FAIL" && text.contains("took the key away"), "{text}");
    assert_eq!(found["key"], Value::Null);
    let zeros = format!("{{\"keys\":[{{\"key_ID\":\"k-0\",\"key\":\"{}=\"}}]}}", "A".repeat(43));
    let constant = scripted(&pki, "KME-A", http(200, "", STATUS), vec![http(200, "", &zeros), refusal(400)]).await;
    let found = json(&test(&pki, constant.address, 0, &["--json"]).await);
    assert_eq!(check(&found, "key bytes").0, "FAIL");
    let none = scripted(&pki, "KME-A", http(200, "", STATUS), vec![refusal(503)]).await;
    let found = json(&test(&pki, none.address, 0, &["--json"]).await);
    assert_eq!(check(&found, "new key").0, "FAIL");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_status_says_is_judged() {
    let pki = Pki::new();
    for (old, new, name, result, words) in [
        ("\"max_key_size\":512", "\"max_key_size\":128", "key size", "FAIL", "256 are needed"),
        ("\"master_SAE_ID\":\"SAE-A\"", "\"master_SAE_ID\":\"SAE-B\"", "SAE ids", "FAIL", "swapped"),
        ("\"master_SAE_ID\":\"SAE-A\"", "\"master_SAE_ID\":\"SAE-Z\"", "SAE ids", "FAIL", "local_sae is wrong"),
        ("\"slave_SAE_ID\":\"SAE-B\"", "\"slave_SAE_ID\":\"SAE-Z\"", "SAE ids", "FAIL", "speaks of SAE-Z"),
        ("\"stored_key_count\":5", "\"stored_key_count\":0", "stock", "WARN", "no key"),
        ("\"key_size\":256,", "", "status members", "WARN", "key_size"),
        ("\"source_KME_ID\":\"KME-A\"", "\"source_KME_ID\":\"KME-Z\"", "KME id", "WARN", "KME-Z"),
    ] {
        assert!(STATUS.contains(old), "{old}");
        let status = http(200, "", &STATUS.replace(old, new));
        let stub = scripted(&pki, "KME-A", status, vec![http(200, "", KEY), refusal(400)]).await;
        let found = json(&test(&pki, stub.address, 0, &["--json"]).await);
        let (came, text) = check(&found, name);
        assert!(came == result && text.contains(words), "{old} -> {new}: {came} {text}");
    }
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let stub = scripted(&pki, "KME-A", http(200, date, STATUS), vec![http(200, "", KEY), refusal(400)]).await;
    let found = json(&test(&pki, stub.address, 0, &["--json"]).await);
    let (result, text) = check(&found, "clock");
    assert!(result == "FAIL" && text.contains("1994-11-06T08:49:37Z"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stage_at_which_a_connection_breaks_is_named() {
    let pki = Pki::new();
    let other = Pki::new();
    pki.issue("late", &Odd { valid: (-9, -1), ..Odd::default() });
    for (cert, words) in [("late", "has expired"), ("SAE-A", "serverAuth")] {
        let stub = scripted(&pki, cert, http(200, "", STATUS), vec![refusal(400)]).await;
        let output = test(&pki, stub.address, 0, &["--json"]).await;
        let found = json(&output);
        let (result, text) = check(&found, "KME certificate");
        assert!(output.status.code() == Some(1) && result == "FAIL" && text.contains(words), "{cert}: {text}");
        assert!(stub.requests().is_empty());
    }
    let server = serve(&other, STILL, "").await;
    let found = json(&test(&pki, server.addresses()[0][0], 0, &["--json"]).await);
    assert!(check(&found, "KME certificate").1.contains("was not issued by a CA of ca_file"));
    std::fs::copy(other.file("ca.pem"), pki.file("ca.pem")).unwrap();
    let found = json(&test(&pki, server.addresses()[0][0], 0, &["--json"]).await);
    assert!(check(&found, "client certificate").1.contains("does not know the CA"), "{found}");
    let found = json(&test(&pki, "127.0.0.1:1".parse().unwrap(), 0, &["--json"]).await);
    assert!(check(&found, "reachable").1.contains("nothing listens"), "{found}");
    assert_eq!(found["key"], Value::Null);
    for name in ["new key", "status"] {
        assert!(
            !found["checks"].as_array().unwrap().iter().any(|check| check["name"] == name),
            "{name} was not looked at"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_ids_are_the_first_failure() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let swapped = ["--json", "--local-sae", "SAE-B", "--remote-sae", "SAE-A"];
    let output = test(&pki, server.addresses()[0][0], 0, &swapped).await;
    let found = json(&output);
    let first = found["checks"].as_array().unwrap().iter().find(|check| check["result"] == "FAIL").unwrap();
    assert!(first["name"] == "SAE ids" && first["text"].as_str().unwrap().contains("swapped"), "{found}");
    assert_eq!(server.order(plait::kme::order::Order::Status).keys_issued, 0);
}

/// `plait check .. --online` with a configuration whose KME is at `at`.
async fn online(pki: &Pki, at: std::net::SocketAddr, saes: (&str, &str)) -> Output {
    if !pki.file("hq/hq.toml").exists() {
        sites::init(pki, at, saes, "10.20.0.0/16");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.current_dir(pki.dir()).args(["check", "hq/hq.toml", "--online"]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_reaches_the_kme_and_spends_no_key() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let good = online(&pki, server.addresses()[0][0], ("SAE-A", "SAE-B")).await;
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(
        good.status.success() && said.contains("kme: reached over TLSv1.3 X25519MLKEM768, 100 keys stored"),
        "{good:?}"
    );
    assert_eq!(server.order(plait::kme::order::Order::Status).keys_issued, 0);
    server.stop().await;
    let gone = online(&pki, "127.0.0.1:1".parse().unwrap(), ("SAE-A", "SAE-B")).await;
    assert!(gone.status.code() == Some(1), "{gone:?}");
    assert!(String::from_utf8_lossy(&gone.stdout).contains("FAIL  reachable"), "{gone:?}");
    assert!(String::from_utf8_lossy(&gone.stderr).contains("not usable: kme"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_warns_of_a_stock_that_a_fixed_interval_soon_uses_up() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 0\nblock_bits = 256\nstock_start = 4", "").await;
    let at = server.addresses()[0][0];
    let few = online(&pki, at, ("SAE-A", "SAE-B")).await;
    let said = String::from_utf8_lossy(&few.stdout).into_owned();
    let warned = "kme  WARN  key budget: 4 keys stored: enough for";
    assert!(few.status.success() && said.contains(warned) && said.contains("plait forecast"), "{few:?}");
    let file = pki.file("hq/hq.toml");
    let fixed = std::fs::read_to_string(&file).unwrap();
    assert!(fixed.contains("rekey = \"60s\""), "{fixed}");
    std::fs::write(&file, fixed.replace("rekey = \"60s\"", "rekey = \"auto\"")).unwrap();
    let follows = online(&pki, at, ("SAE-A", "SAE-B")).await;
    let said = String::from_utf8_lossy(&follows.stdout).into_owned();
    assert!(follows.status.success() && said.contains("4 keys stored") && !said.contains("key budget"), "{follows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_offline_already_that_ids_seem_swapped() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let swapped = online(&pki, server.addresses()[0][0], ("SAE-B", "SAE-A")).await;
    let noted = String::from_utf8_lossy(&swapped.stderr).into_owned();
    assert!(noted.contains("are local_sae and remote_sae swapped?") && noted.contains("hq.toml:"), "{noted}");
    assert!(String::from_utf8_lossy(&swapped.stdout).contains("FAIL  SAE ids"), "{swapped:?}");
    assert_eq!(swapped.status.code(), Some(1));
    assert!(Path::new(&pki.file("hq/hq.toml")).exists());
}
