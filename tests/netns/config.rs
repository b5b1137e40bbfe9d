//! The configuration of a site as a test wants it, and the file it becomes.

use crate::topology::{inner4, inner6, kme4, outer4};
use std::fmt::Write;

/// One `[[qkd]]` section.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) id: u8,
    pub(crate) peer: String,
    pub(crate) url: String,
    pub(crate) local_sae: String,
    pub(crate) remote_sae: String,
    /// Folder of the certificates, and the id whose certificate is shown.
    pub(crate) pki: String,
    pub(crate) certificate: String,
    /// CA that the KME must be signed by, a file.
    pub(crate) ca_file: String,
    /// More lines, as they are.
    pub(crate) more: Vec<String>,
}

/// One `[[peer]]` section.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) public_key_file: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) allowed_ips: Vec<String>,
    /// More lines, as they are.
    pub(crate) more: Vec<String>,
}

/// A whole file.
#[derive(Clone)]
pub(crate) struct SiteConfig {
    pub(crate) private_key_file: String,
    pub(crate) listen: String,
    pub(crate) address: Vec<String>,
    /// More lines of `[interface]`.
    pub(crate) interface: Vec<String>,
    /// Lines of `[policy]`.
    pub(crate) policy: Vec<String>,
    pub(crate) sources: Vec<Source>,
    pub(crate) peers: Vec<Peer>,
    /// `[status] listen`.
    pub(crate) status: Option<String>,
}

impl SiteConfig {
    /// Site `n` (named `name`) without peers: policy required, a rekey a minute.
    pub(crate) fn new(name: &str, n: u8) -> Self {
        Self {
            private_key_file: format!("{name}.key"),
            listen: "[::]:51900".to_owned(),
            address: vec![format!("{}/24", inner4(n)), format!("{}/64", inner6(n))],
            interface: Vec::new(),
            policy: vec!["qkd = \"required\"".to_owned(), "hold_last = \"60s\"".to_owned()],
            sources: Vec::new(),
            peers: Vec::new(),
            status: None,
        }
    }

    /// Adds peer `name`, site `n`, at its IPv4 address.
    pub(crate) fn add_peer(&mut self, name: &str, n: u8) {
        self.peers.push(Peer {
            name: name.to_owned(),
            public_key_file: format!("{name}.pub"),
            endpoint: Some(format!("{}:51900", outer4(n))),
            allowed_ips: vec![format!("{}/32", inner4(n)), format!("{}/128", inner6(n))],
            more: Vec::new(),
        });
    }

    /// Adds the KME beside this site (`n`) at `port` as source `id` for `peer`; SAE ids are those of the pair `pki`.
    pub(crate) fn add_source(&mut self, name: &str, id: u8, peer: &str, n: u8, port: u16, saes: (&str, &str)) {
        self.sources.push(Source {
            name: name.to_owned(),
            id,
            peer: peer.to_owned(),
            url: format!("https://{}:{port}", kme4(n)),
            local_sae: saes.0.to_owned(),
            remote_sae: saes.1.to_owned(),
            pki: "pki".to_owned(),
            certificate: saes.0.to_owned(),
            ca_file: "pki/ca.pem".to_owned(),
            more: Vec::new(),
        });
    }

    /// Sets a line of `[policy]`, in place of one with the same key.
    pub(crate) fn set_policy(&mut self, key: &str, value: &str) {
        self.policy.retain(|line| !line.starts_with(&format!("{key} ")));
        self.policy.push(format!("{key} = {value}"));
    }

    /// The file.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        writeln!(out, "[interface]\nprivate_key_file = \"{}\"", self.private_key_file).unwrap();
        writeln!(out, "listen = \"{}\"\naddress = {:?}", self.listen, self.address).unwrap();
        self.interface.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        writeln!(out, "[policy]").unwrap();
        self.policy.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        for source in &self.sources {
            writeln!(out, "[[qkd]]\nid = {}\npeer = \"{}\"\nname = \"{}\"", source.id, source.peer, source.name)
                .unwrap();
            writeln!(out, "type = \"etsi014\"\nurl = \"{}\"", source.url).unwrap();
            writeln!(out, "local_sae = \"{}\"\nremote_sae = \"{}\"", source.local_sae, source.remote_sae).unwrap();
            writeln!(out, "ca_file = \"{}\"", source.ca_file).unwrap();
            writeln!(out, "cert_file = \"{}/{}.pem\"", source.pki, source.certificate).unwrap();
            writeln!(out, "key_file = \"{}/{}.key\"", source.pki, source.certificate).unwrap();
            source.more.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        }
        for peer in &self.peers {
            writeln!(out, "[[peer]]\nname = \"{}\"\npublic_key_file = \"{}\"", peer.name, peer.public_key_file)
                .unwrap();
            if let Some(endpoint) = &peer.endpoint {
                writeln!(out, "endpoint = \"{endpoint}\"").unwrap();
            }
            writeln!(out, "allowed_ips = {:?}", peer.allowed_ips).unwrap();
            peer.more.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        }
        if let Some(listen) = &self.status {
            writeln!(out, "[status]\nlisten = \"{listen}\"").unwrap();
        }
        text
    }
}
