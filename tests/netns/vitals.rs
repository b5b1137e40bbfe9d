//! What a process holds and costs, as /proc tells it: descriptors, threads, memory, time on the processor.

use crate::site::Site;
use nix::unistd::Pid;
use std::path::PathBuf;
use std::time::Duration;

/// Ticks of a second in /proc (`USER_HZ`, proc_pid_stat(5)).
const TICKS_A_SECOND: u64 = 100;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

/// What its descriptors are open on.
pub(crate) fn descriptors(pid: Pid) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    folder.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

/// All processes of a site, its keeper first.
pub(crate) fn processes(site: &mut Site) -> Vec<Pid> {
    let keeper = site.daemon().pid();
    std::iter::once(keeper).chain(site.daemon().children()).collect()
}

/// What it holds at this moment.
pub(crate) fn held(pid: Pid) -> Held {
    let count = |folder: &str| std::fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().count();
    Held { descriptors: count("fd"), threads: count("task") }
}

/// Its resident memory, in KiB: summed over its mappings, which is exact.
pub(crate) fn resident_kib(pid: Pid) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).expect("smaps_rollup names Rss");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The time that its threads have spent on processors; none once it has gone.
pub(crate) fn processor_time(pid: Pid) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, but no bracket after its last.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    // Fields 14 and 15 of proc_pid_stat(5), the state after the name being field 3.
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}
