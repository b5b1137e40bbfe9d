//! What a handshake and a fast rekey cost, both ends' work together: `cargo bench --bench exchanges`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "as in a test")]

#[allow(dead_code, reason = "the other benchmark uses more of it")]
mod cpu_time;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../handshake/ends.rs"]
mod ends;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../handshake/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../handshake/pair.rs"]
mod pair;

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use plait::crypto::kem::default_backend;
use plait::identity::Identity;
use plait::keys::offer::{SlotAnswer, SlotOffer};
use plait::keys::request::DeliveredKey;
use plait::session::fast_rekey::{EpochRoot, FastTry, Fr2Outcome, create_fr1, open_fr1};
use plait::types::id::{KeyId, SessionIndex, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, Reason, Suite};
use plait::types::secret::{Secret, SecretBytes};
use plait::types::terms::Agreed;

use crate::cpu_time::CpuTime;
use crate::fixture::Seeded;
use crate::pair::{Event, Pair};

fn main() {
    let mut criterion = cpu_time::criterion(3);
    handshakes(&mut criterion);
    fast_rekeys(&mut criterion);
    criterion.final_summary();
}

/// I0 to the initiator's session, datagram by datagram; the KMEs answer at once.
fn run(mut pair: Pair) -> Pair {
    pair.is_traced = false;
    let mut waiting = vec![pair.i0()];
    while let Some(datagram) = waiting.pop() {
        match pair.deliver(&datagram) {
            // The last first out: the order of the parts is the one they were made in.
            Event::Send(datagrams) => waiting.extend(datagrams.into_iter().rev()),
            Event::Silence => {}
            Event::Established => return pair,
            event @ (Event::Drop(_) | Event::NoSession(_)) => panic!("{event:?}"),
        }
    }
    panic!("no session");
}

fn handshakes(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("handshake");
    for (name, suite) in [("suite 1, ML-KEM-1024", Suite::MlKem1024), ("suite 2, ML-KEM-768", Suite::MlKem768)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Pair::new(fixture::ends(suite), Box::new(Seeded::new(1))),
                |pair| run(black_box(pair)),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("an identity from its file", |bencher| {
        bencher.iter(|| {
            let secret = Secret::take(black_box(&mut [1; 96]));
            Identity::from_secret(default_backend(), Suite::MlKem1024, secret).unwrap()
        });
    });
    group.finish();
}

fn agreed() -> Agreed {
    Agreed {
        policy: QkdPolicy::Required,
        need: 1,
        asked: SourceMask::from_bits(1).unwrap(),
        cipher: Cipher::ChaCha20Poly1305,
        features: 3,
        inner_mtu: 1420,
        hold_last: 3600,
        degrade_for: u32::MAX,
        clock: 0,
    }
}

fn key() -> DeliveredKey {
    DeliveredKey { key_id: KeyId::new(b"key-0").unwrap(), material: SecretBytes::new(vec![0x51; 32]) }
}

/// FR1 made, opened, answered, and the answer taken: one new epoch at each end.
fn fast_rekey(terms: &Agreed, rng: &mut Seeded) {
    let root = || EpochRoot { hs: [1; 48], root: Secret::take(&mut [2; 48]) };
    let (initiator, responder) = (root(), root());
    let index = |number| SessionIndex::new(number).unwrap();
    let mut offers = [const { SlotOffer::NotAsked }; 6];
    offers[0] = SlotOffer::Key(key());
    let attempt = FastTry { epoch: 4, number: 0, data_index: index(5) };
    let waiting = create_fr1(&initiator, terms, attempt, offers, None, rng).expect("one key is enough");
    let mut answers = [const { SlotAnswer::Failed(Reason::UnknownKeyId) }; 6];
    answers[0] = SlotAnswer::Key(key());
    let opened = open_fr1(&responder, terms, black_box(waiting.plaintext())).unwrap();
    let made = opened.create_fr2(index(6), answers, None, rng);
    match waiting.accept_fr2(black_box(&made.plaintext), terms, None).unwrap() {
        Fr2Outcome::Established(epoch) => drop(black_box((epoch, made.outcome.expect("an ok has an epoch")))),
        Fr2Outcome::Mismatch { .. } | Fr2Outcome::Refused { .. } => panic!("no new epoch"),
    }
}

fn fast_rekeys(criterion: &mut Criterion<CpuTime>) {
    let (terms, mut rng) = (agreed(), Seeded::new(1));
    criterion.bench_function("fast rekey", |bencher| bencher.iter(|| fast_rekey(&terms, &mut rng)));
}
