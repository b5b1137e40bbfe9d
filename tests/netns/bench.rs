//! `plait bench`: every row has its figures, and nothing is left behind, whatever ends it.

use crate::process::{Process, finish, wait_for};
use crate::topology::runnable;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Rows: three ciphers sealed and opened, eight system calls, three of the tunnel with each of two ciphers.
const ROWS: usize = 6 + 8 + 6;

fn bench(dir: &Path, seconds: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait"));
    command.args(["bench", "--seconds", seconds]).env("TMPDIR", dir);
    command
}

/// Process ids of its children: the command lines of daemons name its folder, iperf3 has the address inside the tunnel.
fn children(dir: &Path) -> Vec<String> {
    let folder = format!("{}/plait-bench-", dir.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines
        .filter(|line| line.contains(&folder) || (line.starts_with("iperf3 ") && line.contains(" 10.99.0.2")))
        .collect()
}

fn assert_nothing_left(dir: &Path) {
    wait_for("end of the children", Duration::from_secs(10), || children(dir).is_empty().then_some(()));
    let files: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(files.iter().all(|name| name == "bench.log"), "{files:?}");
}

#[test]
fn every_row_of_the_bench_has_a_figure() {
    if !runnable("every_row_of_the_bench_has_a_figure") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = finish(bench(dir.path(), "1").arg("--json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], false);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS);
    for row in rows {
        let figures = row["figures"].as_object().unwrap_or_else(|| panic!("no figures: {row}"));
        assert!(!figures.is_empty());
        assert!(figures.values().all(|figure| figure.as_f64().is_some_and(|figure| figure > 0.0)), "{row}");
    }
    assert_nothing_left(dir.path());
}

/// Starts one that takes long, and waits until its tunnel carries a stream.
fn streaming(dir: &Path) -> Process {
    let mut process = Process::start("bench", bench(dir, "5"), dir.join("bench.log"));
    wait_for("daemons and iperf3 at both ends", Duration::from_secs(60), || {
        assert!(process.ended().is_none(), "{}", process.output());
        (children(dir).len() >= 4).then_some(())
    });
    process
}

#[test]
fn a_bench_that_is_interrupted_shows_what_it_has_and_leaves_nothing() {
    if !runnable("a_bench_that_is_interrupted_shows_what_it_has_and_leaves_nothing") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut process = streaming(dir.path());
    process.signal(Signal::SIGINT);
    let code = wait_for("end of the bench", Duration::from_secs(15), || process.ended()).code();
    assert_eq!(code, Some(1), "{}", process.output());
    let output = process.output();
    assert!(output.contains("ns a record") && output.contains("plait: bench: stopped"), "{output}");
    assert_nothing_left(dir.path());
}

#[test]
fn the_children_of_a_killed_bench_end_with_it() {
    if !runnable("the_children_of_a_killed_bench_end_with_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    streaming(dir.path()).kill();
    wait_for("end of the children", Duration::from_secs(10), || children(dir.path()).is_empty().then_some(()));
}
