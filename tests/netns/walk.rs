//! The whole way of two sites with the operator's verbs alone: from `init` over a planned outage, a new peer and changed
//! certificates to `report`. Through all of it one flow of packets loses none.

use crate::kme::{KmePair, certificates};
use crate::process::{Process, finish, plait, succeed, wait_for};
use crate::topology::{Net, inner4, kme4, outer4, runnable};
use crate::traffic::{Echo, Flow, pings};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(20);
/// A daemon answers, a session is made, a key comes.
const SOON: Duration = Duration::from_secs(20);
/// A stock of [`STOCK`] keys is used up at one rekey in two seconds, or filled again.
const LATER: Duration = Duration::from_secs(60);
/// Keys that the KMEs of the two sites hold at most, and make in a second.
const STOCK: (u32, u32) = (8, 4);

/// Somebody at a site, with a folder for its files.
struct Operator {
    name: &'static str,
    /// Number of the site in the topology.
    n: u8,
    root: PathBuf,
    net: Arc<Net>,
    daemon: Option<Process>,
}

impl Operator {
    fn new(net: &Arc<Net>, root: &Path, name: &'static str, n: u8) -> Self {
        std::fs::create_dir(root.join(name)).unwrap();
        Self { name, n, root: root.to_owned(), net: Arc::clone(net), daemon: None }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join(self.name).join(name)
    }

    /// The configuration as an argument.
    fn config(&self) -> String {
        self.file(&format!("{}.toml", self.name)).display().to_string()
    }

    /// Runs a verb here; it must succeed. Gives what it printed, and what it said beside that.
    #[track_caller]
    fn does(&self, words: &[&str]) -> (String, String) {
        let output = self.net.inside(self.name, || finish(plait(&self.root).args(words)));
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{words:?} at {}: {}\n{out}\n{err}", self.name, output.status);
        (out, err)
    }

    /// The same with `--json`.
    #[track_caller]
    fn asks(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.does(&[words, &["--json"]].concat()).0).unwrap()
    }

    /// Makes configuration and keys for a link to `peer`, whose KME link has this port.
    fn init(&self, peer: &Self, port: u16) {
        let dir = self.root.join(self.name).display().to_string();
        let endpoint = format!("{}:51900", outer4(peer.n));
        let (address, behind) = (format!("{}/24", inner4(self.n)), format!("{}/32", inner4(peer.n)));
        let url = format!("https://{}:{port}", kme4(self.n));
        let [ours, theirs] = [self, peer].map(Self::sae);
        let (made, next) = self.does(&[
            "init",
            self.name,
            "--dir",
            &dir,
            "--peer",
            peer.name,
            "--address",
            &address,
            "--endpoint",
            &endpoint,
            "--allowed-ips",
            &behind,
            "--kme-url",
            &url,
            "--local-sae",
            &ours,
            "--remote-sae",
            &theirs,
        ]);
        assert_eq!(made.lines().count(), 3, "{made}");
        for step in ["send ", "plait check ", "plait up ", "plait status "] {
            assert!(next.contains(step), "{next}");
        }
        // The KME gives keys faster than one a minute: an operator shortens the interval in the file that was made.
        self.edit("rekey = \"60s\"", "rekey = \"2s\"");
        self.takes_certificates("pki");
    }

    fn sae(&self) -> String {
        format!("SAE-{}", self.name)
    }

    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(self.config(), text.replacen(from, to, 1)).unwrap();
    }

    /// What the vendor hands over, by the names that `init` has written.
    fn takes_certificates(&self, folder: &str) {
        let sae = self.sae();
        for (from, to) in
            [("ca.pem", "kme-ca.pem"), (&format!("{sae}.pem"), "sae.pem"), (&format!("{sae}.key"), "sae.key")]
        {
            std::fs::copy(self.root.join(folder).join(from), self.file(to)).unwrap();
        }
    }

    /// Gets the public file of the other site, and both compare the fingerprint.
    fn takes_public_file(&self, of: &Self) {
        let name = format!("{}.pub", of.name);
        std::fs::copy(of.file(&name), self.file(&name)).unwrap();
        let shown = |site: &Self| site.does(&["fingerprint", &site.file(&name).display().to_string()]).0;
        assert_eq!(shown(self), shown(of));
    }

    /// Looks before it starts: nothing is wrong, but that no daemon runs yet.
    fn checks(&self) {
        let checked = self.asks(&["check", &self.config(), "--online"]);
        assert_eq!((&checked["ok"], &checked["notes"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{checked:#}");
        let found = self.asks(&["doctor", &self.config()]);
        assert_eq!(found["first_cause"]["name"], "daemon", "{found:#}");
    }

    fn starts(&mut self) {
        let mut command = plait(&self.root);
        command.arg("up").arg(self.config());
        let log = self.file("log");
        self.daemon = Some(self.net.inside(self.name, || Process::start(self.name, command, log)));
    }

    /// What `plait status` says, once it is as wanted.
    fn sees(&self, what: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{what} at {}", self.name), within, || {
            let output = self.net.inside(self.name, || finish(plait(&self.root).args(["status", self.name, "--json"])));
            serde_json::from_slice(&output.stdout).ok().filter(|status| wanted(status))
        })
    }

    fn sees_state(&self, state: &str, within: Duration) -> Value {
        self.sees(state, within, |status| status["state"] == state)
    }

    /// The next epoch of its first peer has a QKD key in it.
    fn sees_fresh_keys(&self) {
        let used = |status: &Value| status["sources"][0]["keys_used"].as_u64().unwrap();
        let before = used(&self.sees("status", SOON, |_| true));
        self.sees("a fresh QKD key", LATER, |status| used(status) > before && status["state"] == "HYBRID");
    }

    /// Has the daemon take its files again: first it says what it would do, then it does that. Gives the kinds of changes.
    fn reloads(&self) -> Vec<String> {
        let planned = self.asks(&["reload", self.name, "--dry-run"]);
        let done = self.asks(&["reload", self.name]);
        assert_eq!(planned["changes"], done["changes"]);
        let changes = done["changes"].as_array().unwrap();
        changes.iter().map(|change| change["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn stops(&mut self) {
        self.does(&["down", self.name]);
        let mut daemon = self.daemon.take().unwrap();
        let status = wait_for("end of the daemon", SOON, || daemon.ended());
        assert_eq!(status.code(), Some(0), "{}", self.name);
    }
}

/// Two sites with a link, a third one to come, and the KMEs of both links. Dropped in this order.
struct Walk {
    hq: Operator,
    dc: Operator,
    branch: Operator,
    link: KmePair,
    _link_to_branch: KmePair,
    net: Arc<Net>,
    dir: tempfile::TempDir,
}

impl Walk {
    fn begin() -> Self {
        let (net, dir) = (Arc::new(Net::new(&["hq", "dc", "branch"])), tempfile::tempdir().unwrap());
        let root = dir.path().to_path_buf();
        let kmes = [("KME-HQ", 1), ("KME-DC", 2), ("KME-HQ2", 1), ("KME-BRANCH", 3)];
        certificates(&root, "pki", &kmes, &["SAE-hq", "SAE-dc", "SAE-branch"]);
        let pair = |name: &str, ends, port| KmePair::new(Arc::clone(&net), root.clone(), name, ends, port);
        let mut link = pair("link", [(1, "KME-HQ", "SAE-hq"), (2, "KME-DC", "SAE-dc")], 8443);
        link.stock(STOCK.0, STOCK.1);
        let mut to_branch = pair("to-branch", [(1, "KME-HQ2", "SAE-hq"), (3, "KME-BRANCH", "SAE-branch")], 8444);
        link.up();
        to_branch.up();
        let site = |name, n| Operator::new(&net, &root, name, n);
        let (hq, dc, branch) = (site("hq", 1), site("dc", 2), site("branch", 3));
        Self { hq, dc, branch, link, _link_to_branch: to_branch, net, dir }
    }

    /// First steps of two sites, up to a tunnel that both understand.
    fn link_two_sites(&mut self) {
        let Self { hq, dc, .. } = self;
        hq.init(dc, 8443);
        dc.init(hq, 8443);
        hq.takes_public_file(dc);
        dc.takes_public_file(hq);
        hq.checks();
        dc.checks();
        let tested = hq.asks(&["kme", "test", &hq.config()]);
        let id = tested["key"]["key_ID"].as_str().unwrap();
        let theirs = dc.asks(&["kme", "test", &dc.config(), "--with", id]);
        assert_eq!((&tested["failed"], &theirs["failed"]), (&0.into(), &0.into()), "{tested:#}\n{theirs:#}");
        assert_eq!(tested["key"]["fingerprint"], theirs["key"]["fingerprint"]);
        hq.starts();
        dc.starts();
        hq.sees_state("HYBRID", SOON);
        dc.sees_state("HYBRID", SOON);
        let words = |site: &Operator| site.asks(&["status", site.name])["peers"][0]["epoch"]["check_words"].clone();
        wait_for("same check words at both ends", SOON, || {
            let (ours, theirs) = (words(hq), words(dc));
            (ours == theirs && ours.is_string()).then_some(())
        });
        let found = hq.asks(&["doctor", &hq.config()]);
        let failed = found["steps"].as_array().unwrap().iter().filter(|step| step["outcome"] == "failed").count();
        assert_eq!(failed, 0, "{found:#}");
    }

    /// Fibre work that was announced: the stock lasts a while, then HOLDOVER, and all comes back by itself.
    fn outage(&self) {
        let told = wait_for("forecast that knows the stock", SOON, || {
            let told = self.hq.asks(&["forecast", "hq"])["peers"][0]["if_cut"].clone();
            (told["unknown"] == false).then_some(told)
        });
        let most = u64::from(STOCK.0) * 2 + 2;
        assert!(told["short_seconds"].as_u64().is_some_and(|seconds| seconds <= most), "{told:#}");
        assert_eq!((&told["short_state"], &told["next_state"]), (&"HOLDOVER".into(), &"BLOCKED".into()), "{told:#}");
        self.link.cut();
        self.hq.sees_fresh_keys();
        let status = self.hq.sees_state("HOLDOVER", LATER);
        assert!(status["peers"][0]["deadline_seconds"].as_f64().is_some_and(|left| left > 3000.0), "{status:#}");
        self.dc.sees_state("HOLDOVER", LATER);
        self.link.repair();
        for site in [&self.hq, &self.dc] {
            site.sees_state("HYBRID", LATER);
        }
        let (events, _) = self.hq.does(&["events", "hq", "--since", "1h"]);
        assert!(events.contains("HOLDOVER") && events.contains("HYBRID"), "{events}");
    }

    /// One more site: its sections go to the end of the file at hq.
    fn new_peer(&mut self) {
        let Self { hq, branch, .. } = self;
        branch.init(hq, 8444);
        branch.takes_public_file(hq);
        hq.takes_public_file(branch);
        let text = std::fs::read_to_string(hq.config()).unwrap();
        let sections = format!(
            "\n[[qkd]]\npeer = \"branch\"\nname = \"kme-branch\"\ntype = \"etsi014\"\nurl = \"https://{}:8444\"\n\
             local_sae = \"SAE-hq\"\nremote_sae = \"SAE-branch\"\nca_file = \"kme-ca.pem\"\ncert_file = \"sae.pem\"\n\
             key_file = \"sae.key\"\n\n[[peer]]\nname = \"branch\"\npublic_key_file = \"branch.pub\"\n\
             endpoint = \"{}:51900\"\nallowed_ips = [\"{}/32\"]\n",
            kme4(1),
            outer4(3),
            inner4(3),
        );
        std::fs::write(hq.config(), text + &sections).unwrap();
        branch.checks();
        branch.starts();
        assert_eq!(hq.reloads(), ["peer_added"]);
        hq.sees("two peers, all HYBRID", SOON, |status| {
            status["state"] == "HYBRID" && status["peers"].as_array().is_some_and(|peers| peers.len() == 2)
        });
        branch.sees_state("HYBRID", SOON);
        let _echo = Echo::start(&self.net, "branch");
        assert_eq!(pings(&self.net, "hq", inner4(3), 20, FAST).lost(), 0);
    }

    /// Our client certificate is renewed, then the KME's own comes from another CA.
    fn certificates(&mut self) {
        let root = self.dir.path();
        succeed(plait(root).args(["kme", "cert", "--renew", "--sae", "SAE-hq", "--dir"]).arg(root.join("pki")));
        self.hq.takes_certificates("pki");
        assert_eq!(self.hq.reloads(), ["source_files", "source_files"]);
        self.hq.sees_fresh_keys();

        certificates(root, "new", &[("KME-HQ", 1), ("KME-DC", 2)], &[]);
        // While some KMEs show the old certificate and some the new, both CAs are in the file.
        let ca = std::fs::read_to_string(root.join("new/ca.pem")).unwrap();
        for (site, sources) in [(&self.hq, 2), (&self.dc, 1)] {
            let old = std::fs::read_to_string(site.file("kme-ca.pem")).unwrap();
            std::fs::write(site.file("kme-ca.pem"), old + &ca).unwrap();
            assert_eq!(site.reloads(), vec!["source_files"; sources]);
        }
        for name in ["KME-HQ.pem", "KME-HQ.key", "KME-DC.pem", "KME-DC.key"] {
            std::fs::copy(root.join("new").join(name), root.join("pki").join(name)).unwrap();
        }
        self.link.kill();
        self.link.up();
        for site in [&self.hq, &self.dc] {
            site.sees_fresh_keys();
        }
        let checked = self.hq.asks(&["check", &self.hq.config(), "--online"]);
        assert_eq!(checked["ok"], true, "{checked:#}");
    }

    /// What is left for those who ask afterwards.
    fn proof(&self) {
        let verified = self.hq.asks(&["audit", "verify", "hq"]);
        assert_eq!(verified["ok"], true, "{verified:#}");
        let (shown, _) = self.hq.does(&["audit", "show", "hq"]);
        assert!(shown.lines().count() > 3 && shown.contains("kme"), "{shown}");
        let archive = self.hq.file("hq.tar.gz");
        self.hq.does(&["report", &self.hq.config(), "--out", &archive.display().to_string()]);
        assert!(std::fs::metadata(archive).unwrap().len() > 1000);
    }
}

#[test]
fn two_sites_from_init_to_report() {
    if !runnable("two_sites_from_init_to_report") {
        return;
    }
    let mut walk = Walk::begin();
    walk.link_two_sites();
    let echo = Echo::start(&walk.net, "dc");
    let flow = Flow::start(&walk.net, "hq", inner4(2), FAST);
    walk.outage();
    walk.new_peer();
    walk.certificates();
    walk.proof();
    let flow = flow.stop();
    assert_eq!((flow.lost(), flow.duplicates), (0, 0), "of {}", flow.sent());
    drop(echo);
    for site in [&mut walk.hq, &mut walk.dc, &mut walk.branch] {
        site.stops();
    }
}
