//! Bounds of the daemon's own queues and waits.

use std::time::Duration;

use crate::types::limits::PEERS_MAX;

/// How long `rekey --wait` waits for a new epoch: an attempt that met a busy KME has its answer or has failed by then.
pub const REKEY_WAIT: Duration = Duration::from_secs(60);
/// Callers that wait for a rekey at once: as many as there are places at the control socket.
pub const WAITERS_MAX: usize = 16;
/// How long `events --follow` waits for the next event before it asks again: a caller who is gone is noticed then.
pub const EVENTS_WAIT: Duration = Duration::from_secs(30);
/// Events that wait for the disk: a burst of all kinds at once.
pub const EVENTS_WAITING_MAX: usize = 256;
/// How often the ends of certificates are looked at: they are counted in days.
pub const EXPIRY_LOOK: Duration = Duration::from_secs(600);
/// Lines of the audit that wait for the disk, and again as many that it refused: two days of one peer.
pub const AUDIT_WAITING_MAX: usize = 4096;
/// How soon a disk that refused a line of the audit is asked again.
pub const AUDIT_RETRY: Duration = Duration::from_secs(1);
/// Writes under way: four files a peer, each in one version.
pub const STORES_MAX: usize = 4 * PEERS_MAX;
/// Key requests without an answer: six sources a peer, at most two exchanges of it at once.
pub const KEY_REQUESTS_MAX: usize = 12 * PEERS_MAX;
/// Answers of the keys process that wait for the loop: it is made to wait when there are more.
pub const KEY_ANSWERS_MAX: usize = 64;
/// How long nothing at all may come from the keys process while something is asked: the longest deadline of a KME (PROTOCOL 2.5),
/// and half of it again.
pub const KEYS_SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a request is open at most: no exchange waits so long, whatever the deadlines of the KMEs before it in the line.
pub const KEY_REQUEST_AGE_MAX: Duration = Duration::from_secs(300);
/// Pause before the keys process is started again, the first time; doubled while it does not last.
pub const KEYS_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause: a fault that passes is over soon after.
pub const KEYS_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Who ran so long has lasted: the next pause is the first again.
pub const KEYS_LASTED: Duration = Duration::from_secs(60);
/// How long a reload waits for writes under way: the loop stands still meanwhile, and rekeys bear that.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(5);
/// How often the keeper looks whether the kill switch still stands: nothing tells when a firewall is flushed.
pub const KILL_SWITCH_LOOK: Duration = Duration::from_secs(10);
/// Control requests that wait for the loop.
pub const CALLS_MAX: usize = 16;
/// News of packet threads that one turn of the loop takes: deadlines, keys and requests wait no longer than for these.
pub const NEWS_MAX: usize = 128;
/// Longest sleep: after a suspend, which the runtime's timer does not count, a deadline is seen this much late at most.
pub const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Shortest sleep: a deadline that does not move cannot make the loop spin.
pub const SLEEP_MIN: Duration = Duration::from_millis(1);
