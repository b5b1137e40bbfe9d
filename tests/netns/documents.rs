//! The quick start of README.md and the commands of docs/KME.md, run as they stand between two sites.
//!
//! Only addresses are changed: those of the documents (RFC 5737) become those of the namespaces. Each site has a folder of
//! its own. `$KEY_ID` in a command is the last key_ID that a command printed, as a reader would take it over.

use crate::blocks::{Block, blocks, path_with_plait, write_private};
use crate::kme::{KmePair, certificates};
use crate::process::{Process, finish, wait_for};
use crate::topology::{Net, kme4, outer4, runnable};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A place where commands are run.
struct Place {
    namespace: &'static str,
    folder: PathBuf,
    daemon: Option<Process>,
}

/// Two sites and the KMEs' room, with what the vendor handed over. Dropped in this order: daemons, KMEs, namespaces, files.
struct Reader {
    places: [Place; 3],
    key_id: String,
    ran: usize,
    _pair: KmePair,
    net: Arc<Net>,
    _dir: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        let (net, dir) = (Arc::new(Net::new(&["hq", "dc"])), tempfile::tempdir().unwrap());
        let path = dir.path().to_path_buf();
        certificates(&path, "pki", &[("KME-A", 1), ("KME-B", 2)], &["SAE-HQ", "SAE-DC"]);
        let ends = [(1, "KME-A", "SAE-HQ"), (2, "KME-B", "SAE-DC")];
        let mut pair = KmePair::new(Arc::clone(&net), path.clone(), "vendor", ends, 8443);
        pair.up();
        let places = ["hq", "dc", "kme"].map(|namespace| {
            let folder = path.join(namespace);
            std::fs::create_dir(&folder).unwrap();
            Place { namespace, folder, daemon: None }
        });
        for (place, sae) in places.iter().zip(["SAE-HQ", "SAE-DC"]) {
            let files =
                [("ca.pem", "kme-ca.pem"), (&format!("{sae}.pem"), "sae.pem"), (&format!("{sae}.key"), "sae.key")];
            for (from, to) in files {
                let text = std::fs::read_to_string(path.join("pki").join(from)).unwrap();
                write_private(&place.folder.join(to), &text);
            }
        }
        Self { places, key_id: String::new(), ran: 0, _pair: pair, net, _dir: dir }
    }

    /// Does what a document says, from its top to its end; of the blocks for daemons only those wanted.
    fn follow(&mut self, document: &str, wanted: impl Fn(&Block) -> bool) {
        let blocks = blocks(&with_real_addresses(document));
        for block in &blocks {
            if let Some((name, file)) = block.file() {
                write_private(&self.place(name).folder.join(file), &block.text);
            }
        }
        for block in blocks.iter().filter(|block| wanted(block)) {
            let Some(name) = block.run().filter(|name| ["hq", "dc", "kme"].contains(name)) else { continue };
            self.exchange_public_files();
            self.wait_hybrid();
            self.run(name, block);
            self.ran += 1;
        }
    }

    fn place(&mut self, name: &str) -> &mut Place {
        self.places.iter_mut().find(|place| place.namespace == name).unwrap()
    }

    fn run(&mut self, name: &str, block: &Block) {
        let (net, key_id) = (Arc::clone(&self.net), self.key_id.clone());
        let place = self.place(name);
        if block.is_background() {
            // `exec`, so that the child is the daemon and ends when it is told to.
            let command = place.command(&format!("exec {}", block.text), &key_id);
            let log = place.folder.join("daemon.log");
            place.daemon = Some(net.inside(name, || Process::start(name, command, log)));
            place.wait_socket();
            return;
        }
        let mut command = place.command(&block.text, &key_id);
        let output = net.inside(name, || finish(&mut command));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "line {}: {}\n{out}\n{err}", block.line, output.status);
        let words = out.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        if let Some(id) = words.rev().find(|word| word.len() == 36 && word.matches('-').count() == 4) {
            self.key_id = id.to_owned();
        }
    }

    /// Each site has the other's public file as soon as it exists, as if it had been sent.
    fn exchange_public_files(&self) {
        let [hq, dc, _] = &self.places;
        for (from, to) in [(hq, dc), (dc, hq)] {
            let name = format!("{}.pub", from.namespace);
            if from.folder.join(&name).exists() {
                std::fs::copy(from.folder.join(&name), to.folder.join(&name)).unwrap();
            }
        }
    }

    /// What a reader does between starting and looking: waits a moment. Before both daemons run there is nothing to wait for.
    fn wait_hybrid(&self) {
        let [hq, dc, _] = &self.places;
        if hq.daemon.is_none() || dc.daemon.is_none() {
            return;
        }
        for place in [hq, dc] {
            wait_for(&format!("HYBRID at {}", place.namespace), Duration::from_secs(10), || {
                let mut command = place.command(&format!("plait status {}", place.namespace), "");
                finish(&mut command).status.success().then_some(())
            });
        }
    }
}

impl Place {
    fn command(&self, script: &str, key_id: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(&self.folder).env("KEY_ID", key_id);
        command.env("PATH", path_with_plait(&self.folder, env!("CARGO_BIN_EXE_plait")));
        command
    }

    fn wait_socket(&self) {
        wait_for(&format!("a control socket at {}", self.namespace), Duration::from_secs(10), || {
            std::fs::read_dir(self.folder.join(".run"))
                .ok()?
                .flatten()
                .find(|entry| entry.path().extension().is_some_and(|extension| extension == "sock"))
        });
    }
}

/// The text of a document with the addresses of the namespaces.
fn with_real_addresses(document: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let addresses =
        [("198.51.100.7", outer4(1)), ("203.0.113.9", outer4(2)), ("192.0.2.10", kme4(1)), ("192.0.2.20", kme4(2))];
    addresses.iter().fold(text, |text, (documented, real)| text.replace(documented, &real.to_string()))
}

#[test]
fn the_quick_start() {
    if !runnable("the_quick_start") {
        return;
    }
    let mut reader = Reader::new();
    reader.follow("README.md", |_| true);
    assert!(reader.ran >= 9, "{} blocks were run", reader.ran);
}

#[test]
fn the_page_about_kmes() {
    if !runnable("the_page_about_kmes") {
        return;
    }
    let mut reader = Reader::new();
    // The sites of the README, up to where it starts them.
    reader.follow("README.md", |block| block.text.contains("plait init"));
    reader.ran = 0;
    reader.follow("docs/KME.md", |_| true);
    assert!(reader.ran >= 7, "{} blocks were run", reader.ran);
}
