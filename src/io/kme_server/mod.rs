//! A simulated KME pair on the network: two HTTPS servers with client certificates, and the socket that steers their link.
//!
//! `serve` accepts TLS connections and carries requests to the rules in `kme::api`; `doorstep` bounds those that have
//! proven nothing; `threshold` and `outlet` do to connections and answers what was ordered; `control` takes orders and asks for
//! them. All end when the pair stops.

pub mod control;
mod doorstep;
pub mod error;
mod outlet;
pub mod serve;
mod threshold;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::error::ServeError;
use self::serve::{Kme, Shared};
use super::clock::Clock;
use super::entropy::OsEntropy;
use super::tls::server::server_tls;
use crate::kme::file::{KmeServing, PairFile};
use crate::kme::order::Order;
use crate::kme::pair::{Pair, PairStatus, Side};

/// A pair that serves; it stops when it is dropped.
pub struct PairServer {
    addresses: [Vec<SocketAddr>; 2],
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    socket: Option<PathBuf>,
}

impl PairServer {
    /// Starts both servers and, if a path is given, the control socket.
    ///
    /// # Errors
    /// [`ServeError`]; nothing runs then.
    pub async fn start(file: PairFile, socket: Option<PathBuf>) -> Result<Self, ServeError> {
        let clock = Clock::start();
        let entropy = OsEntropy::open().map_err(ServeError::Entropy)?;
        let mut pair = Pair::new(file.setup, clock.now());
        for (fault, at, times) in file.faults {
            pair.faults().order(fault, at, times);
        }
        let shared = Arc::new(Shared { pair: Mutex::new((pair, entropy)), clock });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let [a, b] = &file.serving;
        let at_a = listen(&mut tasks, &shared, Side::A, a, &stopped).await?;
        let at_b = listen(&mut tasks, &shared, Side::B, b, &stopped).await?;
        if let Some(path) = &socket {
            let listener = control::bind(path).await?;
            tasks.spawn(control::serve(listener, Arc::clone(&shared), stopped));
        }
        Ok(Self { addresses: [at_a, at_b], shared, stop, tasks, socket })
    }

    /// Where the KMEs of side A and side B listen.
    pub fn addresses(&self) -> &[Vec<SocketAddr>; 2] {
        &self.addresses
    }

    /// Carries out an order.
    pub fn order(&self, order: Order) -> PairStatus {
        let mut held = self.shared.pair.lock().unwrap_or_else(PoisonError::into_inner);
        order.carry_out(&mut held.0, self.shared.clock.now())
    }

    /// Stops both servers: no new connection, running requests are cut.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for PairServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(path) = &self.socket {
            // Gone already is as good.
            drop(std::fs::remove_file(path));
        }
    }
}

async fn listen(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    side: Side,
    serving: &KmeServing,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<SocketAddr>, ServeError> {
    let kme = Arc::new(Kme::new(Arc::clone(shared), side, server_tls(serving)?));
    let mut addresses = Vec::new();
    for &address in &serving.listen {
        let failed = |error| ServeError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        addresses.push(listener.local_addr().map_err(failed)?);
        tasks.spawn(Arc::clone(&kme).accept(listener, stopped.clone()));
    }
    Ok(addresses)
}
