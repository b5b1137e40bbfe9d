//! Another configuration while the daemon runs: all of it is read and checked first; then what differs is changed, and
//! nothing else is touched. A configuration that cannot be used changes nothing.
//!
//! Who reads is the keeper; `prepare` makes of it what the engine takes, on a thread of its own, while the loop goes on;
//! `difference` says what is another; `apply` changes it.

mod apply;
mod difference;
mod prepare;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use self::prepare::Prepared;
use super::effects::Effects;
use super::live::Live;
use super::refused::Refused;
use super::start::Running;
use crate::control::event::{Draft, EventKind};
use crate::control::reload::{Change, ReloadReport};
use crate::control::request::Answer;
use crate::io::keeper_link::{Ask, Wanted};

/// Changes of one reload that are told as events of their own; the others follow as one with their number.
const EVENTS_MAX: usize = 64;

/// One reload that is being read.
struct Order {
    dry_run: bool,
    /// `None`: a signal asked for it.
    answer: Option<oneshot::Sender<Answer>>,
}

/// At most one reload at a time.
pub(super) struct Reloads {
    order: Option<Order>,
    read: Sender<Result<Prepared, Refused>>,
    ready: Receiver<Result<Prepared, Refused>>,
}

impl Reloads {
    pub(super) fn new() -> Self {
        let (read, ready) = channel(1);
        Self { order: None, read, ready }
    }

    /// Begins to read; whoever asks meanwhile is turned away.
    pub(super) fn begin(
        &mut self,
        running: &Running,
        wanted: Wanted,
        dry_run: bool,
        answer: Option<oneshot::Sender<Answer>>,
    ) {
        if self.order.is_some() {
            let error = "another reload is under way: ask again when it is done".to_owned();
            match answer {
                // A caller who has gone needs no answer.
                Some(answer) => drop(answer.send(Answer::Refused { error })),
                None => tracing::warn!("{error}"),
            }
            return;
        }
        self.order = Some(Order { dry_run, answer });
        let (read, keeper, file) = (self.read.clone(), running.keeper.clone(), running.file.clone());
        tokio::task::spawn_blocking(move || {
            let prepared = keeper.ask_now(&Ask::Load { wanted }).and_then(|came| prepare::from_keeper(&file, came));
            // The loop has ended: nobody waits any more.
            drop(read.blocking_send(prepared));
        });
    }

    /// The next that has been read. May be dropped while it waits.
    pub(super) async fn read(&mut self) -> Option<ReadConfig> {
        self.ready.recv().await.map(ReadConfig)
    }

    /// Applies what was read, or says why not.
    pub(super) async fn finish(
        &mut self,
        ReadConfig(read): ReadConfig,
        running: &mut Running,
        effects: &mut Effects,
        live: &mut Live,
    ) {
        let Some(Order { dry_run, answer }) = self.order.take() else { return };
        let done = match read {
            Ok(prepared) => apply::apply(running, effects, live, prepared, dry_run).await,
            Err(refused) => Err(refused),
        };
        if dry_run || done.is_err() {
            // A keeper that has gone holds nothing any more.
            drop(running.keeper.ask(Ask::Forget).await);
        }
        match &done {
            Ok(report) => tell(running, report),
            Err(refused) => {
                tracing::error!("not reloaded: {}", refused.text);
                let text = format!("refused: {}", refused.text);
                running.events.record(Draft::new(EventKind::Reload, text));
            }
        }
        let Some(answer) = answer else { return };
        let answered = match done {
            Ok(report) => Answer::Reloaded { report: Box::new(report) },
            Err(Refused { blame, text }) => Answer::NotReloaded { blame, error: text },
        };
        drop(answer.send(answered));
    }
}

/// What a thread has read.
pub(super) struct ReadConfig(Result<Prepared, Refused>);

/// Log lines and events of what was changed.
fn tell(running: &mut Running, report: &ReloadReport) {
    if report.dry_run {
        return;
    }
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(changes = report.changes.len(), "reloaded");
    let draft = |change: &Change| {
        let draft = Draft::new(EventKind::Reload, &change.text);
        let draft = change.peer.iter().fold(draft, |draft, name| draft.peer(name));
        change.source.iter().fold(draft, |draft, name| draft.source(name))
    };
    for change in report.changes.iter().take(EVENTS_MAX) {
        tracing::info!("{}", change.line());
        running.events.record(draft(change));
    }
    let more = report.changes.len().saturating_sub(EVENTS_MAX);
    if more > 0 || report.changes.is_empty() {
        let text = match more {
            0 => "the configuration was read again: nothing is another".to_owned(),
            more => format!("and {more} more changes"),
        };
        running.events.record(Draft::new(EventKind::Reload, text));
    }
}
