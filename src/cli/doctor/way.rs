//! The way to each peer: whether its host answers, and how long a packet may be.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::step::{Outcome, Step};
use crate::config::{Config, Peer};
use crate::control::report::StatusReport;
use crate::io::path_probe::longest;

/// What a data packet adds to the inner one, by the family of the outer addresses (PROTOCOL 2.9).
const OVERHEAD_BYTES: (usize, usize) = (60, 80);
/// Lengths tried first: those of usual links and tunnels.
const USUAL_BYTES: [usize; 10] = [1492, 1480, 1460, 1420, 1400, 1380, 1300, 1200, 1000, 100];
/// Lengths tried between the longest that passed and the one that is needed.
const BETWEEN: usize = 16;

/// One step a peer.
pub(super) fn ways(config: &Config, status: Option<&StatusReport>) -> Vec<Step> {
    config.peers.iter().map(|peer| way(config, peer, status).of(&peer.name)).collect()
}

fn way(config: &Config, peer: &Peer, status: Option<&StatusReport>) -> Step {
    const NAME: &str = "path and MTU";
    let known = status.and_then(|status| status.peers.iter().find(|found| found.name == peer.name));
    let seen = known.and_then(|peer| peer.endpoint.as_deref()?.parse::<SocketAddr>().ok());
    let Some(endpoint) = seen.or(peer.endpoint) else {
        return Step::new(NAME, Outcome::Skipped, "no endpoint is configured, and the peer has not called yet");
    };
    let to = endpoint.ip().to_canonical();
    let mtu = usize::from(status.map_or_else(|| config.interface.mtu.bytes(), |status| status.mtu));
    let overhead = if to.is_ipv4() { OVERHEAD_BYTES.0 } else { OVERHEAD_BYTES.1 };
    let needed = mtu + overhead;
    match longest_up_to(to, needed) {
        Ok(Some(bytes)) if bytes >= needed => {
            Step::new(NAME, Outcome::Ok, format!("packets of {needed} bytes reach {to}: mtu {mtu} fits"))
        }
        Ok(Some(bytes)) => Step::new(
            NAME,
            Outcome::Failed,
            format!(
                "packets to {to} get through up to {bytes} bytes, and mtu {mtu} needs {needed}: longer ones vanish; write \
                 mtu = {} at both sites, or have the path repaired",
                bytes.saturating_sub(overhead)
            ),
        ),
        Ok(None) => {
            let text = format!("{to} answers no echo requests (many hosts do not): nothing was measured");
            Step::new(NAME, Outcome::Skipped, text)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Step::new(NAME, Outcome::Skipped, "echo requests need root or net.ipv4.ping_group_range")
        }
        Err(error) => Step::new(NAME, Outcome::Failed, format!("no way to {to}: {error}")),
    }
}

/// The longest packet that passes, exact to a sixteenth of what is between two usual lengths.
fn longest_up_to(to: IpAddr, needed: usize) -> io::Result<Option<usize>> {
    let first: Vec<usize> =
        std::iter::once(needed).chain(USUAL_BYTES.into_iter().filter(|bytes| *bytes < needed)).collect();
    let Some(passed) = longest(to, &first)? else { return Ok(None) };
    let Some(next) = first.iter().copied().filter(|bytes| *bytes > passed).min() else { return Ok(Some(passed)) };
    let between: Vec<usize> = (1..=BETWEEN).map(|part| passed + (next - passed) * part / BETWEEN).collect();
    Ok(Some(longest(to, &between)?.unwrap_or(passed).max(passed)))
}
