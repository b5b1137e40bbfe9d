//! What a test of a KME found: lines for people, JSON for scripts, a file for the KME's vendor.

use std::fmt::Write;

use serde::Serialize;

use super::connection::Looked;
use super::grade::{Check, Findings, Grade};
use crate::cli::kme::target::Found;
use crate::control::time::rfc3339;
use crate::io::clock::Clock;

/// Number of the JSON's form.
const SCHEMA: u32 = 1;

/// The key that was drawn or fetched, as far as it may be shown.
#[derive(Serialize)]
pub(super) struct KeyShown {
    #[serde(rename = "key_ID")]
    pub(super) id: String,
    pub(super) bits: usize,
    pub(super) fingerprint: String,
}

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct TestReport<'t> {
    schema: u32,
    time: String,
    plait: &'static str,
    url: String,
    local_sae: &'t str,
    remote_sae: &'t str,
    our_certificate: &'t str,
    tls: Option<&'t str>,
    key: Option<&'t KeyShown>,
    checks: &'t [Check],
    passed: usize,
    warned: usize,
    failed: usize,
}

impl<'t> TestReport<'t> {
    pub(super) fn new(kme: &'t Found, looked: &'t Looked, key: Option<&'t KeyShown>, findings: &'t Findings) -> Self {
        Self {
            schema: SCHEMA,
            time: rfc3339(Clock::start().unix()),
            plait: env!("CARGO_PKG_VERSION"),
            url: format!("https://{}", kme.client.https.url().authority()),
            local_sae: kme.client.local_sae.as_str(),
            remote_sae: kme.client.remote_sae.as_str(),
            our_certificate: &kme.client.https.own().subject,
            tls: looked.seen.as_ref().map(|seen| seen.tls.as_str()),
            key,
            checks: &findings.checks,
            passed: findings.count(Grade::Pass),
            warned: findings.count(Grade::Warn),
            failed: findings.count(Grade::Fail),
        }
    }

    /// For scripts, one line.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// For a terminal: the key first, as two people compare it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(KeyShown { id, bits, fingerprint }) = self.key {
            text.push_str(&format!("key_ID: {id}\nbits: {bits}\nfingerprint: {fingerprint}\n"));
        }
        for check in self.checks {
            text.push_str(&line(check));
        }
        text + &self.sum() + "\n"
    }

    /// For the KME's vendor.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# Test of a KME by ETSI GS QKD 014 V1.1.1\n\nplait {}, {}\n\n", self.plait, self.time);
        let rows = [
            ("KME", self.url.as_str()),
            ("SAE that asks", self.local_sae),
            ("other SAE", self.remote_sae),
            ("certificate shown", self.our_certificate),
            ("connection", self.tls.unwrap_or("none")),
            ("key_ID used", self.key.map_or("none", |key| key.id.as_str())),
        ];
        for (name, value) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- {name}: {value}");
        }
        text.push_str("\n| result | check | clause | found |\n|---|---|---|---|\n");
        for Check { name, clause, result, text: found } in self.checks {
            let found = found.replace('|', "\\|");
            let _ = writeln!(text, "| {} | {name} | {clause} | {found} |", result.as_str());
        }
        text + "\n" + &self.sum() + "\n"
    }

    fn sum(&self) -> String {
        format!("{} passed, {} warnings, {} failed", self.passed, self.warned, self.failed)
    }
}

/// One check on one line.
pub(in crate::cli) fn line(check: &Check) -> String {
    let Check { name, clause, result, text } = check;
    let clause = if clause.is_empty() { String::new() } else { format!("    [014 V1.1.1, {clause}]") };
    format!("{}  {name}: {text}{clause}\n", result.as_str())
}
