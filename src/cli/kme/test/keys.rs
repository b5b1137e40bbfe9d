//! The checks with keys: one that is new, then the same one at the other site; and what must be refused.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::grade::{Findings, Grade};
use crate::cli::kme::target::Found;
use crate::etsi014::v1::container::{self, ContainerKey};
use crate::etsi014::v1::error::explain;
use crate::etsi014::v1::path::Method;
use crate::io::entropy::OsEntropy;
use crate::io::https::Answer;
use crate::io::kme_client::classify::judge;
use crate::io::kme_client::exchange::{Asked, Question};
use crate::types::id::SaeId;
use crate::types::limits::{DEC_KEYS_DEADLINE, QKD_KEY_BITS};
use crate::types::random::Entropy;

/// Pause between two looks for a key that is on its way.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// An id that no network gives: what is asked for it must be refused.
const NOBODY: &str = "plait-test-no-such-SAE";

/// Draws one key, then asks for what must be refused.
pub(super) async fn issue(kme: &Found, findings: &mut Findings) -> Option<ContainerKey> {
    let other = &kme.client.remote_sae;
    let asked = kme.client.ask(kme.timeout, other, Question::New).await;
    let key = match one_key(Method::EncKeys, asked) {
        Ok(key) => key,
        Err(text) => {
            findings.fail("new key", "5.3", text);
            return None;
        }
    };
    findings.pass("new key", "5.3", format!("{} bits, key_ID {}", key.material.len() * 8, key.key_id.as_str()));
    let (grade, text) = quality(&key);
    findings.note(grade, "key bytes", "6.3", text);
    let own = kme.client.ask(kme.timeout, other, Question::ByIds(&[key.key_id.as_str()])).await;
    let words =
        "the KME gave us, who drew the key, the part of the other site: any SAE that learns a key_ID gets the key";
    must_refuse(findings, "wrong SAE", "5.4", 401, own, words);
    unknown_id(kme, findings).await;
    if let Some(nobody) = SaeId::new(NOBODY) {
        let asked = kme.client.ask(kme.timeout, &nobody, Question::New).await;
        must_refuse(findings, "unknown SAE", "5.3", 400, asked, "the KME gave a key for a SAE that does not exist");
    }
    Some(key)
}

/// Fetches the key that the other site drew, with what must be refused before and after.
pub(super) async fn fetch(kme: &Found, id: &str, findings: &mut Findings) -> Option<ContainerKey> {
    let other = &kme.client.remote_sae;
    let unknown = random_id();
    let mixed = kme.client.ask(kme.timeout, other, Question::ByIds(&[id, &unknown])).await;
    let is_refused = mixed.answer.as_ref().is_ok_and(|answer| answer.code != 200);
    let words = "the KME gave keys although one of the key_IDs does not exist";
    must_refuse(findings, "one unknown key_ID among two", "6.4", 400, mixed, words);
    let begun = Instant::now();
    let mut tries = 1;
    let key = loop {
        match one_key(Method::DecKeys, kme.client.ask(kme.timeout, other, Question::ByIds(&[id])).await) {
            Ok(key) => break key,
            Err(text) if begun.elapsed() + LOOK_AGAIN > DEC_KEYS_DEADLINE => {
                let lost = if is_refused { "; or the refused request before it took the key away" } else { "" };
                findings.fail("key round trip", "5.4", format!("{text} (asked {tries} times){lost}"));
                return None;
            }
            Err(_) => sleep(LOOK_AGAIN).await,
        }
        tries += 1;
    };
    let bits = key.material.len() * 8;
    findings.pass("key round trip", "5.4", format!("{bits} bits; compare the fingerprint with the other site's"));
    if is_refused {
        findings.pass("voided key", "6.4", "the refused request before it took nothing away");
    }
    if tries == 1 {
        findings.pass("late availability", "5.4", "the key was there when it was asked for");
    } else {
        let waited = begun.elapsed().as_millis();
        findings.warn("late availability", "5.4", format!("the key came {waited} ms late, at try {tries}"));
    }
    let again = kme.client.ask(kme.timeout, other, Question::ByIds(&[id])).await;
    let words = "the KME gave the same key twice: it must remove a key that it has delivered";
    must_refuse(findings, "double delivery", "5.4", 400, again, words);
    unknown_id(kme, findings).await;
    Some(key)
}

async fn unknown_id(kme: &Found, findings: &mut Findings) {
    let asked = kme.client.ask(kme.timeout, &kme.client.remote_sae, Question::ByIds(&[&random_id()])).await;
    must_refuse(findings, "unknown key_ID", "6.4", 400, asked, "the KME gave something for a key_ID that nobody drew");
}

/// What a KME must not answer with 200; another code than the standard's is only remarked.
fn must_refuse(
    findings: &mut Findings,
    name: &'static str,
    clause: &'static str,
    code: u16,
    asked: Asked,
    if_given: &str,
) {
    match asked.answer {
        Ok(Answer { code: 200, .. }) => findings.fail(name, clause, if_given),
        Ok(answer) if answer.code == code => findings.pass(name, clause, format!("refused by {code}")),
        Ok(answer) => {
            let said = explain(&answer.body).map(|words| format!(" ({words})")).unwrap_or_default();
            findings.warn(name, clause, format!("refused by {}{said}; the standard says {code}", answer.code));
        }
        Err(fault) => findings.fail(name, clause, fault.text),
    }
}

fn one_key(method: Method, asked: Asked) -> Result<ContainerKey, String> {
    let answer = asked.answer.map_err(|fault| fault.text)?;
    judge(method, answer.code, &answer.body).map_err(|refusal| refusal.text)?;
    let keys = container::read(answer.body).map_err(|error| format!("the answer to {}: {error}", method.as_str()))?;
    let number = keys.len();
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        (_, _) => Err(format!("the KME answered with {number} keys, expected 1")),
    }
}

/// What can be seen in one key without showing it.
fn quality(key: &ContainerKey) -> (Grade, String) {
    let bytes = key.material.expose();
    let bits = bytes.len() * 8;
    if bits < usize::from(QKD_KEY_BITS) {
        return (Grade::Fail, format!("{bits} bits, expected {QKD_KEY_BITS} or more"));
    }
    if bytes.iter().all(|byte| bytes.first() == Some(byte)) {
        return (Grade::Fail, "every byte is the same: that is no key".to_owned());
    }
    (Grade::Pass, if bits == usize::from(QKD_KEY_BITS) { "as asked for" } else { "longer than asked for" }.to_owned())
}

/// A key_ID in the standard's form that nobody drew.
fn random_id() -> String {
    let mut bytes = [0; 16];
    if let Ok(mut entropy) = OsEntropy::open() {
        entropy.fill(&mut bytes);
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
