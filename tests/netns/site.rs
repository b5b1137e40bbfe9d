//! One end of the tunnel: its files, its daemon, and what `plait status` says about it.

use crate::config::SiteConfig;
use crate::process::{Process, finish, plait, succeed, through, wait_for};
use crate::topology::Net;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a daemon may take to answer on its control socket.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// A site: its namespace, interface and daemon share one name.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) config: SiteConfig,
    /// A program with its arguments that the daemon is started by; none: at once.
    pub(crate) through: Vec<String>,
    /// The daemon may run with less than the whole sandbox.
    pub(crate) may_lack: bool,
    net: Arc<Net>,
    dir: PathBuf,
    daemon: Option<Process>,
}

/// What `plait status --json` said, with its exit code.
pub(crate) struct Status {
    pub(crate) code: i32,
    pub(crate) json: Value,
}

impl Site {
    /// Makes the identity files; the configuration is written at [`Site::up`].
    pub(crate) fn new(net: Arc<Net>, dir: PathBuf, name: &'static str, n: u8) -> Self {
        let site = Self {
            name,
            config: SiteConfig::new(name, n),
            through: Vec::new(),
            may_lack: false,
            net,
            dir,
            daemon: None,
        };
        succeed(plait(&site.dir).arg("genkey").arg("--out").arg(site.file("key")));
        let secret = std::fs::File::open(site.file("key")).unwrap();
        let public = succeed(plait(&site.dir).arg("pubkey").stdin(secret));
        std::fs::write(site.file("pub"), public).unwrap();
        site
    }

    /// The path of `NAME.extension` of this site.
    pub(crate) fn file(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.name))
    }

    /// `plait` in this site's namespace, run to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.net.inside(self.name, || finish(plait(&self.dir).args(arguments)))
    }

    /// Writes the configuration and starts the daemon, but waits for nothing.
    pub(crate) fn launch(&mut self) {
        self.write();
        self.launch_as_it_is();
    }

    /// The same from a thread that has done something to itself before, which the daemon inherits.
    pub(crate) fn launch_from(&mut self, before: impl FnOnce() + Send) {
        self.write();
        self.start_from(before);
    }

    /// Starts the daemon with the configuration that lies there.
    fn launch_as_it_is(&mut self) {
        self.start_from(|| ());
    }

    fn start_from(&mut self, before: impl FnOnce() + Send) {
        assert!(self.daemon.is_none(), "{} runs already", self.name);
        let file = self.file("toml");
        let mut command: Command = plait(&self.dir);
        command.arg("up").args((!self.may_lack).then_some("--require-sandbox")).arg(&file);
        if !self.through.is_empty() {
            command = through(&self.through, &command);
        }
        let log = self.file("log");
        let start = || {
            before();
            Process::start(self.name, command, log)
        };
        self.daemon = Some(self.net.inside(self.name, start));
    }

    /// Writes the configuration.
    pub(crate) fn write(&self) -> PathBuf {
        let file = self.file("toml");
        std::fs::write(&file, self.config.render()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// Writes the configuration and has the daemon take it; gives what `plait reload --json` said.
    pub(crate) fn reload(&self) -> Value {
        self.write();
        let output = self.run(&["reload", self.name, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the daemon and waits until its control socket answers.
    pub(crate) fn up(&mut self) {
        self.launch();
        self.wait_up();
    }

    /// The same with the configuration that lies there.
    pub(crate) fn up_as_it_is(&mut self) {
        self.launch_as_it_is();
        self.wait_up();
    }

    fn wait_up(&mut self) {
        let begun = Instant::now();
        while self.try_status().is_none() {
            let daemon = self.daemon.as_mut().unwrap();
            if let Some(status) = daemon.ended() {
                panic!("{} ended with {status}:\n{}", self.name, daemon.output());
            }
            assert!(begun.elapsed() < UP_WITHIN, "{} does not answer:\n{}", self.name, daemon.output());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The running daemon.
    pub(crate) fn daemon(&mut self) -> &mut Process {
        self.daemon.as_mut().expect("the site is up")
    }

    /// SIGTERM and a clean end.
    pub(crate) fn down(&mut self) {
        let status = self.daemon.take().expect("the site is up").terminate();
        assert_eq!(status.code(), Some(0), "{} after SIGTERM", self.name);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.daemon.take().expect("the site is up").kill();
    }

    /// The status, if the daemon answers.
    pub(crate) fn try_status(&self) -> Option<Status> {
        let output = finish(plait(&self.dir).args(["status", self.name, "--json"]));
        let json = serde_json::from_slice(&output.stdout).ok()?;
        Some(Status { code: output.status.code()?, json })
    }

    /// The status.
    pub(crate) fn status(&self) -> Status {
        self.try_status().unwrap_or_else(|| panic!("{}: no status", self.name))
    }

    /// Waits until every peer is in one of `states`; gives the first status that says so.
    pub(crate) fn wait_state(&self, states: &[&str], within: Duration) -> Status {
        let what = format!("{states:?} at {}", self.name);
        let mut last = String::new();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.try_status() {
                let found = status.states();
                if found.iter().all(|state| states.contains(&state.as_str())) {
                    return status;
                }
                last = format!("{found:?}\n{}", status.json);
            }
            assert!(begun.elapsed() < within, "no {what} within {within:?}, but {last}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the status fulfils `condition`.
    pub(crate) fn wait_status(&self, what: &str, within: Duration, condition: impl Fn(&Status) -> bool) -> Status {
        wait_for(&format!("{what} at {}", self.name), within, || self.try_status().filter(|status| condition(status)))
    }

    /// Everything its daemons said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

impl Status {
    /// The first peer.
    pub(crate) fn peer(&self) -> &Value {
        &self.json["peers"][0]
    }

    /// States of all peers, in the order of the configuration.
    pub(crate) fn states(&self) -> Vec<String> {
        let peers = self.json["peers"].as_array().expect("peers is a list");
        peers.iter().map(|peer| peer["state"].as_str().expect("state is a word").to_owned()).collect()
    }

    /// The state of the first peer.
    pub(crate) fn state(&self) -> String {
        self.states().remove(0)
    }

    /// The epoch of the first peer; null if there is none.
    pub(crate) fn epoch(&self) -> &Value {
        &self.peer()["epoch"]
    }

    /// What the current epoch mixed.
    pub(crate) fn mixed(&self) -> Vec<String> {
        strings(&self.epoch()["mixed"])
    }

    /// key_IDs of the current epoch with their sources.
    pub(crate) fn key_ids(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let ids = self.epoch()["key_ids"].as_array().cloned().unwrap_or_default();
        ids.iter().map(|entry| (text(&entry["source"]), text(&entry["key_id"]))).collect()
    }

    /// The check words of the current epoch.
    pub(crate) fn words(&self) -> Option<String> {
        self.epoch()["check_words"].as_str().map(str::to_owned)
    }

    /// A number of the first source.
    pub(crate) fn source_number(&self, key: &str) -> u64 {
        self.json["sources"][0][key].as_u64().unwrap_or_else(|| panic!("sources[0].{key} is no number: {}", self.json))
    }
}

/// A list of texts.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}
