//! Key files, fingerprints and primitives: everything comes back, and nothing changed is taken for the original.

use plait::crypto::aead::{AeadBackend, DataKey};
use plait::crypto::kem::{all, default_backend};
use plait::identity::armour::{self, Label};
use plait::identity::{Fingerprint, read_secret};
use plait::types::policy::{Cipher, Suite};
use plait::types::secret::Secret;
use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn labels() -> impl Strategy<Value = Label> {
    let of = |suite| [Label::Secret(suite), Label::Public(suite)];
    select([of(Suite::MlKem1024).as_slice(), &of(Suite::MlKem768), &[Label::Psk]].concat())
}

fn text_of(label: Label, seed: &[u8]) -> (Vec<u8>, String) {
    let bytes: Vec<u8> = seed.iter().copied().cycle().take(label.bytes()).collect();
    let text = armour::encode(label, &bytes);
    (bytes, String::from_utf8(text.expose().to_vec()).unwrap())
}

fn same_text(label: Label, bytes: &[u8], text: &str) -> bool {
    armour::encode(label, bytes).expose() == text.as_bytes()
}

proptest! {
    #[test]
    fn armour_comes_back(label in labels(), seed in vec(any::<u8>(), 1..200)) {
        let (bytes, text) = text_of(label, &seed);
        let (found, content) = armour::decode(&text).unwrap();
        prop_assert_eq!((found, content.expose()), (label, bytes.as_slice()));
    }

    #[test]
    fn what_armour_accepts_is_the_only_spelling(
        label in labels(), seed in vec(any::<u8>(), 1..200), at in any::<Index>(), new in "[ -~\n\r\u{e9}]",
    ) {
        let (bytes, text) = text_of(label, &seed);
        let at = at.index(text.len());
        let changed = format!("{}{new}{}", &text[..at], &text[at + 1..]);
        let Ok((label, content)) = armour::decode(&changed) else { return Ok(()) };
        prop_assert!(same_text(label, content.expose(), &changed), "two spellings of one content");
        prop_assert!(changed == text || content.expose() != bytes, "a changed text with the old content");
    }

    #[test]
    fn a_cut_or_grown_armour_is_refused(
        label in labels(), seed in vec(any::<u8>(), 1..200), at in any::<Index>(), more in "[ -~\n]{1,3}",
    ) {
        let (_, text) = text_of(label, &seed);
        let at = at.index(text.len());
        prop_assert!(armour::decode(&text[..at]).is_err());
        let grown = [&text[..at], &more, &text[at..]].concat();
        prop_assert!(armour::decode(&grown).is_err());
    }

    #[test]
    fn any_text_is_refused_in_peace(text in "\\PC{0,300}", lines in vec("[-A-Za-z0-9+/=]{0,80}", 0..6)) {
        prop_assert!(armour::decode(&text).is_err());
        let framed = format!("-----BEGIN PLAIT1-SECRET-----\n{}\n-----END PLAIT1-SECRET-----\n", lines.join("\n"));
        if let Ok((_, secret)) = read_secret(&framed) {
            prop_assert!(same_text(Label::Secret(Suite::MlKem1024), secret.expose(), &framed));
        }
    }

    #[test]
    fn a_fingerprint_comes_back_from_any_spelling(bytes in uniform32(any::<u8>()), lower in any::<bool>(), gap in "[- ]{0,2}") {
        let fingerprint = Fingerprint::from_bytes(bytes);
        let text = fingerprint.to_string().replace('-', &gap);
        let text = if lower { text.to_lowercase() } else { text };
        prop_assert_eq!(text.parse(), Ok(fingerprint));
    }

    #[test]
    fn another_character_is_another_fingerprint(bytes in uniform32(any::<u8>()), at in any::<Index>(), new in "[A-Z2-7]") {
        let fingerprint = Fingerprint::from_bytes(bytes);
        let text = fingerprint.to_string();
        let at = at.index(text.len());
        prop_assume!(text[at..=at] != new && &text[at..=at] != "-");
        let changed = format!("{}{new}{}", &text[..at], &text[at + 1..]);
        prop_assert_ne!(changed.parse(), Ok(fingerprint));
    }

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does(
        key in uniform32(any::<u8>()), counter in any::<u64>(), ad in vec(any::<u8>(), 0..40),
        plain in vec(any::<u8>(), 0..300), bit in any::<Index>(),
    ) {
        for (cipher, backend) in [
            (Cipher::ChaCha20Poly1305, AeadBackend::AwsLc),
            (Cipher::ChaCha20Poly1305, AeadBackend::Reference),
            (Cipher::Aes256Gcm, AeadBackend::AwsLc),
        ] {
            let key = DataKey::new(cipher, backend, &Secret::take(&mut key.clone()));
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_le_bytes());
            let mut sealed = plain.clone();
            let tag = key.seal(nonce, &ad, &mut sealed);
            sealed.extend_from_slice(&tag);
            let mut input = [nonce.as_slice(), &ad, &sealed].concat();
            let open = |input: &[u8]| {
                let (nonce, rest) = input.split_first_chunk().unwrap();
                let (ad, sealed) = rest.split_at(ad.len());
                key.open(*nonce, ad, &mut sealed.to_vec()).map(|text| text.to_vec())
            };
            prop_assert_eq!(open(&input), Some(plain.clone()));
            let bit = bit.index(input.len() * 8);
            input[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&input), None, "{:?} {:?}: bit {}", cipher, backend, bit);
        }
    }
}

proptest! {
    // Each case runs every pairing: 64 of them say as much as 256 would.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_pair_of_kem_backends_agrees(
        d in uniform32(any::<u8>()), z in uniform32(any::<u8>()), m in uniform32(any::<u8>()), bit in any::<Index>(),
        suite in select(vec![Suite::MlKem1024, Suite::MlKem768]),
    ) {
        let seed = Secret::filled(|out: &mut [u8; 64]| out.copy_from_slice(&[d, z].concat()));
        let m = Secret::take(&mut m.clone());
        let pair = default_backend().generate(suite, &seed);
        for one in all() {
            prop_assert_eq!(&one.generate(suite, &seed).ek, &pair.ek, "{}", one.name());
            let (ct, sent) = one.encapsulate(suite, &pair.ek, &m).unwrap();
            let mut changed = ct.clone();
            let bit = bit.index(ct.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            let rejected = default_backend().decapsulate(suite, &pair.dk, &changed).unwrap();
            prop_assert!(!rejected.ct_eq(&sent));
            for other in all() {
                let got = other.decapsulate(suite, &pair.dk, &ct).unwrap();
                prop_assert!(got.ct_eq(&sent), "{} to {}", one.name(), other.name());
                let got = other.decapsulate(suite, &pair.dk, &changed).unwrap();
                prop_assert!(got.ct_eq(&rejected), "{} to {}: bit {}", one.name(), other.name(), bit);
            }
        }
    }
}
