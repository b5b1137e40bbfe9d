//! A kernel that lacks a piece of the sandbox: it is told, and `--require-sandbox` refuses to run; and nobody without rights looks
//! into the process that reads packets.

use crate::process::wait_for;
use crate::topology::runnable;
use crate::world::World;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use std::process::Command;
use std::time::Duration;

/// A piece that is missing: a system call that this kernel does not know, and what is said of it.
struct Missing {
    call: i64,
    /// The first argument with which it is unknown; none: always.
    with: Option<u64>,
    said: &'static str,
}

const MISSING: [Missing; 4] = [
    Missing { call: libc::SYS_landlock_create_ruleset, with: None, said: "landlock: this kernel has no Landlock" },
    Missing { call: libc::SYS_memfd_secret, with: None, said: "no memfd_secret in this kernel" },
    Missing { call: libc::SYS_prctl, with: Some(libc::PR_SET_DUMPABLE as u64), said: "PR_SET_DUMPABLE" },
    Missing { call: libc::SYS_seccomp, with: None, said: "seccomp: " },
];

/// Answers that call as a kernel that does not have it, for this thread and all that it starts.
fn is_missing(missing: &Missing) {
    let condition = |value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).unwrap();
    let rules = missing.with.map(|value| SeccompRule::new(vec![condition(value)]).unwrap());
    let rules = [(missing.call, rules.into_iter().collect())].into_iter().collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, machine).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[test]
fn with_a_piece_of_the_sandbox_missing_it_is_refused_to_run_where_that_is_asked_for() {
    if !runnable("with_a_piece_of_the_sandbox_missing_it_is_refused_to_run_where_that_is_asked_for") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    let links = world.net.interfaces("a");
    for missing in &MISSING {
        world.a.launch_from(|| is_missing(missing));
        let ended = wait_for("its end", Duration::from_secs(10), || world.a.daemon().ended());
        let log = world.a.log();
        assert_eq!(ended.code(), Some(7), "{}: {log}", missing.said);
        let refusal = log.lines().rfind(|line| line.contains("--require-sandbox: not all of it is in force"));
        assert!(refusal.is_some_and(|line| line.contains(missing.said)), "{}: {log}", missing.said);
        assert_eq!(world.net.interfaces("a"), links, "{}", missing.said);
        world.a.kill();
    }
    // Where it is not asked for, it runs and says so.
    world.a.may_lack = true;
    world.a.launch_from(|| is_missing(&MISSING[0]));
    world.b.up();
    world.both(&["HYBRID"], Duration::from_secs(20));
    assert!(
        world.a.log().lines().any(|line| line.contains("WARN") && line.contains(MISSING[0].said)),
        "{}",
        world.a.log()
    );
    let sandbox = world.a.status().json["sandbox"].clone();
    assert_eq!((&sandbox["files"]["on"], &sandbox["system_calls"]["on"]), (&false.into(), &true.into()), "{sandbox}");
}

/// A user without rights.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Runs as nobody; whether it succeeded.
fn as_nobody(words: &[&str]) -> bool {
    let mut command = Command::new(NOBODY[0]);
    command.args(&NOBODY[1..]).args(words).output().unwrap().status.success()
}

/// Whether nobody can attach to that process, read its memory and its environment.
fn can_look_into(pid: &str) -> [bool; 3] {
    let memory = format!("head -c 0 < /proc/{pid}/mem");
    let environment = format!("cat /proc/{pid}/environ > /dev/null");
    let attach = ["strace", "--quiet=all", "-o", "/dev/null", "--trace=none", "-p", pid];
    let mut tracer = Command::new(NOBODY[0]).args(&NOBODY[1..]).args(attach).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    // Who could not attach has ended by now; who could still watches.
    let attached = tracer.try_wait().unwrap().is_none();
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(tracer.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    );
    tracer.wait().unwrap();
    [attached, as_nobody(&["sh", "-c", &memory]), as_nobody(&["sh", "-c", &environment])]
}

#[test]
fn the_user_that_the_daemon_runs_as_cannot_look_into_it() {
    if !runnable("the_user_that_the_daemon_runs_as_cannot_look_into_it") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    world.a.write();
    // All that it takes to open the interface, which is root's alone on some machines.
    let rights = ["--inh-caps=+net_admin,+dac_override", "--ambient-caps=+net_admin,+dac_override"];
    world.a.through = NOBODY.iter().chain(&rights).map(|word| (*word).to_owned()).collect();
    let everything = world.path();
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(&everything).status().unwrap().success());
    world.a.up_as_it_is();
    let packets = world.a.daemon().part("plait-packets");
    let mut sleeper = Command::new(NOBODY[0]).args(&NOBODY[1..]).args(["sleep", "60"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let into_another = can_look_into(&sleeper.id().to_string());
    let into_ours = [packets, world.a.daemon().pid()].map(|pid| can_look_into(&pid.to_string()));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(into_another, [true; 3], "otherwise this test proves nothing");
    assert_eq!(into_ours, [[false; 3]; 2], "the packet process and its keeper");
}
