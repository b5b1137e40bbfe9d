//! `plait kme serve`: a simulated pair in the foreground.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;
use crate::io::keyfile;
use crate::io::kme_server::error::ServeError;
use crate::io::kme_server::{PairServer, control};
use crate::kme::file;

/// Bytes of a pair's file.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// Serves until a signal; prints where each KME listens, one line an address, once both do.
pub(super) async fn run(path: &Path, run_dir: &Path) -> Outcome {
    let pair = read(path)?;
    let ids = pair.setup.kmes.clone().map(|kme| kme.id);
    let socket = control::path(run_dir, &pair.name);
    let mut stop = signal(SignalKind::terminate()).map_err(|error| Failure::io("signals", &error))?;
    let server = PairServer::start(pair, Some(socket)).await.map_err(|error| failure(&error))?;
    let listening = ids.iter().zip(server.addresses());
    let lines = listening.flat_map(|(id, at)| at.iter().map(move |at| format!("{id} https://{at}\n")));
    output::data(&lines.collect::<String>())?;
    let interrupted = tokio::select! {
        _ = stop.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    };
    server.stop().await;
    interrupted.map_err(|error| Failure::io("signals", &error))?;
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<file::PairFile, Failure> {
    let wrong = |text: String| Failure::new(Exit::Configuration, format!("{}: {text}", path.display()));
    let bytes = keyfile::read_public(path, FILE_BYTES_MAX);
    let bytes = bytes.map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    file::read(&text, path.parent().unwrap_or_else(|| Path::new("."))).map_err(wrong)
}

fn failure(error: &ServeError) -> Failure {
    let denied = match error {
        ServeError::Listen { error, .. } => error.kind() == std::io::ErrorKind::PermissionDenied,
        ServeError::Setup(_) | ServeError::Control { .. } | ServeError::Entropy(_) => false,
    };
    let exit = match error {
        ServeError::Setup(_) => Exit::Configuration,
        ServeError::Listen { .. } | ServeError::Control { .. } | ServeError::Entropy(_) => Exit::Failure,
    };
    Failure::new(if denied { Exit::Permission } else { exit }, error.to_string())
}
