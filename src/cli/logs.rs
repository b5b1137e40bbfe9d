//! Log lines of the daemons: for a terminal on stderr, or for journald where it listens. Level by `PLAIT_LOG`, else info.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging, once a process. A panic is told by its place only: its message may hold what must not be shown.
pub(super) fn start() {
    let filter = EnvFilter::try_from_env("PLAIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let terminal = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let terminal = journal.is_none().then_some(terminal);
    // A second start would be a second subscriber: the first one stays.
    drop(tracing_subscriber::registry().with(filter).with(journal).with(terminal).try_init());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
        tracing::error!(place, "panic: a fault of this program");
    }));
}
