//! `plait up`: runs the tunnel in the foreground, for people and for systemd alike.

use std::path::Path;

use super::args::Places;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::daemon::kill_switch;
use crate::daemon::load::{LoadFailure, config_path, load};
use crate::daemon::run::run;
use crate::daemon::start::{FailureKind, RunFailure, plan, start};
use crate::io::secret_memory;
use crate::io::system::kill_switch::KillSwitch;
use crate::io::system::plan::describe;
use crate::types::secret_slab::{MemoryKind, memory_facts};

/// Two: one for the control loop and the sources, one for name resolution and TLS; packets have threads of their own.
const RUNTIME_THREADS: usize = 2;

/// `plait up NAME|FILE [--dry-run]`.
pub(super) fn up(name: &str, dry_run: bool, places: &Places) -> Outcome {
    let file = config_path(name);
    if dry_run {
        return show_plan(&file);
    }
    keep_secrets_apart();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("runtime", &error))?;
    runtime.block_on(async {
        let (running, control) = start(&file, &places.run_dir, &places.state_dir).await.map_err(failure)?;
        run(running, control).await.map_err(failure)
    })?;
    Ok(Exit::Ok)
}

/// Before the first key is read.
fn keep_secrets_apart() {
    // The pages stay for as long as the process; what is returned is for one that forks.
    let _ = secret_memory::install();
    let memory = memory_facts();
    match memory.kind {
        MemoryKind::Secretmem => tracing::debug!(bytes = memory.bytes, "secrets lie in secretmem pages"),
        MemoryKind::Locked => {
            tracing::warn!(
                "this kernel gives no memfd_secret pages (secretmem.enable=1): secrets lie in locked memory"
            );
        }
        MemoryKind::Heap => {
            tracing::warn!("neither memfd_secret pages nor locked memory (LimitMEMLOCK): secrets lie on the heap");
        }
    }
}

fn show_plan(file: &Path) -> Outcome {
    let loaded = load(file).map_err(|error: LoadFailure| failure(error.into()))?;
    let plan = plan(&loaded).map_err(failure)?;
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
