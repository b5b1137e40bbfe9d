//! `plait bench`: its arguments, and the table that it gives without root.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::Duration;

use crate::run::plait;
use crate::validator::fits;

/// A user without rights, on every system.
const NOBODY: u32 = 65_534;

/// Runs the bench without root: a copy of the binary where anybody may read it.
fn without_root(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("plait");
    std::fs::copy(env!("CARGO_BIN_EXE_plait"), &binary).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(binary);
    command.arg("bench").args(arguments).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    // A program that another test starts at this moment may have the copy open for writing until it runs.
    for _ in 0..200 {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(50));
            }
            ended => return ended.unwrap(),
        }
    }
    panic!("the copy of the binary stays busy")
}

#[test]
fn a_time_out_of_bounds_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    for seconds in ["0", "61", "-1", "one", "1.5", ""] {
        let run = plait(dir.path(), &["bench", "--seconds", seconds]);
        assert_eq!(run.code, 2, "{seconds:?}: {run:?}");
        assert!(run.out.is_empty());
    }
    assert_eq!(plait(dir.path(), &["bench", "more"]).code, 2);
}

#[test]
fn without_root_the_ciphers_have_figures_and_the_rest_says_why_not() {
    let output = without_root(&["--seconds", "1"]);
    let (table, progress) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{progress}");
    assert!(progress.contains("measuring: seal, chacha20-poly1305, aws-lc"), "{progress}");
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with(concat!("plait ", env!("CARGO_PKG_VERSION"), ", ")), "{table}");
    let rows: Vec<&str> = lines.filter(|line| line.starts_with("  ")).collect();
    assert_eq!(rows.len(), 20, "{table}");
    let (ciphers, rest) = rows.split_at(6);
    assert!(ciphers.iter().all(|row| row.contains(" GB/s ") && row.ends_with(" ns a record")), "{table}");
    assert!(rest.iter().all(|row| row.ends_with("  not measured: it takes root")), "{table}");
}

#[test]
fn json_is_one_object_on_one_line() {
    let output = without_root(&["--seconds", "1", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    fits("bench", &text);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["machine"]["plait"], env!("CARGO_PKG_VERSION"));
    assert!(report["rows"][0]["figures"]["gigabytes_per_second"].as_f64().is_some_and(|figure| figure > 0.0));
    assert_eq!(report["rows"][19]["absent"], "it takes root");
}
