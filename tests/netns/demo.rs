//! `plait demo`: every stage holds, and nothing is left behind, whatever ends it.

use crate::process::{Process, wait_for};
use crate::topology::runnable;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// A demo that runs in a folder of its own.
struct Demo {
    process: Process,
    dir: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
        command.arg("demo").env("TMPDIR", dir.path());
        let log = dir.path().join("demo.log");
        Self { process: Process::start("demo", command, log), dir }
    }

    /// Process ids of its children: their command lines name its folder.
    fn children(&self) -> Vec<i32> {
        let folder = format!("{}/plait-demo-", self.dir.path().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()));
        ids.filter(|id: &i32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        })
        .collect()
    }

    /// Waits until the daemons run.
    fn running(&mut self) {
        wait_for("three children and a first epoch", Duration::from_secs(30), || {
            assert!(self.process.ended().is_none(), "{}", self.process.output());
            (self.children().len() >= 3 && self.process.output().contains("HYBRID")).then_some(())
        });
    }

    /// Waits for its end; gives its exit code.
    fn end(&mut self, within: Duration) -> Option<i32> {
        wait_for("end of the demo", within, || self.process.ended()).code()
    }

    /// Neither process nor file.
    fn assert_nothing_left(&self) {
        wait_for("end of the children", Duration::from_secs(10), || self.children().is_empty().then_some(()));
        let files: Vec<_> =
            std::fs::read_dir(self.dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(files, ["demo.log"]);
    }
}

#[test]
fn the_demo_holds_within_a_minute() {
    if !runnable("the_demo_holds_within_a_minute") {
        return;
    }
    let begun = Instant::now();
    let mut demo = Demo::start();
    assert_eq!(demo.end(Duration::from_secs(90)), Some(0), "{}", demo.process.output());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let output = demo.process.output();
    for word in ["HYBRID", "HOLDOVER", "BLOCKED", "Every stage held", "README.md"] {
        assert!(output.contains(word), "no {word} in\n{output}");
    }
    demo.assert_nothing_left();
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing() {
    if !runnable("a_demo_that_is_interrupted_leaves_nothing") {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Demo::start();
        demo.running();
        demo.process.signal(signal);
        assert_eq!(demo.end(Duration::from_secs(15)), Some(1));
        assert!(demo.process.output().contains("stopped in stage"), "{}", demo.process.output());
        demo.assert_nothing_left();
    }
}

#[test]
fn a_stage_that_fails_is_named_and_leaves_nothing() {
    if !runnable("a_stage_that_fails_is_named_and_leaves_nothing") {
        return;
    }
    let mut demo = Demo::start();
    demo.running();
    let child = demo.children()[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), Signal::SIGKILL).unwrap();
    assert_eq!(demo.end(Duration::from_secs(15)), Some(1));
    let output = demo.process.output();
    assert!(output.contains("failed") && output.contains("ended") && output.contains("FAIL"), "{output}");
    demo.assert_nothing_left();
}

#[test]
fn the_daemons_of_a_killed_demo_end_with_it() {
    if !runnable("the_daemons_of_a_killed_demo_end_with_it") {
        return;
    }
    let mut demo = Demo::start();
    demo.running();
    demo.process.signal(Signal::SIGKILL);
    demo.end(Duration::from_secs(5));
    wait_for("end of the children", Duration::from_secs(10), || demo.children().is_empty().then_some(()));
}
