//! `plait keys-process`: what `plait up` starts for TLS, HTTP and JSON of the KMEs. Not for people.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::args::LogFormat;
use super::exit::{Exit, Failure, Outcome};
use super::logs;
use super::up::secret_memory_measure;
use crate::daemon::keeper;
use crate::daemon::keys_process::serve;
use crate::io::sandbox::{self, Profile};
use crate::io::secret_memory;
use crate::io::thread::name_this_process;

/// What it is called with after its name.
pub(super) fn arguments(format: Option<LogFormat>) -> Vec<&'static str> {
    match format {
        None => Vec::new(),
        Some(LogFormat::Text) => vec!["--log-format", "text"],
        Some(LogFormat::Json) => vec!["--log-format", "json"],
    }
}

/// `plait keys-process [--log-format FORM]`, with its keeper at standard input and the packet process at standard output.
pub(super) fn run(format: Option<LogFormat>) -> Outcome {
    let (keeper, packets) = (own(&std::io::stdin(), SockType::Stream)?, own(&std::io::stdout(), SockType::SeqPacket)?);
    logs::start(format);
    // The keeper alone ends it: by the end of its link, or with itself.
    keeper::hold_signals_back().map_err(super::up::failure)?;
    set_pdeathsig(Signal::SIGKILL).map_err(|error| Failure::io("PR_SET_PDEATHSIG", &error.into()))?;
    name_this_process(c"plait-keys");
    // Pages of its own; they are kept until the process ends.
    let _pages = secret_memory::install();
    let sandbox = sandbox::enter(&Profile::keys(), secret_memory_measure());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("runtime", &error))?;
    let served = runtime.block_on(serve(keeper, packets, &sandbox));
    served.map_err(|error| Failure::io("keys process", &error))?;
    Ok(Exit::Ok)
}

/// The socket that stands in the place of a standard stream.
fn own(stream: &impl AsFd, kind: SockType) -> Result<OwnedFd, Failure> {
    let found = getsockopt(&stream.as_fd(), sockopt::SockType).ok();
    let descriptor = stream.as_fd().try_clone_to_owned().ok().filter(|_| found == Some(kind));
    let text = "this part of plait is started by `plait up`, over sockets; there is nothing in it for people";
    descriptor.ok_or_else(|| Failure::new(Exit::Usage, text.to_owned()))
}
