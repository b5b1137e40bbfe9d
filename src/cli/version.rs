//! `plait version`: version, protocol, and what this binary was built with.

use super::exit::Outcome;
use super::output;

/// Prints version and features, one fact a line.
pub(super) fn run() -> Outcome {
    output::data(&text())
}

fn text() -> String {
    let kem: Vec<_> = crate::crypto::kem::all().into_iter().map(|kem| kem.name()).collect();
    format!(
        "plait {version}\nprotocol: PLAIT1, wire version {wire}\nkem backends: {kem}\ntun backends: {tun}\nkey sources: etsi014\n",
        version = env!("CARGO_PKG_VERSION"),
        wire = crate::types::limits::WIRE_VERSION,
        kem = kem.join(", "),
        tun = if cfg!(feature = "tun-tap") { "tun-rs, tun-tap" } else { "tun-rs" },
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn features_of_the_build_are_named() {
        assert_eq!(super::text().contains("tun-tap"), cfg!(feature = "tun-tap"));
        assert_eq!(super::text().contains("pqcrypto"), cfg!(feature = "kem-pqcrypto"));
    }
}
