//! The MTU of the interface while the daemon runs: as low as the peers of the moment need it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::sync::watch;

use crate::io::system::netlink::take_steps;
use crate::io::system::plan::{InterfacePlan, Step};

/// Sets the MTU, one change after the other. Of changes that come faster than the kernel takes them only the last is made.
pub(super) struct InterfaceMtu {
    wanted: watch::Sender<u16>,
    used: Arc<AtomicU16>,
}

impl InterfaceMtu {
    /// For the interface of that name and index, set up by `plan`. Needs a tokio runtime, in whose namespace it is.
    pub(super) fn of(name: String, index: u32, plan: InterfacePlan) -> Self {
        let planned = plan.mtu_for(u16::MAX);
        let (wanted, asked) = watch::channel(planned);
        let used = Arc::new(AtomicU16::new(planned));
        tokio::spawn(follow(name, index, plan, asked, Arc::clone(&used)));
        Self { wanted, used }
    }

    /// The longest packet that every peer takes has this many bytes.
    pub(super) fn ask(&self, bytes: u16) {
        self.wanted.send_replace(bytes);
    }

    /// Bytes, as last set.
    pub(super) fn used(&self) -> u16 {
        self.used.load(Ordering::Relaxed)
    }
}

/// Ends when nobody can ask any more.
async fn follow(name: String, index: u32, plan: InterfacePlan, mut asked: watch::Receiver<u16>, used: Arc<AtomicU16>) {
    while asked.changed().await.is_ok() {
        let mtu = plan.mtu_for(*asked.borrow_and_update());
        if mtu == used.load(Ordering::Relaxed) {
            continue;
        }
        match take_steps(&name, index, &[Step::SetMtu(mtu)]).await {
            Ok(()) => {
                used.store(mtu, Ordering::Relaxed);
                tracing::info!(mtu, "MTU of the interface: what all peers take");
            }
            // The packet threads drop what is too long for a peer, whatever the interface lets in.
            Err(error) => tracing::warn!(mtu, %error, "MTU of the interface not set"),
        }
    }
}
