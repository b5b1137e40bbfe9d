//! Fast rekey between two ends: they agree or nothing is made, and every input matters (PROTOCOL 2.8).

use std::collections::BTreeSet;

use plait::keys::offer::{SlotAnswer, SlotOffer};
use plait::keys::policy::{Exchange, LeftSeconds, QkdWaiver, WaiverKind, waive};
use plait::keys::request::DeliveredKey;
use plait::session::fast_rekey::{
    AwaitFr2, EpochRoot, FastTry, Fr2Made, Fr2Outcome, NewEpoch, course, create_fr1, open_fr1,
};
use plait::types::id::{KeyId, SessionIndex, SourceId, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, Reason};
use plait::types::random::Randomness;
use plait::types::secret::{Secret, SecretBytes};
use plait::types::terms::Agreed;
use proptest::prelude::*;

/// One secret for every draw.
struct Fixed(u8);

impl Randomness for Fixed {
    fn secret(&mut self, _label: &'static str, out: &mut [u8]) {
        out.fill(self.0);
    }

    fn public(&mut self, name: &'static str, _out: &mut [u8]) {
        panic!("{name}: a fast rekey itself draws nothing public");
    }
}

/// What both ends bring to one fast rekey.
#[derive(Clone, Debug)]
struct Inputs {
    policy: QkdPolicy,
    need: u8,
    hs: u8,
    root: u8,
    epoch: u32,
    try_number: u8,
    indices: [u32; 2],
    e: [u8; 2],
    /// By source: the key at the initiator, at the responder; none if the KME has none.
    keys: [[Option<u8>; 2]; 6],
    asked: u8,
    /// The first byte of every key_ID.
    name: u8,
    left: [u32; 2],
}

impl Inputs {
    fn plain() -> Self {
        let mut keys = [[None; 2]; 6];
        keys[0] = [Some(1); 2];
        keys[3] = [Some(2); 2];
        Self {
            policy: QkdPolicy::Required,
            need: 1,
            hs: 1,
            root: 2,
            epoch: 4,
            try_number: 0,
            indices: [5, 6],
            e: [7, 8],
            keys,
            asked: 0b1001,
            name: b'k',
            left: [90, 90],
        }
    }

    fn agreed(&self) -> Agreed {
        let asked = if self.policy == QkdPolicy::Off { 0 } else { self.asked };
        Agreed {
            policy: self.policy,
            need: if self.policy == QkdPolicy::Off { 0 } else { self.need },
            asked: SourceMask::from_bits(asked).unwrap(),
            cipher: Cipher::ChaCha20Poly1305,
            features: 0,
            inner_mtu: 1420,
            hold_last: u32::MAX,
            degrade_for: u32::MAX,
            clock: 0,
        }
    }

    fn root(&self) -> EpochRoot {
        EpochRoot { hs: [self.hs; 48], root: Secret::take(&mut [self.root; 48]) }
    }

    fn key(&self, source: usize, end: usize) -> Option<DeliveredKey> {
        let name = format!("{}-{source}", self.name as char);
        self.keys[source][end].map(|byte| DeliveredKey {
            key_id: KeyId::new(name.as_bytes()).unwrap(),
            material: SecretBytes::new(vec![byte; 32]),
        })
    }

    fn permit(&self, end: usize) -> Option<QkdWaiver> {
        waive(self.policy, Exchange::FastRekey, LeftSeconds(self.left[end]))
    }

    fn index(&self, end: usize) -> SessionIndex {
        SessionIndex::new(self.indices[end]).unwrap()
    }

    fn fr1(&self) -> Option<AwaitFr2> {
        let offers = std::array::from_fn(|source| match self.key(source, 0) {
            Some(key) => SlotOffer::Key(key),
            None => SlotOffer::Failed(Reason::NoKeyNow),
        });
        let attempt = FastTry { epoch: self.epoch, number: self.try_number, data_index: self.index(0) };
        let permit = self.permit(0);
        create_fr1(&self.root(), &self.agreed(), attempt, offers, permit.as_ref(), &mut Fixed(self.e[0])).ok()
    }

    fn fr2(&self, fr1: &[u8]) -> Fr2Made {
        let opened = open_fr1(&self.root(), &self.agreed(), fr1).unwrap();
        let answers = std::array::from_fn(|source| match self.key(source, 1) {
            Some(key) => SlotAnswer::Key(key),
            None => SlotAnswer::Failed(Reason::UnknownKeyId),
        });
        opened.create_fr2(self.index(1), answers, self.permit(1), &mut Fixed(self.e[1]))
    }

    /// Both ends' epochs, where both make one.
    fn run(&self) -> Option<(NewEpoch, NewEpoch)> {
        let waiting = self.fr1()?;
        let made = self.fr2(waiting.plaintext());
        match waiting.accept_fr2(&made.plaintext, &self.agreed(), self.permit(0)) {
            Ok(Fr2Outcome::Established(epoch)) => Some((*epoch, *made.outcome.expect("an ok without an epoch"))),
            Ok(Fr2Outcome::Mismatch { .. } | Fr2Outcome::Refused { .. }) | Err(_) => None,
        }
    }
}

fn outputs(epoch: &NewEpoch) -> [Vec<u8>; 4] {
    let secrets = [epoch.t_i2r.expose().to_vec(), epoch.t_r2i.expose().to_vec(), epoch.root.expose().to_vec()];
    let [i2r, r2i, root] = secrets;
    [epoch.hs.to_vec(), i2r, r2i, root]
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let policy = prop_oneof![Just(QkdPolicy::Off), Just(QkdPolicy::Preferred), Just(QkdPolicy::Required)];
    let key = prop_oneof![3 => (1u8..4).prop_map(Some), 1 => Just(None)];
    // Mostly the same key at both ends, sometimes another or none.
    let pair = (key.clone(), key, 0u8..4)
        .prop_map(|(ours, theirs, same)| if same > 0 { [ours, ours] } else { [ours, theirs] });
    let left = prop_oneof![1 => Just(0), 1 => Just(u32::MAX), 4 => 1u32..4000];
    let keys = prop::array::uniform6(pair);
    (policy, 1u8..4, keys, 0u8..64, prop::array::uniform2(left), any::<u8>(), any::<u32>(), any::<u8>()).prop_map(
        |(policy, need, keys, asked, left, root, epoch, try_number)| Inputs {
            policy,
            need,
            keys,
            asked,
            left,
            root,
            epoch,
            try_number,
            ..Inputs::plain()
        },
    )
}

proptest! {
    #[test]
    fn both_ends_make_the_same_epoch_or_it_is_not_used(inputs in inputs()) {
        if let Some((ours, theirs)) = inputs.run() {
            prop_assert_eq!(outputs(&ours), outputs(&theirs));
            prop_assert_eq!((&ours.mixed, ours.reasons, ours.waiver, ours.left), (&theirs.mixed, theirs.reasons, theirs.waiver, theirs.left));
            prop_assert_eq!((ours.local_data_index, ours.remote_data_index), (theirs.remote_data_index, theirs.local_data_index));
            let [hs, i2r, r2i, root] = outputs(&ours);
            prop_assert_eq!(BTreeSet::from([hs, i2r, r2i, root]).len(), 4);
        }
    }

    #[test]
    fn what_is_mixed_is_what_both_have_and_a_short_epoch_says_so(inputs in inputs()) {
        let agreed = inputs.agreed();
        let both = |source: SourceId| {
            let [ours, theirs] = inputs.keys[source.slot()];
            agreed.asked.has(source) && ours.is_some() && theirs.is_some()
        };
        let common = SourceId::all().filter(|&source| both(source)).count();
        let differ = SourceId::all().any(|s| both(s) && inputs.keys[s.slot()][0] != inputs.keys[s.slot()][1]);
        let is_short = inputs.policy != QkdPolicy::Off && common < usize::from(inputs.need);
        match inputs.run() {
            Some((epoch, _)) => {
                prop_assert!(!differ, "different keys never make an epoch");
                prop_assert_eq!(epoch.mixed.len(), common);
                let expected = match inputs.policy {
                    QkdPolicy::Off => Some(WaiverKind::Off),
                    QkdPolicy::Preferred if is_short => Some(WaiverKind::Degraded),
                    QkdPolicy::Required if is_short => Some(WaiverKind::Holdover),
                    QkdPolicy::Preferred | QkdPolicy::Required => None,
                };
                prop_assert_eq!(epoch.waiver, expected);
                prop_assert!(!is_short || epoch.left > LeftSeconds::NONE && epoch.left.0 <= inputs.left[1]);
            }
            None => prop_assert!(differ || (is_short && inputs.left.contains(&0)), "refused without a reason"),
        }
        for source in SourceId::all().filter(|&s| agreed.asked.has(s)) {
            if let Some((epoch, _)) = inputs.run() {
                let is_mixed = epoch.mixed.iter().any(|(mixed, _)| *mixed == source);
                prop_assert_eq!(epoch.reasons[source.slot()].is_none(), is_mixed, "a reason for each that is not mixed");
            }
        }
    }

    #[test]
    fn a_changed_fr1_is_refused(inputs in inputs(), at in any::<prop::sample::Index>(), change in 1u8..) {
        prop_assume!(inputs.fr1().is_some());
        let mut fr1 = inputs.fr1().unwrap().plaintext().to_vec();
        let length = fr1.len();
        fr1[at.index(length)] ^= change;
        prop_assert!(open_fr1(&inputs.root(), &inputs.agreed(), &fr1).is_err());
    }

    #[test]
    fn a_changed_fr2_makes_no_epoch_and_the_true_one_still_does(
        inputs in inputs(), at in any::<prop::sample::Index>(), change in 1u8..,
    ) {
        prop_assume!(inputs.run().is_some());
        let waiting = inputs.fr1().unwrap();
        let good = inputs.fr2(waiting.plaintext()).plaintext;
        let accept = |fr2: &[u8]| waiting.accept_fr2(fr2, &inputs.agreed(), inputs.permit(0));
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= change;
        prop_assert!(!matches!(accept(&bad), Ok(Fr2Outcome::Established(_))));
        prop_assert!(matches!(accept(&good), Ok(Fr2Outcome::Established(_))));
    }

    #[test]
    fn no_bytes_make_a_panic(
        head in prop::array::uniform16(any::<u8>()), body in prop::collection::vec(any::<u8>(), 0..500), plain in any::<bool>(),
    ) {
        let inputs = Inputs::plain();
        let waiting = inputs.fr1().unwrap();
        // Behind a good auth: what a faulty peer could send.
        let mut fr1 = [head.as_slice(), &body].concat();
        if plain {
            fr1[..8].copy_from_slice(&waiting.plaintext()[..8]);
        }
        fr1.resize(480, 0);
        let auth = inputs.root().auth(&fr1);
        fr1.extend_from_slice(&auth);
        let _ = open_fr1(&inputs.root(), &inputs.agreed(), &fr1);
        let mut fr2 = fr1[..80].to_vec();
        fr2[0] = 2;
        prop_assert!(waiting.accept_fr2(&fr2, &inputs.agreed(), None).is_err());
        prop_assert!(waiting.accept_fr2(&body, &inputs.agreed(), None).is_err());
    }

    #[test]
    fn only_the_next_epoch_and_no_lower_try_is_answered(
        current in 0u32..u32::MAX, answered in prop::option::of(any::<u8>()), epoch in any::<u32>(), try_number in any::<u8>(),
    ) {
        prop_assert_eq!(course(current, answered, epoch, try_number).is_ok(), epoch == current + 1 && answered.is_none_or(|a| try_number >= a));
        prop_assert_eq!(course(current, answered, current + 1, try_number).is_ok(), answered.is_none_or(|a| try_number >= a));
    }
}

#[test]
fn any_changed_input_changes_all_outputs() {
    let plain = Inputs::plain();
    let changed = |change: fn(&mut Inputs)| {
        let mut inputs = plain.clone();
        change(&mut inputs);
        inputs
    };
    let variants = [
        ("nothing", plain.clone()),
        ("hs", changed(|i| i.hs = 9)),
        ("root", changed(|i| i.root = 9)),
        ("epoch", changed(|i| i.epoch = 9)),
        ("try", changed(|i| i.try_number = 9)),
        ("initiator's index", changed(|i| i.indices[0] = 9)),
        ("responder's index", changed(|i| i.indices[1] = 9)),
        ("e", changed(|i| i.e[0] = 99)),
        ("e'", changed(|i| i.e[1] = 99)),
        ("first key", changed(|i| i.keys[0] = [Some(9); 2])),
        ("second key", changed(|i| i.keys[3] = [Some(9); 2])),
        ("keys exchanged", changed(|i| i.keys.swap(0, 3))),
        ("key of another source", changed(|i| (i.keys[1], i.keys[0], i.asked) = (i.keys[0], [None; 2], 0b1010))),
        ("key_IDs", changed(|i| i.name = b'x')),
        ("one key fewer", changed(|i| i.keys[3] = [None; 2])),
        ("one key fewer at the responder", changed(|i| i.keys[3][1] = None)),
        ("no key", changed(|i| (i.keys[0], i.keys[3]) = ([None; 2], [None; 2]))),
        ("no key, other time left", changed(|i| (i.keys[0], i.keys[3], i.left) = ([None; 2], [None; 2], [90, 80]))),
        (
            "no key, preferred",
            changed(|i| (i.keys[0], i.keys[3], i.policy) = ([None; 2], [None; 2], QkdPolicy::Preferred)),
        ),
        ("policy off", changed(|i| i.policy = QkdPolicy::Off)),
    ];
    let results: Vec<_> = variants.iter().map(|(what, inputs)| (what, outputs(&inputs.run().expect(what).0))).collect();
    for (at, (what, outputs)) in results.iter().enumerate() {
        for (other, others) in &results[..at] {
            for (name, (a, b)) in ["hs", "T_i2r", "T_r2i", "root"].iter().zip(outputs.iter().zip(others)) {
                assert_ne!(a, b, "{name} with {what} and with {other}");
            }
        }
    }
}

#[test]
fn a_chain_of_epochs_never_repeats_a_key() {
    let inputs = Inputs::plain();
    let mut root = inputs.root();
    let mut seen = BTreeSet::new();
    for epoch in 1..100 {
        // The same draws and the same QKD keys each time: the root alone makes the difference.
        let agreed = inputs.agreed();
        let attempt = FastTry { epoch, number: 0, data_index: inputs.index(0) };
        let offers = [const { SlotOffer::Failed(Reason::NoKeyNow) }; 6];
        let permit = inputs.permit(0);
        let waiting = create_fr1(&root, &agreed, attempt, offers, permit.as_ref(), &mut Fixed(1)).unwrap();
        let opened = open_fr1(&root, &agreed, waiting.plaintext()).unwrap();
        let answers = [const { SlotAnswer::NotNeeded }; 6];
        let made = opened.create_fr2(inputs.index(1), answers, inputs.permit(1), &mut Fixed(2));
        let outcome = waiting.accept_fr2(&made.plaintext, &agreed, inputs.permit(0)).unwrap();
        let Fr2Outcome::Established(next) = outcome else { panic!("epoch {epoch} was not made") };
        for output in outputs(&next) {
            assert!(seen.insert(output), "epoch {epoch} repeats a key");
        }
        root = EpochRoot { hs: next.hs, root: next.root };
    }
}
