//! The audit of a running daemon: a line for each beginning and end of an epoch, written by a thread of its own.

mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::writer::{Progress, Writer};
use crate::config::AuditMode;
use crate::control::audit::record::{Epoch, What};
use crate::control::event::{Draft, EventKind};
use crate::control::report::KeyIdReport;
use crate::control::time::rfc3339;
use crate::engine::Engine;
use crate::engine::output::{Command, Event, EventKind as Engined, Now, OverrideChange};
use crate::engine::status::PeerStatus;
use crate::io::audit_file::AuditFile;
use crate::io::clock::Clock;
use crate::io::state::StateDir;
use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::policy::Suite;
use crate::types::time::Instant;

/// How often it is looked whether an epoch has ended without another.
const LOOK: Duration = Duration::from_secs(1);

/// What of a peer is known between two lines.
#[derive(Clone, Copy, Default)]
struct Account {
    /// The epoch whose end is not yet written.
    open: Option<u64>,
    /// Inner bytes delivered and sealed when the last end was written.
    counted: (u64, u64),
}

/// The audit of one interface.
pub(super) struct Audit {
    mode: AuditMode,
    clock: Clock,
    suite: Suite,
    writer: Option<Writer>,
    progress: Arc<Progress>,
    peers: BTreeMap<PeerId, Account>,
    /// As the engine was last told.
    admits: bool,
    /// As the events were last told.
    fails: bool,
    look_next: Instant,
}

impl Audit {
    /// Nothing is written yet.
    pub(super) fn new(mode: AuditMode, clock: Clock, suite: Suite) -> Self {
        let progress = Arc::new(Progress::default());
        let peers = BTreeMap::new();
        let (writer, admits, fails, look_next) = (None, true, false, Instant::ZERO);
        Self { mode, clock, suite, writer, progress, peers, admits, fails, look_next }
    }

    /// The first line. What is wrong with earlier ones is an event.
    pub(super) fn start(&mut self, state: &StateDir, fingerprint: &str) -> Option<Draft> {
        if self.mode == AuditMode::Off {
            return None;
        }
        let state = state.clone();
        let mut trouble = None;
        let opened = AuditFile::open(&state).map(|(file, found)| {
            trouble = found;
            file
        });
        self.writer = Some(Writer::start(opened, state, Arc::clone(&self.progress)));
        if let Some(text) = &trouble {
            self.put(What::Broken { text: text.clone() });
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.put(What::Start { version, fingerprint: fingerprint.to_owned() });
        trouble.map(|text| {
            let text = format!("the audit is not as it was written ({text}); `plait audit verify` names the lines");
            tracing::error!("{text}");
            Draft::new(EventKind::Audit, text)
        })
    }

    /// What an event of the engine means for the audit.
    pub(super) fn tell(&mut self, engine: &Engine, now: Now, event: &Event) {
        if self.writer.is_none() {
            return;
        }
        match &event.what {
            Engined::State { from, to } => {
                if let Some(status) = engine.peer_status(now, event.peer) {
                    self.put(What::State {
                        peer: status.name,
                        from: from.as_str().to_owned(),
                        to: to.as_str().to_owned(),
                    });
                }
            }
            Engined::Epoch { number, full, sources } => {
                if let Some(status) = engine.peer_status(now, event.peer) {
                    self.end(event.peer, &status);
                    self.begin(event.peer, &status, *number, *full, sources);
                }
            }
            Engined::Override(change) => {
                if let Some(status) = engine.peer_status(now, event.peer) {
                    self.put(of_override(status.name, change));
                }
            }
            Engined::ExchangeFailed { .. }
            | Engined::SourceFailed { .. }
            | Engined::PolicyDiffers
            | Engined::Roamed(_)
            | Engined::Alarm(_) => {}
        }
    }

    fn begin(&mut self, peer: PeerId, status: &PeerStatus, number: u64, full: bool, sources: &[(SourceId, KeyId)]) {
        let epoch = status.epoch.as_ref();
        let name = |source: &SourceId| {
            let mixed = epoch.and_then(|epoch| epoch.mixed.iter().find(|(of, _, _)| of == source));
            mixed.map_or_else(|| source.to_string(), |(_, name, _)| name.clone())
        };
        let key_ids: Vec<KeyIdReport> = sources
            .iter()
            .map(|(source, id)| KeyIdReport { source: name(source), key_id: id.as_str().to_owned() })
            .collect();
        let mut mixed = vec!["x25519".to_owned(), self.suite.kem_name().to_owned()];
        mixed.extend(epoch.filter(|epoch| epoch.psk).map(|_| "psk".to_owned()));
        mixed.extend(epoch.filter(|epoch| epoch.ratchet).map(|_| "ratchet".to_owned()));
        mixed.extend(key_ids.iter().map(|key| key.source.clone()));
        self.peers.entry(peer).or_default().open = Some(number);
        self.put(What::Epoch(Epoch {
            peer: status.name.clone(),
            epoch: number,
            full,
            mixed,
            key_ids,
            cipher: epoch.map_or("", |epoch| epoch.cipher.as_str()).to_owned(),
            policy: status.effective_qkd.map_or("", |policy| policy.as_str()).to_owned(),
            state: status.state.as_str().to_owned(),
        }));
    }

    /// The end of the epoch that is open, if one is: all bytes since the last end are its own.
    fn end(&mut self, peer: PeerId, status: &PeerStatus) {
        let Some(account) = self.peers.get_mut(&peer) else { return };
        let Some(epoch) = account.open.take() else { return };
        let now = (status.transfer.received_bytes, status.transfer.sent_bytes);
        let before = std::mem::replace(&mut account.counted, now);
        self.put(What::EpochEnd {
            peer: status.name.clone(),
            epoch,
            received_bytes: now.0.saturating_sub(before.0),
            sent_bytes: now.1.saturating_sub(before.1),
            state: status.state.as_str().to_owned(),
        });
    }

    /// What time brings: epochs that ended, and whether sessions may be made. Tells when writing fails or goes on.
    pub(super) fn look(&mut self, engine: &mut Engine, now: Now) -> Option<Draft> {
        self.writer.as_ref()?;
        self.admit(engine, now);
        if now.at >= self.look_next {
            self.look_next = now.at + LOOK;
            self.end_all(engine, now, |status| status.epoch.is_none());
        }
        let fails = self.progress.failures.load(Ordering::Relaxed) > 0;
        if std::mem::replace(&mut self.fails, fails) == fails {
            return None;
        }
        let text = match (fails, self.mode) {
            (false, _) => "the audit is written again",
            (true, AuditMode::Required) => "the audit cannot be written: no new keys are made until it can",
            (true, AuditMode::On | AuditMode::Off) => "the audit cannot be written: lines wait for the disk",
        };
        Some(Draft::new(EventKind::Audit, text))
    }

    /// With `audit = "required"` sessions are made only while lines reach the disk, and none before the first did.
    fn admit(&mut self, engine: &mut Engine, now: Now) {
        let is_written = self.progress.written.load(Ordering::Relaxed) > 0;
        let admits =
            self.mode != AuditMode::Required || (is_written && self.progress.failures.load(Ordering::Relaxed) == 0);
        if std::mem::replace(&mut self.admits, admits) != admits {
            engine.handle_command(now, Command::Admit(admits));
        }
    }

    fn end_all(&mut self, engine: &Engine, now: Now, has_ended: impl Fn(&PeerStatus) -> bool) {
        if self.peers.values().all(|account| account.open.is_none()) {
            return;
        }
        for status in engine.status(now) {
            if has_ended(&status) {
                self.end(status.id, &status);
            }
        }
    }

    /// Ends whatever is open; call it before the engine drops its sessions.
    pub(super) fn close(&mut self, engine: &Engine, now: Now) {
        self.end_all(engine, now, |_| true);
    }

    /// The same for one peer, which goes.
    pub(super) fn close_peer(&mut self, engine: &Engine, now: Now, peer: PeerId) {
        if let Some(status) = engine.peer_status(now, peer) {
            self.end(peer, &status);
        }
        self.peers.remove(&peer);
    }

    /// What a disk that refuses lines means from now on. Whether lines are written at all is decided at the start.
    pub(super) fn change_mode(&mut self, mode: AuditMode) {
        if self.writer.is_some() && mode != AuditMode::Off {
            self.mode = mode;
        }
    }

    /// The last line, and everything on the disk that can be brought there.
    pub(super) fn stop(&mut self) {
        self.put(What::Stop);
        if let Some(writer) = &mut self.writer {
            writer.finish();
        }
    }

    fn put(&mut self, what: What) {
        if let Some(writer) = &mut self.writer {
            writer.put(self.clock.unix_millis(), what);
        }
    }
}

fn of_override(peer: String, change: &OverrideChange) -> What {
    match change {
        OverrideChange::Began { order, ends } => What::Override {
            peer,
            qkd: order.qkd.as_str().to_owned(),
            until: rfc3339(*ends),
            reason: order.reason.clone(),
        },
        OverrideChange::Ended { early } => What::OverrideEnd { peer, early: *early },
    }
}
