//! The checks that spend no key: connection, certificates, identities, and what the status says.

use std::time::Duration;

use super::grade::{Findings, Grade};
use crate::cli::kme::target::Found;
use crate::control::time::rfc3339;
use crate::etsi014::v1::path::Method;
use crate::etsi014::v1::status::Status;
use crate::io::clock::Clock;
use crate::io::https::{Fault, Seen, Stage};
use crate::io::kme_client::classify::judge;
use crate::io::kme_client::exchange::{Asked, Question};
use crate::io::tls::leaf::Leaf;
use crate::types::limits::QKD_KEY_BITS;
use crate::types::time::UnixTime;

/// Before a certificate ends somebody must order the next one.
const EXPIRY_SOON_SECONDS: i64 = 30 * 86_400;
/// A KME of the same site that takes longer than this makes handshakes slow.
const SLOW: Duration = Duration::from_secs(1);
/// Clocks that differ by more than this let certificates begin or end at the wrong time.
const CLOCKS_APART_SECONDS: u64 = 3600;
/// Clocks that differ by more than this make logs of two machines hard to compare.
const CLOCKS_OFF_SECONDS: u64 = 60;

/// What was learnt on the way.
#[derive(Default)]
pub(in crate::cli) struct Looked {
    /// The status, if there was one.
    pub(in crate::cli) status: Option<Status>,
    /// The connection.
    pub(in crate::cli) seen: Option<Seen>,
}

/// Asks for the status and judges everything that shows. What cannot be seen after a failure is not noted.
pub(in crate::cli) async fn look(kme: &Found, findings: &mut Findings) -> Looked {
    let now = Clock::start().unix();
    let own = kme.client.https.own();
    let (grade, text) = dates(own, now, "order the next one");
    findings.note(grade, "our certificate", "5.1", format!("{}: {text}", own.subject));
    let Asked { answer, seen, took } = kme.client.ask(kme.timeout, &kme.client.remote_sae, Question::Status).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            broken(kme, &fault, findings);
            return Looked::default();
        }
    };
    findings.pass("reachable", "5.1", format!("{} answers", kme.client.https.url().authority()));
    if let Some(seen) = &seen {
        connection(seen, now, findings);
    }
    findings.pass("client certificate", "5.1", "the KME lets us in by it");
    clock(answer.date, now, findings);
    let pace = if took > SLOW { Grade::Warn } else { Grade::Pass };
    findings.note(pace, "response time", "", format!("{} ms with the connection", took.as_millis()));
    let swapped = swapped(kme);
    if let Some(text) = &swapped {
        findings.fail("SAE ids", "5.1", text.clone());
    }
    if let Err(refusal) = judge(Method::Status, answer.code, &answer.body) {
        findings.fail("status", "5.2", refusal.text);
        return Looked { status: None, seen };
    }
    match Status::read(&answer.body) {
        Ok(status) => {
            findings.pass("status", "5.2", "answered");
            status_says(kme, &status, swapped.is_some(), findings);
            kme_id(&status, seen.as_ref(), findings);
            Looked { status: Some(status), seen }
        }
        Err(error) => {
            findings.fail("status", "6.1", format!("the answer to status: {error}"));
            Looked { status: None, seen }
        }
    }
}

/// The check at which a connection broke, and those before it.
fn broken(kme: &Found, fault: &Fault, findings: &mut Findings) {
    let text = fault.text.clone();
    if fault.stage > Stage::Connect {
        findings.pass("reachable", "5.1", format!("{} answers", kme.client.https.url().authority()));
    }
    match fault.stage {
        Stage::Name | Stage::Connect => findings.fail("reachable", "5.1", text),
        Stage::Tls => findings.fail("TLS", "5.1", text),
        Stage::Certificate => findings.fail("KME certificate", "5.1", text),
        Stage::OwnCertificate => findings.fail("client certificate", "5.1", text),
        Stage::Exchange => findings.fail("status", "5.2", text),
    }
}

fn connection(seen: &Seen, now: UnixTime, findings: &mut Findings) {
    findings.pass("TLS", "5.1", seen.tls.clone());
    if seen.tls.contains("MLKEM") {
        findings.pass("key exchange", "", "post-quantum: who records it today cannot read it with a quantum computer");
    } else {
        let text = "classical: QKD keys that cross this connection are as strong as it; keep it inside one room, or have \
                    the KME offer X25519MLKEM768";
        findings.warn("key exchange", "", text);
    }
    let Some(kme) = &seen.kme else { return };
    findings.pass("KME certificate", "5.1", format!("{}, issued by {}", kme.shown_names(), kme.issuer));
    let (grade, text) = dates(kme, now, "tell its operator");
    findings.note(grade, "KME certificate's dates", "5.1", text);
}

/// Dates of a certificate in words.
fn dates(leaf: &Leaf, now: UnixTime, advice: &str) -> (Grade, String) {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    let moment = |seconds: i64| rfc3339(UnixTime(u64::try_from(seconds).unwrap_or(0)));
    let (from, to) = (moment(leaf.not_before), moment(leaf.not_after));
    if now < leaf.not_before {
        (Grade::Fail, format!("valid only from {from}: is this machine's clock right?"))
    } else if now > leaf.not_after {
        (Grade::Fail, format!("ended at {to}: {advice}"))
    } else if leaf.not_after - now < EXPIRY_SOON_SECONDS {
        (Grade::Warn, format!("ends soon, at {to}: {advice}"))
    } else {
        (Grade::Pass, format!("valid until {to}"))
    }
}

/// The KME's clock against ours, if it tells.
fn clock(date: Option<UnixTime>, now: UnixTime, findings: &mut Findings) {
    let Some(date) = date else { return };
    let apart = date.0.abs_diff(now.0);
    let grade = if apart <= CLOCKS_OFF_SECONDS {
        Grade::Pass
    } else if apart <= CLOCKS_APART_SECONDS {
        Grade::Warn
    } else {
        Grade::Fail
    };
    let text = match grade {
        Grade::Pass => "this machine and the KME agree".to_owned(),
        Grade::Warn | Grade::Fail => format!(
            "the KME says {}, this machine {}: {apart} s apart; set the wrong one right (certificates depend on it)",
            rfc3339(date),
            rfc3339(now)
        ),
    };
    findings.note(grade, "clock", "", text);
}

/// Our certificate names the id that the configuration calls the other site's.
fn swapped(kme: &Found) -> Option<String> {
    let cn = kme.client.https.own().common_name.as_deref()?;
    let (local, remote) = (kme.client.local_sae.as_str(), kme.client.remote_sae.as_str());
    (cn == remote && cn != local).then(|| {
        format!("our certificate's CN is {remote}, which is remote_sae here: local_sae and remote_sae are swapped")
    })
}

fn status_says(kme: &Found, status: &Status, is_swapped: bool, findings: &mut Findings) {
    let missing = missing(status);
    if missing.is_empty() {
        findings.pass("status members", "6.1", "all eleven are there");
    } else {
        findings.warn("status members", "6.1", format!("missing, though mandatory: {}", missing.join(", ")));
    }
    if !is_swapped {
        sae_ids(kme, status, findings);
    }
    key_size(status, findings);
    match status.stored_key_count {
        Some(0) => findings.warn("stock", "6.1", "the KME says that it has no key: is the quantum link up?"),
        Some(keys) => findings.pass("stock", "6.1", format!("{keys} keys stored")),
        None => findings.warn("stock", "6.1", "the KME does not say how many keys it has"),
    }
}

fn missing(status: &Status) -> Vec<&'static str> {
    let members = [
        ("source_KME_ID", status.source_kme.is_some()),
        ("target_KME_ID", status.target_kme.is_some()),
        ("master_SAE_ID", status.master_sae.is_some()),
        ("slave_SAE_ID", status.slave_sae.is_some()),
        ("key_size", status.key_size.is_some()),
        ("stored_key_count", status.stored_key_count.is_some()),
        ("max_key_count", status.max_key_count.is_some()),
        ("max_key_per_request", status.max_key_per_request.is_some()),
        ("max_key_size", status.max_key_size.is_some()),
        ("min_key_size", status.min_key_size.is_some()),
        ("max_SAE_ID_count", status.max_sae_count.is_some()),
    ];
    members.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect()
}

fn sae_ids(kme: &Found, status: &Status, findings: &mut Findings) {
    let (local, remote) = (kme.client.local_sae.as_str(), kme.client.remote_sae.as_str());
    match (status.master_sae.as_deref(), status.slave_sae.as_deref()) {
        (Some(master), Some(slave)) if master == local && slave == remote => {
            findings.pass("SAE ids", "6.1", format!("the KME knows us as {local}, the other site as {remote}"));
        }
        (Some(master), _) if master != local => {
            let advice = if master == remote { "local_sae and remote_sae are swapped" } else { "local_sae is wrong" };
            findings.fail("SAE ids", "6.1", format!("the KME knows us as {}: {advice}", master.escape_debug()));
        }
        (_, Some(slave)) if slave != remote => {
            let text = format!("asked about {remote}, the KME speaks of {}", slave.escape_debug());
            findings.fail("SAE ids", "6.1", text);
        }
        (_, _) => findings.warn("SAE ids", "6.1", "the KME does not say whom it takes us for"),
    }
}

fn key_size(status: &Status, findings: &mut Findings) {
    let bits = u64::from(QKD_KEY_BITS);
    let (min, max) = (status.min_key_size.unwrap_or(0), status.max_key_size.unwrap_or(u64::MAX));
    if (min..=max).contains(&bits) {
        let default = status.key_size.map_or_else(String::new, |size| format!(", {size} if not asked for another"));
        findings.pass("key size", "6.1", format!("{bits} bits can be had{default}"));
    } else {
        let text = format!("keys have {min} to {max} bits, {bits} are needed: have the KME's operator change that");
        findings.fail("key size", "6.1", text);
    }
}

/// The standard wants the KME's id confirmed by its certificate.
fn kme_id(status: &Status, seen: Option<&Seen>, findings: &mut Findings) {
    let (Some(id), Some(kme)) = (&status.source_kme, seen.and_then(|seen| seen.kme.as_ref())) else { return };
    if kme.is_named(id) {
        findings.pass("KME id", "5.1", format!("{} stands in its certificate", id.escape_debug()));
    } else {
        let text = format!("it calls itself {}, its certificate shows {}", id.escape_debug(), kme.shown_names());
        findings.warn("KME id", "5.1", text);
    }
}
