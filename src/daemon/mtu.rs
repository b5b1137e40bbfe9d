//! The MTU of the interface while the daemon runs: as low as the peers of the moment need it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::sync::watch;

use super::ask::Asker;
use super::refused::Refused;
use crate::io::keeper_link::Ask;
use crate::io::system::plan::InterfacePlan;

/// Sets the MTU, one change after the other. Of changes that come faster than the kernel takes them only the last is made.
pub(super) struct InterfaceMtu {
    wanted: watch::Sender<Wanted>,
    used: Arc<AtomicU16>,
}

/// What the MTU follows from.
struct Wanted {
    /// The longest packet that every peer takes.
    bytes: u16,
    plan: InterfacePlan,
}

impl InterfaceMtu {
    /// For the interface that the keeper has set up by `plan`. Needs a tokio runtime.
    pub(super) fn of(keeper: Asker, plan: InterfacePlan) -> Self {
        let planned = plan.mtu_for(u16::MAX);
        let (wanted, asked) = watch::channel(Wanted { bytes: planned, plan });
        let used = Arc::new(AtomicU16::new(planned));
        tokio::spawn(follow(keeper, asked, Arc::clone(&used)));
        Self { wanted, used }
    }

    /// The longest packet that every peer takes has this many bytes.
    pub(super) fn ask(&self, bytes: u16) {
        self.wanted.send_modify(|wanted| wanted.bytes = bytes);
    }

    /// The interface was set up anew; `is_set` says that its MTU was too.
    pub(super) fn replan(&self, plan: InterfacePlan, is_set: bool) {
        if is_set {
            self.used.store(plan.mtu_for(u16::MAX), Ordering::Relaxed);
        }
        self.wanted.send_modify(|wanted| wanted.plan = plan);
    }

    /// Bytes, as last set.
    pub(super) fn used(&self) -> u16 {
        self.used.load(Ordering::Relaxed)
    }
}

/// Ends when nobody can ask any more.
async fn follow(keeper: Asker, mut asked: watch::Receiver<Wanted>, used: Arc<AtomicU16>) {
    while asked.changed().await.is_ok() {
        let mtu = {
            let wanted = asked.borrow_and_update();
            wanted.plan.mtu_for(wanted.bytes)
        };
        if mtu == used.load(Ordering::Relaxed) {
            continue;
        }
        match keeper.ask(Ask::Mtu { bytes: mtu }).await {
            Ok(_) => {
                used.store(mtu, Ordering::Relaxed);
                tracing::info!(mtu, "MTU of the interface: what all peers take");
            }
            // The packet threads drop what is too long for a peer, whatever the interface lets in.
            Err(Refused { text, .. }) => tracing::warn!(mtu, error = text, "MTU of the interface not set"),
        }
    }
}
