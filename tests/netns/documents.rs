//! The quick start of README.md and the commands of docs/KME.md, run as they stand between two sites.
//!
//! Only addresses are changed: those of the documents (RFC 5737) become those of the namespaces. Each site has a folder of its own.

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
}

/// The text of a document with the addresses of the namespaces.
fn document(path: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let addresses =
        [("198.51.100.7", outer4(1)), ("203.0.113.9", outer4(2)), ("192.0.2.10", kme4(1)), ("192.0.2.20", kme4(2))];
    addresses.iter().fold(text, |text, (documented, real)| text.replace(documented, &real.to_string()))
}

impl Place {
    fn new(namespace: &'static str, folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        Self { namespace, folder }
    }

    fn command(&self, block: &Block) -> Command {
        let mut command = Command::new("sh");
        command.args(["-euc", &block.text]).current_dir(&self.folder);
        command.env("PATH", path_with_plait(&self.folder, env!("CARGO_BIN_EXE_plait")));
        command
    }
}

/// Runs a block at its place; one that goes on running is given back.
fn run(net: &Net, place: &Place, block: &Block) -> Option<Process> {
    let mut command = place.command(block);
    if block.is_background() {
        // `exec`, so that the child is the daemon and ends when it is told to.
        let mut command = Command::new("sh");
        command.args(["-euc", &format!("exec {}", block.text)]).current_dir(&place.folder);
        command.env("PATH", path_with_plait(&place.folder, env!("CARGO_BIN_EXE_plait")));
        let log = place.folder.join("daemon.log");
        return Some(net.inside(place.namespace, || Process::start(place.namespace, command, log)));
    }
    let output = net.inside(place.namespace, || finish(&mut command));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "line {}: {}\n{out}\n{err}", block.line, output.status);
    None
}

#[test]
fn the_quick_start() {
    if !runnable("the_quick_start") {
        return;
    }
    let (net, dir) = (Arc::new(Net::new(&["hq", "dc"])), tempfile::tempdir().unwrap());
    let path = dir.path().to_path_buf();
    certificates(&path, "pki", &[("KME-A", 1), ("KME-B", 2)], &["SAE-HQ", "SAE-DC"]);
    let ends = [(1, "KME-A", "SAE-HQ"), (2, "KME-B", "SAE-DC")];
    let mut pair = KmePair::new(Arc::clone(&net), path.clone(), "pair", ends, 8443);
    pair.up();
    let places = [Place::new("hq", path.join("hq")), Place::new("dc", path.join("dc"))];
    for (place, sae) in places.iter().zip(["SAE-HQ", "SAE-DC"]) {
        for (from, to) in
            [("ca.pem", "kme-ca.pem"), (&format!("{sae}.pem"), "sae.pem"), (&format!("{sae}.key"), "sae.key")]
        {
            let text = std::fs::read_to_string(path.join("pki").join(from)).unwrap();
            write_private(&place.folder.join(to), &text);
        }
    }
    let (mut daemons, mut ran) = (Vec::new(), 0);
    for block in blocks(&document("README.md")) {
        if let Some((name, file)) = block.file() {
            let place = places.iter().find(|place| place.namespace == name).unwrap();
            write_private(&place.folder.join(file), &block.text);
        }
        let Some(place) = places.iter().find(|place| block.run() == Some(place.namespace)) else { continue };
        exchange_public_files(&places);
        if block.text.contains("status") {
            wait_hybrid(&places, &net);
        }
        daemons.extend(run(&net, place, &block));
        ran += 1;
    }
    assert!(ran >= 8 && daemons.len() == 2, "{ran} blocks were run, {} daemons", daemons.len());
}

/// Each site has the other's public file as soon as it exists, as if it had been sent.
fn exchange_public_files(places: &[Place; 2]) {
    for (from, to) in [(&places[0], &places[1]), (&places[1], &places[0])] {
        let name = format!("{}.pub", from.namespace);
        if from.folder.join(&name).exists() {
            std::fs::copy(from.folder.join(&name), to.folder.join(&name)).unwrap();
        }
    }
}

/// What a reader does between starting and looking: wait a moment. Before the daemons run there is nothing to wait for.
fn wait_hybrid(places: &[Place; 2], net: &Net) {
    for place in
        places.iter().filter(|place| place.folder.join(".run").join(format!("{}.sock", place.namespace)).exists())
    {
        wait_for(&format!("HYBRID at {}", place.namespace), Duration::from_secs(10), || {
            let mut command = Command::new(place.folder.join(".bin/plait"));
            command.args(["status", place.namespace]).current_dir(&place.folder);
            net.inside(place.namespace, || finish(&mut command)).status.success().then_some(())
        });
    }
}
