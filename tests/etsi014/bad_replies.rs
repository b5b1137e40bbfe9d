//! More than a thousand distinct bad replies: each ends in an error of the right class, no key is taken, and the next good one works.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plait::io::source::{Etsi014Source, KeySource};
use plait::keys::request::{KeyRequestKind, SourceFailure};
use plait::types::id::KeyId;
use plait::types::policy::Reason;

use crate::broken_http;
use crate::broken_json;
use crate::pki::Pki;
use crate::stub::{Act, Stub, tls};
use crate::world::{fetch, setup, source};

/// Nothing here may take so long; each question's own bound is half of it.
const HANGS: Duration = Duration::from_secs(20);
/// What all of them together may leave in memory: far more than all replies, far less than what some of them claim.
const GROWTH_BYTES_MAX: u64 = 256 << 20;

/// What is asked when the bad reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Status,
    New,
    ById,
}

/// A reply that must be refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bad {
    pub(crate) asked: Asked,
    /// The whole answer, head and body.
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection is closed after it.
    pub(crate) is_last: bool,
    /// What it may be called.
    pub(crate) reasons: &'static [Reason],
}

/// A KME whose next answer the test chooses.
struct Puppet {
    next: Arc<Mutex<Act>>,
    stub: Stub,
}

impl Puppet {
    async fn start(pki: &Pki) -> Self {
        let next = Arc::new(Mutex::new(Act::Hang));
        let held = Arc::clone(&next);
        let stub =
            Stub::start(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS), move |_| held.lock().unwrap().clone());
        Self { next, stub: stub.await }
    }

    fn answers(&self, act: Act) {
        *self.next.lock().unwrap() = act;
    }
}

async fn ask(source: &mut Etsi014Source, asked: Asked) -> Result<(), SourceFailure> {
    let kind = match asked {
        Asked::Status => {
            return tokio::time::timeout(HANGS, source.status()).await.expect("a bounded time").result.map(drop);
        }
        Asked::New => KeyRequestKind::New { bits: 256 },
        Asked::ById => KeyRequestKind::ById { key_id: KeyId::new(broken_json::KEY_ID.as_bytes()).unwrap() },
    };
    let fetched = tokio::time::timeout(HANGS, fetch(source, kind, HANGS / 2)).await.expect("a bounded time");
    fetched.map(|_| ())
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Gives every bad reply, and a good one after every `good_after`-th.
async fn refused(bad: &[Bad], good_after: usize) {
    let pki = Pki::new();
    let puppet = Puppet::start(&pki).await;
    let mut source = source(setup(&pki, puppet.stub.address, "SAE-A", "SAE-B"));
    let before = resident_bytes();
    for (number, bad) in bad.iter().enumerate() {
        let bytes = bad.bytes.clone();
        puppet.answers(if bad.is_last { Act::Last(bytes) } else { Act::Answer(bytes) });
        let outcome = ask(&mut source, bad.asked).await;
        let shown = String::from_utf8_lossy(&bad.bytes[..bad.bytes.len().min(400)]).into_owned();
        let failure = outcome.expect_err(&format!("{:?} took {shown:?}", bad.asked));
        assert!(bad.reasons.contains(&failure.reason), "{:?} {shown:?}: {failure:?}", bad.asked);
        if number % good_after == 0 {
            puppet.answers(Act::Answer(broken_json::good(bad.asked)));
            let good = ask(&mut source, bad.asked).await;
            good.unwrap_or_else(|failure| panic!("the good reply after {shown:?}: {failure:?}"));
        }
    }
    assert!(resident_bytes().saturating_sub(before) < GROWTH_BYTES_MAX, "the memory grew");
}

#[test]
fn they_are_more_than_a_thousand() {
    let all: BTreeSet<Bad> = broken_json::all().into_iter().chain(broken_http::all()).collect();
    assert!(all.len() >= 1000, "{} distinct replies", all.len());
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    refused(&broken_json::all(), 1).await;
}

#[tokio::test]
async fn bad_heads_and_broken_connections_are_refused() {
    refused(&broken_http::all(), 4).await;
}
