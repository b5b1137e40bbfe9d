//! Log lines of the daemons: on stderr, or for journald where it listens. Level by `PLAIT_LOG`, else info.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::LogFormat;
use super::output::may_colour_stderr;

/// Starts logging, once a process; a form that is named goes to stderr whoever listens. A panic is told by its place only:
/// its message may hold what must not be shown.
pub(super) fn start(format: Option<LogFormat>) {
    let filter = EnvFilter::try_from_env("PLAIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM").filter(|_| format.is_none());
    let journal = journal.and_then(|_| tracing_journald::layer().ok());
    let is_json = format == Some(LogFormat::Json);
    let json = is_json.then(|| layer().json().with_writer(std::io::stderr).with_target(false));
    let text = layer().with_writer(std::io::stderr).with_ansi(may_colour_stderr()).with_target(false);
    let text = (journal.is_none() && !is_json).then_some(text);
    // A second start would be a second subscriber: the first one stays.
    drop(tracing_subscriber::registry().with(filter).with(journal).with(json).with(text).try_init());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
        tracing::error!(place, "panic: a fault of this program");
    }));
}
