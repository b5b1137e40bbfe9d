//! `plait up`: runs the tunnel in the foreground, for people and for systemd alike: one process that keeps its rights, one
//! that reads packets and has none, and one that speaks to KMEs and has none either.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::signal::Signal;

use super::args::{LogFormat, Places};
use super::exit::{Exit, Failure, Outcome};
use super::keys_process::arguments;
use super::output;
use crate::control::sandbox::{Measure, Sandbox};
use crate::daemon::ask::Asker;
use crate::daemon::keeper::keys::Keys;
use crate::daemon::keeper::{self, End};
use crate::daemon::kill_switch;
use crate::daemon::load::{LoadFailure, config_path, load};
use crate::daemon::report::Sandboxes;
use crate::daemon::run::run;
use crate::daemon::start::{FailureKind, Prepared, RunFailure, plan_of, prepare};
use crate::io::descriptors;
use crate::io::fork::{Side, fork};
use crate::io::keeper_link::Link;
use crate::io::keys_process::meeting;
use crate::io::sandbox;
use crate::io::secret_memory::{self, SecretPages};
use crate::io::system::kill_switch::KillSwitch;
use crate::io::system::plan::describe;
use crate::io::thread::{ThreadStarter, name_this_process, prefer_this_thread, serve_this_thread};
use crate::types::secret::SecretBytes;
use crate::types::secret_slab::{MemoryKind, memory_facts};

/// Two: one for the control loop, one for its sockets and pages; packets have threads of their own.
const RUNTIME_THREADS: usize = 2;

/// `plait up NAME|FILE [--dry-run] [--require-sandbox]`.
pub(super) fn up(name: &str, dry_run: bool, demands: Demands, places: &Places) -> Outcome {
    let file = config_path(name);
    if dry_run {
        return show_plan(&file);
    }
    descriptors::provide().map_err(|text| Failure::new(Exit::Failure, text))?;
    let pages = secret_memory::install();
    // One thread, so that the process can be divided afterwards.
    let setup = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let setup = setup.map_err(|error| Failure::io("runtime", &error))?;
    let (prepared, handover) = setup.block_on(prepare(&file, &places.run_dir, &places.state_dir)).map_err(failure)?;
    drop(setup);
    let (link, asker) = Link::pair().map_err(|error| Failure::io("keeper", &error))?;
    keeper::hold_signals_back().map_err(failure)?;
    let (meeting, its) = meeting().map_err(|error| Failure::io("keys process", &error))?;
    // Before this process is divided: the part that reads packets never holds what the keys process gets.
    let (keys, keys_sandbox) = start_keys(handover, its, &demands)?;
    match fork().map_err(|error| Failure::io("a process for the packets", &error))? {
        Side::Parent(child) => {
            drop((asker, meeting));
            // Before what was loaded is dropped: wiping it here would wipe it there.
            if let Some(pages) = pages {
                pages.leave();
            }
            let end = keeper::keep(child, link, prepared.kept(keys)).map_err(failure)?;
            ended(&end)
        }
        Side::Child => {
            // The keys process sees the end of its link when the keeper ends: no other end of it may stay open.
            drop((link, keys));
            name_this_process(c"plait-packets");
            keeper::let_signals_through().map_err(failure)?;
            let way = Way { keeper: Asker::over(asker), meeting, keys_sandbox };
            packets(prepared, way, &demands, secrets(pages.as_ref()))
        }
    }
}

/// What the operator asks for beyond the configuration.
pub(super) struct Demands {
    /// To run with every measure of the sandbox or not at all.
    pub(super) sandbox: bool,
    /// How log lines look.
    pub(super) log_format: Option<LogFormat>,
}

/// What the packet process has of the two others.
struct Way {
    keeper: Asker,
    meeting: OwnedFd,
    keys_sandbox: Sandbox,
}

/// What is handed over is wiped here.
fn start_keys(handover: SecretBytes, meeting: OwnedFd, demands: &Demands) -> Result<(Keys, Sandbox), Failure> {
    let failed = |error: &std::io::Error| Failure::io("the keys process does not start", error);
    let (keys, sandbox) =
        Keys::start(meeting, arguments(demands.log_format), &handover).map_err(|error| failed(&error))?;
    look_at(&sandbox, demands, "keys process")?;
    Ok((keys, sandbox))
}

/// What is not in force is said; by `--require-sandbox` it is refused.
fn look_at(sandbox: &Sandbox, demands: &Demands, process: &str) -> Result<(), Failure> {
    let missing = sandbox.missing();
    if demands.sandbox && !missing.is_empty() {
        let text = format!("--require-sandbox: not all of it is in force in the {process}: {}", missing.join("; "));
        return Err(Failure::new(Exit::Permission, text));
    }
    for measure in missing {
        tracing::warn!("sandbox of the {process}: {measure}");
    }
    Ok(())
}

/// The process that reads packets: it gives up what it does not need before the first comes.
fn packets(prepared: Prepared, way: Way, demands: &Demands, secrets: Measure) -> Outcome {
    // Only now does this process have the right. Without it the packet threads are later, and say so.
    drop(prefer_this_thread());
    let sandbox = sandbox::enter(&prepared.profile(), secrets);
    look_at(&sandbox, demands, "packet process")?;
    let Way { keeper, meeting, keys_sandbox } = way;
    let sandboxes = Sandboxes { packets: sandbox, keys: keys_sandbox };
    let starter = ThreadStarter::new().map_err(|error| Failure::io("threads", &error))?;
    serve_this_thread();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(RUNTIME_THREADS).enable_all();
    let runtime = runtime.build().map_err(|error| Failure::io("runtime", &error))?;
    runtime.block_on(async {
        let (running, control) = prepared.assemble(keeper, meeting, sandboxes, starter).map_err(failure)?;
        run(running, control).await.map_err(failure)
    })?;
    Ok(Exit::Ok)
}

/// In which memory secrets lie. They are this process's own from here on.
fn secrets(pages: Option<&SecretPages>) -> Measure {
    if let Some(Err(error)) = pages.map(SecretPages::own_after_fork) {
        return Measure { on: false, text: format!("pages of our own: {error}") };
    }
    secret_memory_measure()
}

/// What kind of memory it is.
pub(super) fn secret_memory_measure() -> Measure {
    let off = |text: String| Measure { on: false, text };
    match memory_facts().kind {
        MemoryKind::Secretmem => Measure { on: true, text: String::new() },
        MemoryKind::Locked => off("no memfd_secret in this kernel (secretmem.enable=1): locked memory".to_owned()),
        MemoryKind::Heap => off("neither memfd_secret nor locked memory (LimitMEMLOCK): the heap".to_owned()),
    }
}

/// The exit code of the whole. The packet process has said itself why it ended, unless the kernel ended it.
fn ended(end: &End) -> Outcome {
    let killed = |text: String| Err(Failure::new(Exit::Ended, text));
    match end {
        End::Exited(code) => Exit::of_code(*code).map_or_else(|| killed(format!("the packet process ended with {code}")), Ok),
        End::Killed(Signal::SIGSYS) => killed(
            "the packet process made a system call that it must not make, and was ended (seccomp): if nobody broke in, this is \
             a fault of plait; report it with the kernel's log line (journalctl -k, type=1326)"
                .to_owned(),
        ),
        End::Killed(signal) => killed(format!("the packet process was ended by {signal}")),
    }
}

fn show_plan(file: &Path) -> Outcome {
    let loaded = load(file).map_err(|error: LoadFailure| failure(error.into()))?;
    let plan = plan_of(&loaded.config).map_err(failure)?;
    let kill_switch = kill_switch::wanted(&loaded.config).map_err(failure)?;
    let mut lines: Vec<String> = kill_switch.iter().flat_map(KillSwitch::describe).collect();
    lines.extend(describe(&loaded.config.interface.name, &plan));
    output::data(&(lines.join("\n") + "\n"))
}

pub(super) fn failure(failure: RunFailure) -> Failure {
    let exit = match failure.kind {
        FailureKind::Configuration => Exit::Configuration,
        FailureKind::Permission => Exit::Permission,
        FailureKind::Other => Exit::Failure,
    };
    Failure::new(exit, failure.text)
}
