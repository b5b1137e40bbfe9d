//! The command line of `plait kme` against a pair that it serves itself.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::validator::fits;
use crate::world::pair_text;

/// `plait kme serve` at work; it is ended with the test.
struct Pair {
    dir: tempfile::TempDir,
    child: Child,
    urls: [String; 2],
}

impl Drop for Pair {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn plait(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.current_dir(dir).args(["--run-dir", "run"]);
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    plait(dir).args(arguments).output().unwrap()
}

impl Pair {
    fn serve(link: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = run(
            dir.path(),
            &[
                "kme",
                "cert",
                "--dir",
                "pki",
                "--kme",
                "KME-A=127.0.0.1",
                "--kme",
                "KME-B=127.0.0.1",
                "--sae",
                "SAE-A",
                "--sae",
                "SAE-B",
            ],
        );
        assert!(made.status.success(), "{made:?}");
        std::fs::write(dir.path().join("pair.toml"), pair_text(Path::new("pki"), link, "")).unwrap();
        let mut child = plait(dir.path()).args(["kme", "serve", "pair.toml"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let urls = ["KME-A ", "KME-B "].map(|id| lines.next().unwrap().unwrap().strip_prefix(id).unwrap().to_owned());
        Self { dir, child, urls }
    }

    /// `plait kme VERB ..` at site A or B, by options.
    fn at(&self, side: usize, words: &[&str]) -> Output {
        let (own, other) = if side == 0 { ("SAE-A", "SAE-B") } else { ("SAE-B", "SAE-A") };
        let mut command = plait(self.dir.path());
        command.arg("kme").args(words).args(["--url", &self.urls[side], "--ca", "pki/ca.pem"]);
        command.args(["--cert", &format!("pki/{own}.pem"), "--key", &format!("pki/{own}.key")]);
        command.args(["--local-sae", own, "--remote-sae", other]).output().unwrap()
    }

    fn config(&self, name: &str, sections: &str) {
        let identity = run(self.dir.path(), &["genkey", "--out", &format!("{name}.key")]);
        assert!(identity.status.success());
        let text = format!(
            "[interface]\nprivate_key_file = \"{name}.key\"\naddress = [\"10.99.0.1/30\"]\n{sections}\n\
             [[peer]]\nname = \"dc\"\npublic_key_file = \"dc.pub\"\nallowed_ips = [\"10.20.0.0/16\"]\n"
        );
        std::fs::write(self.dir.path().join(format!("{name}.toml")), text).unwrap();
    }

    fn section(&self, side: usize, id: u8) -> String {
        let (own, other) = if side == 0 { ("SAE-A", "SAE-B") } else { ("SAE-B", "SAE-A") };
        format!(
            "[[qkd]]\nid = {id}\nname = \"fibre-{id}\"\ntype = \"etsi014\"\nurl = \"{}\"\nlocal_sae = \"{own}\"\n\
             remote_sae = \"{other}\"\nca_file = \"pki/ca.pem\"\ncert_file = \"pki/{own}.pem\"\n\
             key_file = \"pki/{own}.key\"\n",
            self.urls[side]
        )
    }
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(words), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

const STOCK: &str = "key_rate = 0\nstock_start = 20";

#[test]
fn keys_and_status_are_printed_as_the_standards_json() {
    let pair = Pair::serve(STOCK);
    let status = pair.at(0, &["status"]);
    assert_eq!(json(&status)["stored_key_count"], 20);
    fits("kme-status", std::str::from_utf8(&status.stdout).unwrap());
    assert!(String::from_utf8_lossy(&status.stderr).contains("over TLSv1.3 X25519MLKEM768"));
    let keys = json(&pair.at(0, &["get-key", "--number", "2", "--size", "512"]));
    let id = |at: usize| keys["keys"][at]["key_ID"].as_str().unwrap();
    assert_eq!(keys["keys"][1]["key"].as_str().unwrap().len(), 88);
    let words = ["get-key-ids", id(1), id(0), "--get"];
    assert_eq!(json(&pair.at(1, &words))["keys"].as_array().unwrap().len(), 2);
    let one = json(&pair.at(0, &["get-key", "--get"]));
    let id = one["keys"][0]["key_ID"].as_str().unwrap();
    assert_eq!(json(&pair.at(1, &["get-key-ids", id, "--get"])), one);
}

#[test]
fn two_sites_compare_a_fingerprint_and_never_see_the_key() {
    let pair = Pair::serve(STOCK);
    let first = pair.at(0, &["test"]);
    let said = String::from_utf8(first.stdout).unwrap();
    let id = said.lines().next().unwrap().strip_prefix("key_ID: ").unwrap();
    let second = pair.at(1, &["test", "--with", id]);
    let second = String::from_utf8(second.stdout).unwrap();
    let shown = |said: &str| said.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(shown(&second), shown(&said));
    assert!(shown(&said)[2].starts_with("fingerprint: "), "{said}");
    assert!(String::from_utf8_lossy(&first.stderr).contains(&format!("--with {id}")));
    let longest = said.split_whitespace().map(str::len).max().unwrap();
    assert!(longest < 43, "no word is as long as a key in base64 or hexadecimal: {said}");
    fails(&pair.at(1, &["test", "--with", "a b"]), 2, "key_ID");
}

#[test]
fn a_configuration_names_the_kme_and_its_source() {
    let pair = Pair::serve(STOCK);
    let dir = pair.dir.path();
    pair.config("one", &pair.section(0, 0));
    assert_eq!(json(&run(dir, &["kme", "status", "one.toml"]))["slave_SAE_ID"], "SAE-B");
    pair.config("two", &(pair.section(0, 0) + &pair.section(1, 1)));
    fails(&run(dir, &["kme", "status", "two.toml"]), 2, "fibre-0, fibre-1");
    fails(&run(dir, &["kme", "status", "two.toml", "--source", "fibre-9"]), 2, "expected one of fibre-0, fibre-1");
    for source in ["fibre-1", "1"] {
        assert_eq!(json(&run(dir, &["kme", "status", "two.toml", "--source", source]))["slave_SAE_ID"], "SAE-A");
    }
    let keys = json(&run(dir, &["kme", "get-key", "two.toml", "--source", "0"]));
    let id = keys["keys"][0]["key_ID"].as_str().unwrap();
    assert_eq!(json(&run(dir, &["kme", "get-key-ids", "two.toml", id, "--source", "1"])), keys);
    std::fs::remove_file(dir.join("pki/SAE-A.pem")).unwrap();
    fails(&run(dir, &["kme", "status", "one.toml"]), 6, "pki/SAE-A.pem");
}

#[test]
fn wrong_usage_and_wrong_certificates_are_told_apart() {
    let pair = Pair::serve(STOCK);
    let dir = pair.dir.path();
    fails(&run(dir, &["kme", "status"]), 2, "NAME|FILE");
    fails(&run(dir, &["kme", "status", "nowhere.toml"]), 6, "nowhere.toml");
    fails(&run(dir, &["kme", "get-key-ids", "one.toml"]), 2, "key_ID");
    fails(&run(dir, &["kme", "status", "--url", &pair.urls[0]]), 2, "--cert");
    fails(&pair.at(0, &["get-key", "--number", "129"]), 2, "129");
    fails(&pair.at(0, &["get-key-ids", "a b"]), 2, "key_ID");
    fails(&pair.at(0, &["status", "x.toml"]), 2, "not both");
    fails(&pair.at(0, &["get-key", "--number", "21"]), 1, "no key now");
    fails(&pair.at(0, &["status", "--server-name", "KME-Z"]), 1, "expected server_name");
    assert!(pair.at(0, &["status", "--server-name", "KME-A"]).status.success());
    fails(&pair.at(0, &["status", "--pin-sha256", &"00".repeat(32)]), 1, "is not the pinned one");
    fails(&pair.at(0, &["status", "--pin-sha256", "zz"]), 2, "64 hexadecimal");
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let pair = Pair::serve(STOCK);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let at = format!("http://{}", proxy.local_addr().unwrap());
    pair.config("one", &pair.section(0, 0));
    let mut command = plait(pair.dir.path());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env(name, &at);
    }
    let output = command.args(["kme", "status", "one.toml"]).output().unwrap();
    assert_eq!(json(&output)["slave_SAE_ID"], "SAE-B");
    let spoken_to = proxy.accept();
    assert_eq!(spoken_to.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn the_link_of_a_running_pair_is_steered() {
    let pair = Pair::serve("key_rate = 1000000000\nblock_bits = 256\nstock_start = 0\nstock_max = 5");
    let link = |words: &[&str]| run(pair.dir.path(), &[&["kme", "link"], words].concat());
    let down = json(&link(&["pair", "down"]));
    assert_eq!((&down["up"], &down["rate_bits_per_second"]), (&false.into(), &1_000_000_000.into()));
    while pair.at(0, &["get-key"]).status.success() {}
    fails(&pair.at(0, &["get-key"]), 1, "no key now");
    let slow = json(&link(&["pair", "rate", "0"]));
    assert_eq!((&slow["up"], &slow["rate_bits_per_second"]), (&false.into(), &0.into()));
    assert_eq!(json(&link(&["pair", "up"]))["up"], true);
    fails(&pair.at(0, &["get-key"]), 1, "no key now");
    json(&link(&["pair", "rate", "1000000000"]));
    assert_eq!(json(&link(&["pair", "status"]))["stored_keys"], serde_json::json!([5]));
    assert!(pair.at(0, &["get-key"]).status.success());
    fails(&link(&["other", "up"]), 3, "no KME pair runs here");
    fails(&link(&["../pair", "up"]), 2, "name");
    fails(&run(pair.dir.path(), &["kme", "serve", "pair.toml"]), 1, "runs already");
}

#[test]
fn faults_of_a_running_pair_are_ordered_shown_and_taken_back() {
    let pair = Pair::serve(STOCK);
    let fault = |words: &[&str]| run(pair.dir.path(), &[&["kme", "fault"], words].concat());
    assert_eq!(json(&fault(&["pair", "wrong-key", "3"]))["faults_waiting"], 3);
    let shown = json(&fault(&["pair", "empty-404", "--at", "KME-B"]));
    let expected = serde_json::json!([{"fault": "wrong-key", "left": 3}, {"fault": "empty-404", "kme": "KME-B"}]);
    assert_eq!(shown["faults"], expected);
    assert_eq!(json(&fault(&["pair"]))["faults"], expected);
    assert_eq!(json(&fault(&["pair", "wrong-key", "off"]))["faults_waiting"], 0);
    json(&fault(&["pair", "answers-503"]));
    fails(&pair.at(0, &["get-key"]), 1, "503");
    json(&pair.at(0, &["get-key"]));
    assert_eq!(json(&fault(&["pair", "none"]))["faults"], serde_json::json!([]));
    let list = String::from_utf8(fault(&["list"]).stdout).unwrap();
    for known in plait::kme::catalogue::Fault::ALL {
        assert!(list.contains(&format!("  {:<18} {}", known.name(), known.words())), "{known}");
    }
    fails(&fault(&["pair", "wrong-kye"]), 2, "did you mean `wrong-key`?");
    fails(&fault(&["pair", "get-only", "3"]), 2, "is a habit");
    fails(&fault(&["pair", "hang", "often"]), 2, "expected a number");
    fails(&fault(&["pair", "none", "3"]), 2, "takes everything back");
    fails(&fault(&["pair", "hang", "--at", "KME-Z"]), 1, "KME-A and KME-B");
    fails(&fault(&["other", "hang"]), 3, "no KME pair runs here");
}

#[test]
fn a_pair_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let mut pair = Pair::serve(STOCK);
    pair.child.kill().unwrap();
    pair.child.wait().unwrap();
    fails(&run(pair.dir.path(), &["kme", "link", "pair", "up"]), 4, "pair.kme.sock");
    let mut next = plait(pair.dir.path()).args(["kme", "serve", "pair.toml"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(next.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let steered = run(pair.dir.path(), &["kme", "link", "pair", "status"]);
    next.kill().unwrap();
    next.wait().unwrap();
    assert_eq!(json(&steered)["up"], true);
}

#[test]
fn a_wrong_pair_file_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pair.toml"), "name = \"pair\"\nlnk = 1\n").unwrap();
    fails(&run(dir.path(), &["kme", "serve", "pair.toml"]), 6, "line 2");
    let strange = pair_text(Path::new("pki"), STOCK, "") + "[fault]\nnot-fuond-404 = true\n";
    std::fs::write(dir.path().join("pair.toml"), strange).unwrap();
    fails(&run(dir.path(), &["kme", "serve", "pair.toml"]), 6, "did you mean `not-found-404`?");
    fails(&run(dir.path(), &["kme", "serve", "nowhere.toml"]), 6, "nowhere.toml");
    fails(&run(dir.path(), &["kme", "cert", "--dir", "pki"]), 2, "--kme");
    fails(&run(dir.path(), &["kme", "cert", "--dir", "pki", "--kme", "KME-A"]), 2, "ID=NAME");
}
