//! One `[[qkd]]` section as plain data: paths resolved, url read.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{FileRef, HttpMethod, KmeTls, Source};
use crate::io::kme_client::registry::Reach;
use crate::types::id::SaeId;

/// One ETSI GS QKD 014 source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSetup {
    /// Its name in configuration, logs and metrics.
    pub name: String,
    /// Where the KME of this site is, and how it is trusted.
    pub reach: Reach,
    /// This site's SAE, as its KME knows it.
    pub local_sae: SaeId,
    /// The other site's SAE.
    pub remote_sae: SaeId,
    /// Longest time of one request; the standard's deadlines hold if they are shorter.
    pub timeout: Duration,
    /// How keys are asked for.
    pub method: HttpMethod,
}

impl SourceSetup {
    /// From the resolved configuration; `locate` finds the files that it names.
    pub fn from_config(source: &Source, locate: impl Fn(&FileRef) -> PathBuf) -> Self {
        let reach = Reach {
            url: source.url.clone(),
            ca_file: locate(&source.ca_file),
            cert_file: locate(&source.cert_file),
            key_file: locate(&source.key_file),
            key_password_file: source.key_password_file.as_ref().map(&locate),
            server_name: source.server_name.clone(),
            pin_sha256: source.pin_sha256,
            is_pq_only: source.kme_tls == KmeTls::PostQuantum,
        };
        Self {
            name: source.name.clone(),
            reach,
            local_sae: source.local_sae.clone(),
            remote_sae: source.remote_sae.clone(),
            timeout: source.timeout,
            method: source.method,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_how_its_kme_is_trusted() {
        let text = "[interface]\nprivate_key_file = \"k\"\n[policy]\nqkd = \"preferred\"\n[[peer]]\nname = \"b\"\n\
                    public_key_file = \"b\"\nallowed_ips = [\"10.0.0.0/8\"]\n[[qkd]]\nname = \"f\"\ntype = \"etsi014\"\npeer = \"b\"\n\
                    url = \"https://kme\"\nca_file = \"ca\"\ncert_file = \"c\"\nkey_file = \"key\"\nlocal_sae = \"A\"\n\
                    remote_sae = \"B\"\nserver_name = \"other\"\n";
        for (kme_tls, is_pq_only) in [("any", false), ("pq", true)] {
            let config = crate::config::parse("x.toml", "x", &format!("{text}kme_tls = {kme_tls:?}\n")).unwrap();
            let source = config.peers.iter().flat_map(|peer| &peer.sources).next().unwrap();
            let reach = SourceSetup::from_config(source, |file| file.path.clone()).reach;
            assert_eq!((reach.is_pq_only, reach.server_name.as_deref()), (is_pq_only, Some("other")));
        }
    }
}
