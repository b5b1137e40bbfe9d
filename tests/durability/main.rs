//! Every durable write, ended or refused at each of its system calls: what is on the disk is whole, old or new, and the next
//! write succeeds. strace(1) kills or refuses at the call that is counted; the process is this program itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and runs programs"
)]

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use plait::control::audit::record::What;
use plait::control::audit::verify::Verifier;
use plait::control::event::{Draft, EventKind};
use plait::io::audit_file::{AuditFile, AuditReader};
use plait::io::event_file::{EventFile, read_events};
use plait::io::replace::Replacement;
use plait::io::state::{StateDir, StateKind};
use plait::types::time::UnixMillis;

/// Names what the child is to write, and where.
const DO: &str = "PLAIT_DURABLE_WRITE";
const IN: &str = "PLAIT_DURABLE_PLACE";
/// What is there before, and what is written: of different lengths, so that a mixture is neither.
const OLD: &[u8] = b"the old content";
const NEW: &[u8] = b"another content, and a longer one";
/// The calls of which a durable write is made.
const CALLS: [&str; 7] = ["openat", "write", "fsync", "fdatasync", "rename", "unlink", "ftruncate"];
/// Of one kind that a child makes at most, its start included.
const EACH_MAX: usize = 200;

/// One kind of durable write.
struct Job {
    name: &'static str,
    /// Before: a place with something in it.
    begin: fn(&Path),
    /// The write itself, in the child; and once more afterwards, which must succeed.
    write: fn(&Path) -> std::io::Result<()>,
    /// Whether the new content is there; panics if what is there is neither whole old nor whole new.
    is_new: fn(&Path) -> bool,
}

const JOBS: [Job; 4] = [
    Job { name: "state", begin: state_begin, write: state_write, is_new: state_is_new },
    Job { name: "audit", begin: audit_begin, write: audit_write, is_new: audit_is_new },
    Job { name: "event", begin: event_begin, write: event_write, is_new: event_is_new },
    Job { name: "configuration", begin: file_begin, write: file_write, is_new: file_is_new },
];

fn state(place: &Path) -> StateDir {
    let state = StateDir::of(place, "hq");
    state.create().unwrap();
    state
}

fn state_begin(place: &Path) {
    state(place).write("dc", StateKind::Ratchet, OLD).unwrap();
}

fn state_write(place: &Path) -> std::io::Result<()> {
    StateDir::of(place, "hq").write("dc", StateKind::Ratchet, NEW)
}

fn state_is_new(place: &Path) -> bool {
    let read = state(place).read("dc", StateKind::Ratchet).unwrap().expect("a file");
    assert!([OLD, NEW].contains(&read.expose()), "neither: {:?}", String::from_utf8_lossy(read.expose()));
    read.expose() == NEW
}

fn line(to: &str) -> What {
    What::State { peer: "dc".to_owned(), from: "HYBRID".to_owned(), to: to.to_owned() }
}

fn audit_begin(place: &Path) {
    let (mut file, _) = AuditFile::open(&state(place)).unwrap();
    for n in 0..3 {
        file.append(UnixMillis(n), line("HOLDOVER")).unwrap();
    }
}

fn audit_write(place: &Path) -> std::io::Result<()> {
    let (mut file, trouble) = AuditFile::open(&state(place))?;
    assert_eq!(trouble, None, "nobody has touched it");
    file.append(UnixMillis(9), line("BLOCKED"))
}

fn audit_is_new(place: &Path) -> bool {
    let (state, mut last) = (state(place), String::new());
    // As a daemon that starts: a line that was cut off goes.
    let (_, trouble) = AuditFile::open(&state).unwrap();
    assert_eq!(trouble, None, "nobody has touched it");
    let reader = AuditReader::of(&state);
    let mut verifier = Verifier::new(reader.head().unwrap());
    let lines = reader.lines(|place, text| {
        verifier.line(place, text);
        last = text.to_owned();
    });
    let verdict = verifier.finish(None);
    assert!(verdict.faults.is_empty(), "{:?}", verdict.faults.iter().map(|fault| &fault.text).collect::<Vec<_>>());
    assert!(lines.unwrap() == 1 && verdict.lines >= 3, "{} lines", verdict.lines);
    last.contains("BLOCKED")
}

fn event_begin(place: &Path) {
    EventFile::of(&state(place)).append(&Draft::new(EventKind::Start, "old").numbered(1, UnixMillis(1))).unwrap();
}

fn event_write(place: &Path) -> std::io::Result<()> {
    EventFile::of(&state(place)).append(&Draft::new(EventKind::Stop, "new").numbered(2, UnixMillis(2)))
}

fn event_is_new(place: &Path) -> bool {
    let events = read_events(&state(place)).unwrap().expect("a file");
    let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
    assert!([vec!["old"], vec!["old", "new"]].contains(&texts), "{texts:?}");
    texts.len() == 2
}

fn file_begin(place: &Path) {
    std::fs::write(place.join("hq.toml"), OLD).unwrap();
}

fn file_write(place: &Path) -> std::io::Result<()> {
    let file = place.join("hq.toml");
    let old = std::fs::read(&file)?;
    Replacement::prepare(&file, &old, NEW)?.commit()
}

fn file_is_new(place: &Path) -> bool {
    let read = std::fs::read(place.join("hq.toml")).unwrap();
    assert!([OLD, NEW].contains(&read.as_slice()), "neither: {:?}", String::from_utf8_lossy(&read));
    read == NEW
}

/// The child's side; nobody tells a run of all tests anything, and then it shows that each write does what it is to do.
#[test]
fn writes_what_it_is_told() {
    let Ok(name) = std::env::var(DO) else {
        for job in &JOBS {
            let place = tempfile::tempdir().unwrap();
            (job.begin)(place.path());
            assert!(!(job.is_new)(place.path()), "{}", job.name);
            (job.write)(place.path()).unwrap();
            assert!((job.is_new)(place.path()), "{}", job.name);
        }
        return;
    };
    let job = JOBS.iter().find(|job| job.name == name).unwrap();
    let place = std::env::var_os(IN).unwrap();
    std::process::exit(if (job.write)(Path::new(&place)).is_ok() { 0 } else { 1 });
}

/// How a child ended of which the `count`th call of that name was met by `what`, and whether there was one.
fn child(job: &Job, place: &Path, call: &str, what: &str, count: usize) -> (ExitStatus, bool) {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace.path());
    command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}:when={count}")]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "writes_what_it_is_told", "--nocapture"]);
    command.env(DO, job.name).env(IN, place);
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("strace runs");
    let is_met = !ended.success() || std::fs::read_to_string(trace.path()).unwrap().contains("(INJECTED)");
    (ended, is_met)
}

/// Does that to each call of each name in turn, until a child makes no such call any more; how often the old and the new
/// content was found.
fn at_every_call(job: &Job, what: &str) -> [usize; 2] {
    let mut found = [0, 0];
    for call in CALLS {
        for count in 1..=EACH_MAX {
            let place = tempfile::tempdir().unwrap();
            (job.begin)(place.path());
            let (ended, is_met) = child(job, place.path(), call, what, count);
            let is_new = (job.is_new)(place.path());
            found[usize::from(is_new)] += 1;
            assert!(is_new || !ended.success(), "{}: success was said, and the old content is there", job.name);
            (job.write)(place.path()).unwrap_or_else(|error| panic!("{}, {call} {count}: {error}", job.name));
            assert!((job.is_new)(place.path()), "{}, {call} {count}: written once more", job.name);
            if !is_met {
                break;
            }
            assert!(count < EACH_MAX, "{call}: no end");
        }
    }
    eprintln!("{}, {what}: old {} times, new {} times", job.name, found[0], found[1]);
    found
}

fn has_strace(test: &str) -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED {test}: no strace here (Debian: apt-get install strace)");
        assert!(std::env::var_os("PLAIT_NETNS").is_none(), "strace is missing: scripts/setup.sh installs it");
    }
    found
}

#[test]
fn killed_at_every_call_of_a_write_leaves_the_old_or_the_new_whole() {
    if !has_strace("killed_at_every_call_of_a_write_leaves_the_old_or_the_new_whole") {
        return;
    }
    for job in &JOBS {
        let [old, new] = at_every_call(job, "signal=KILL");
        assert!(old >= 5 && new >= CALLS.len(), "{}: {old} and {new}", job.name);
    }
}

#[test]
fn a_full_disk_or_a_failing_one_at_every_call_costs_no_content() {
    if !has_strace("a_full_disk_or_a_failing_one_at_every_call_costs_no_content") {
        return;
    }
    for job in &JOBS {
        for error in ["error=ENOSPC", "error=EIO"] {
            at_every_call(job, error);
        }
    }
}
