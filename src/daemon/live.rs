//! What the status page and `plait top` are told: the status, and what led to it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::ask::Asker;
use super::report::{self, InUse, Nobodys};
use super::start::Running;
use crate::control::history::History;
use crate::control::live::{
    COURSES_MAX, CourseReport, EVENTS_SHOWN, EpochPoint, LIVE_SCHEMA, LiveReport, LiveView, StatePoint, meaning,
};
use crate::control::measures::{Measures, PeerMeasures, SourceMeasures};
use crate::control::recent::Selection;
use crate::control::report::StatusReport;
use crate::control::time::{rfc3339, seconds};
use crate::engine::course::Course;
use crate::engine::output::Now;
use crate::io::keeper_link;
use crate::io::status_http::{Ask, StatusListener};
use crate::types::time::Instant;

/// Between two tries to listen: an address may come late, a port may become free.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);

/// Looks kept, and the door of the status page.
pub(super) struct Live {
    history: History,
    asks: Receiver<Ask>,
    page: Option<JoinHandle<()>>,
}

impl Live {
    /// Nothing seen yet; the page listens if the configuration says where.
    pub(super) fn start(listen: Option<SocketAddr>, keeper: &Asker) -> Self {
        let (asks, page) = door(listen, keeper);
        Self { history: History::default(), asks, page }
    }

    /// The page is there from now on, or nowhere.
    pub(super) fn listen(&mut self, listen: Option<SocketAddr>, keeper: &Asker) {
        self.stop();
        (self.asks, self.page) = door(listen, keeper);
    }

    /// The next question of the page; `None` at once if there is no page. May be dropped while it waits.
    pub(super) async fn asked(&mut self) -> Option<Ask> {
        self.asks.recv().await
    }

    /// Looks at the counters when it is time.
    pub(super) fn look(&mut self, running: &Running) {
        let now = running.now();
        if self.history.is_due(now.at) {
            self.history.look(now.at, &status(running, now));
        }
    }

    /// This moment.
    pub(super) fn view(&self, running: &Running) -> LiveView {
        let now = running.now();
        let status = status(running, now);
        let courses = running.engine.courses().zip(&status.peers).take(COURSES_MAX);
        let courses = courses
            .map(|(course, peer)| CourseReport {
                peer: peer.name.clone(),
                meaning: meaning(&peer.state).to_owned(),
                traffic: self.history.traffic(&peer.name, now.at),
                ..of_course(course, now.at)
            })
            .collect();
        let stocks = (0..status.sources.len()).filter_map(|at| self.history.stock(at, &status, now.at)).collect();
        let report = LiveReport {
            schema: LIVE_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: rfc3339(now.unix),
            status,
            courses,
            stocks,
            events: running.events.select(Selection { last: Some(EVENTS_SHOWN), ..Selection::default() }),
        };
        LiveView { report, measures: measures(running) }
    }

    /// No page any more.
    pub(super) fn stop(&self) {
        if let Some(page) = &self.page {
            page.abort();
        }
    }
}

/// The figures of this moment.
pub(super) fn status(running: &Running, now: Now) -> StatusReport {
    let uptime = now.at.since(Instant::ZERO);
    let in_use = InUse { mtu: running.mtu.used(), offload: running.offloads.set() };
    let nobodys = Nobodys::of(&running.engine);
    let rates = |peer, source, used| running.pacing.rates(peer, source, now.at, used);
    report::status(&running.facts, &in_use, uptime, running.engine.status(now), nobodys, (&running.fetchers, &rates))
}

fn of_course(course: &Course, now: Instant) -> CourseReport {
    let since = |at| seconds(now.since(at));
    let last = course.states().next_back().map_or(Instant::ZERO, |mark| mark.at);
    CourseReport {
        peer: String::new(),
        meaning: String::new(),
        state_age_seconds: since(last),
        epochs: course
            .epochs()
            .map(|mark| EpochPoint {
                number: mark.number,
                age_seconds: since(mark.at),
                full: mark.full,
                qkd_keys: mark.qkd_keys,
            })
            .collect(),
        states: course
            .states()
            .map(|mark| StatePoint {
                age_seconds: since(mark.at),
                from: mark.from.as_str().to_owned(),
                to: mark.to.as_str().to_owned(),
            })
            .collect(),
        traffic: Vec::new(),
    }
}

fn measures(running: &Running) -> Measures {
    let words = |(from, to, count): (crate::engine::output::State, crate::engine::output::State, u64)| {
        (from.as_str(), to.as_str(), count)
    };
    let peer = |course: &Course| PeerMeasures {
        transitions: course.transitions().map(words).collect(),
        full: *course.full(),
        fast: *course.fast(),
    };
    let sources = running.fetchers.figures();
    Measures {
        peers: running.engine.courses().map(peer).collect(),
        sources: sources
            .map(|(_, _, figures)| SourceMeasures { requests: figures.requests, took: figures.took })
            .collect(),
    }
}

/// Where questions come out, and who hears them.
fn door(listen: Option<SocketAddr>, keeper: &Asker) -> (Receiver<Ask>, Option<JoinHandle<()>>) {
    // The shelf asks again only when it has its answer.
    let (asking, asks) = channel(1);
    (asks, listen.map(|listen| tokio::spawn(keep_listening(listen, keeper.clone(), asking))))
}

/// A page that cannot listen is no reason for a tunnel to stand still: it is said once, and tried again.
async fn keep_listening(listen: SocketAddr, keeper: Asker, asks: Sender<Ask>) {
    let mut told = false;
    let listener = loop {
        match socket(&keeper).await {
            Ok(listener) => break listener,
            Err(error) if !told => {
                told = true;
                tracing::error!(%listen, error, "the status page cannot listen; tried again every 10 s");
            }
            Err(_) => {}
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    };
    tracing::info!(%listen, "status page");
    listener.serve(asks).await;
}

/// This process makes no socket of its own that others could reach.
async fn socket(keeper: &Asker) -> Result<StatusListener, String> {
    let made = keeper.descriptors(keeper_link::Ask::Page).await.map_err(|refused| refused.text)?;
    let socket = made.into_iter().next().ok_or("the keeper gave no socket")?;
    StatusListener::over(socket.into()).map_err(|error| error.to_string())
}
