//! A headless Chromium, steered through two pipes (Chrome DevTools Protocol): what it shows, says and paints.

use data_encoding::BASE64;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For one answer of the browser; its start on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser with one page; it ends with its value.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    number: u64,
    session: Option<String>,
    /// What it had to complain about: errors of scripts, refused resources.
    pub(crate) complaints: Vec<String>,
    _folder: TempDir,
}

/// Where a Chromium is, if this machine has one.
fn program() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

impl Browser {
    /// `None`, with a line that says so, if there is no browser.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("NOT RUN {test}: no Chromium on this machine (Debian: apt-get install chromium)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        for pipe in [&to, &from] {
            nix::unistd::mkfifo(pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let child = Command::new("sh")
            .args(["-c", "to=$1 from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([&to, &from])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = File::options().write(true).open(&to).unwrap();
        let mut reader = BufReader::new(File::open(&from).unwrap());
        let (send, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let sent = serde_json::from_slice(&message).is_ok_and(|value: Value| send.send(value).is_ok());
                message.clear();
                if !sent {
                    return;
                }
            }
        });
        let (number, session, complaints) = (0, None, Vec::new());
        let mut browser = Self { child, commands, answers, number, session, complaints, _folder: folder };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let answer = self.answers.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{method}: no answer"));
            self.note(&answer);
            if answer["id"] == json!(self.number) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    fn note(&mut self, message: &Value) {
        if ["Log.entryAdded", "Runtime.exceptionThrown"].contains(&message["method"].as_str().unwrap_or_default()) {
            self.complaints.push(message["params"].to_string());
        }
    }

    /// Opens the page in a window of this size and colour scheme, and waits until it shows an answer of the daemon.
    pub(crate) fn open(&mut self, url: &str, (width, height): (u32, u32), scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
        self.call("Page.navigate", json!({"url": url}));
        self.wait("typeof live !== 'undefined' && live !== null && document.readyState === 'complete'");
    }

    /// What a script gives.
    pub(crate) fn ask(&mut self, script: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({"expression": script, "returnByValue": true}));
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until a script gives true.
    pub(crate) fn wait(&mut self, script: &str) {
        let begun = Instant::now();
        while self.ask(script) != json!(true) {
            assert!(begun.elapsed() < PATIENCE, "never: {script}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a person reads on it.
    pub(crate) fn text(&mut self) -> String {
        self.ask("document.body.innerText").as_str().unwrap().to_owned()
    }

    /// The whole page as a picture.
    pub(crate) fn picture(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true, "format": "png"}));
        std::fs::write(path, BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
