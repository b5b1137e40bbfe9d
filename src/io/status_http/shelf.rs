//! One moment for all who ask: however many requests come, the daemon's loop is asked twice a second at most.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::control::exposition;
use crate::control::live::LiveView;

/// A moment is shown this long: a page that is looked at changes as fast as one can read.
const MOMENT_LIFE: Duration = Duration::from_millis(500);
/// For the loop to answer: it never waits for anything, so this is a loop that stands still.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// A question to the daemon's loop: the place for its answer.
pub type Ask = oneshot::Sender<LiveView>;

/// One moment with its texts, each made when it is first wanted.
pub(super) struct Moment {
    view: LiveView,
    at: Instant,
    metrics: OnceLock<Bytes>,
    status: OnceLock<Bytes>,
    live: OnceLock<Bytes>,
}

impl Moment {
    fn new(view: LiveView) -> Self {
        let (metrics, status, live) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { view, at: Instant::now(), metrics, status, live }
    }

    /// What is shown.
    pub(super) fn view(&self) -> &LiveView {
        &self.view
    }

    /// For `/metrics`.
    pub(super) fn metrics(&self) -> Bytes {
        self.metrics.get_or_init(|| exposition::text(&self.view).into()).clone()
    }

    /// For `/status.json`: the line of `plait status --json`.
    pub(super) fn status(&self) -> Bytes {
        self.status.get_or_init(|| line(&self.view.report.status)).clone()
    }

    /// For `/live.json`.
    pub(super) fn live(&self) -> Bytes {
        self.live.get_or_init(|| line(&self.view.report)).clone()
    }
}

fn line(value: &impl serde::Serialize) -> Bytes {
    // The types hold only strings, numbers and lists: there is nothing that JSON cannot say.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line.into()
}

/// Where the last moment lies.
pub(super) struct Shelf {
    asks: mpsc::Sender<Ask>,
    last: Mutex<Option<Arc<Moment>>>,
}

impl Shelf {
    /// An empty one; the daemon's loop answers at the other end of `asks`.
    pub(super) fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self { asks, last: Mutex::new(None) }
    }

    /// This moment, or `None` if the loop does not answer. Those who ask together wait for one answer.
    pub(super) async fn moment(&self) -> Option<Arc<Moment>> {
        let mut last = self.last.lock().await;
        if let Some(moment) = last.as_ref().filter(|moment| moment.at.elapsed() < MOMENT_LIFE) {
            return Some(Arc::clone(moment));
        }
        let (answer, coming) = oneshot::channel();
        let asking = async {
            self.asks.send(answer).await.ok()?;
            coming.await.ok()
        };
        let moment = Arc::new(Moment::new(timeout(ANSWER_DEADLINE, asking).await.ok()??));
        *last = Some(Arc::clone(&moment));
        Some(moment)
    }
}
