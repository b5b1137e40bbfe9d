//! `plait version`: version, protocol, and what this binary was built with.

use serde::Serialize;

use super::exit::Outcome;
use super::output;
use crate::types::limits::WIRE_VERSION;

/// Number of the JSON's form.
const SCHEMA: u32 = 1;
/// Numbers and key exchanges of the suites (PROTOCOL 2.1).
const SUITES: [&str; 2] = ["1: X25519 + ML-KEM-1024", "2: X25519 + ML-KEM-768"];

/// What this binary is.
#[derive(Serialize)]
struct Version {
    schema: u32,
    version: &'static str,
    protocol: &'static str,
    wire_version: u8,
    features: Vec<&'static str>,
    kem_backends: Vec<&'static str>,
    tun_backends: Vec<&'static str>,
    ciphers: Vec<&'static str>,
    suites: Vec<&'static str>,
    key_sources: Vec<&'static str>,
    target: String,
}

/// `plait version [--verbose] [--json]`.
pub(super) fn run(verbose: bool, json: bool) -> Outcome {
    if json {
        // It holds only texts and numbers: there is nothing that JSON cannot say.
        return output::data(&(serde_json::to_string(&this()).unwrap_or_default() + "\n"));
    }
    output::data(&text(verbose))
}

fn this() -> Version {
    let built = |is_built: bool, name| is_built.then_some(name);
    let tun_tap = built(cfg!(feature = "tun-tap"), "tun-tap");
    Version {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        protocol: "PLAIT1",
        wire_version: WIRE_VERSION,
        features: tun_tap.into_iter().chain(built(cfg!(feature = "kem-pqcrypto"), "kem-pqcrypto")).collect(),
        kem_backends: crate::crypto::kem::all().into_iter().map(|kem| kem.name()).collect(),
        tun_backends: Some("tun-rs").into_iter().chain(tun_tap).collect(),
        ciphers: vec!["chacha20-poly1305", "aes-256-gcm"],
        suites: SUITES.to_vec(),
        key_sources: vec!["etsi014"],
        target: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
    }
}

/// One fact a line; `verbose` adds what only somebody who looks for a fault wants to know.
pub(super) fn text(verbose: bool) -> String {
    let this = this();
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut lines = vec![
        format!("plait {}", this.version),
        format!("protocol: {}, wire version {}", this.protocol, this.wire_version),
        format!("kem backends: {}", list(&this.kem_backends)),
        format!("tun backends: {}", list(&this.tun_backends)),
        format!("key sources: {}", list(&this.key_sources)),
    ];
    if verbose {
        lines.push(format!("features: {}", list(&this.features)));
        lines.push(format!("ciphers: {}", list(&this.ciphers)));
        lines.push(format!("suites: {}", this.suites.join("; ")));
        lines.push(format!("target: {}", this.target));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_the_build_are_named() {
        for text in [text(false), text(true)] {
            assert_eq!(text.contains("tun-tap"), cfg!(feature = "tun-tap"));
            assert_eq!(text.contains("pqcrypto"), cfg!(feature = "kem-pqcrypto"));
        }
        assert!(text(true).contains("suites: 1: X25519 + ML-KEM-1024"));
        assert_eq!(
            this().features.len(),
            usize::from(cfg!(feature = "tun-tap")) + usize::from(cfg!(feature = "kem-pqcrypto"))
        );
    }
}
