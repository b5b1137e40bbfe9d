//! `plait init` as typed.

use std::path::PathBuf;

use clap::Args;

/// What may be said on the command line; on a terminal the rest is asked for.
#[derive(Debug, Args)]
pub struct InitOrder {
    /// Name of the interface, and stem of its files: 1 to 15 of a-z A-Z 0-9 _ = + . -
    pub name: String,
    /// Folder for the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "/etc/plait")]
    pub dir: PathBuf,
    /// UDP address and port of this end
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:51900")]
    pub listen: String,
    /// Address of this end inside the tunnel, with the length of the network that both ends share; once or more
    #[arg(long, value_name = "ADDRESS/BITS")]
    pub address: Vec<String>,
    /// Name of the other site; its public key file is to be NAME.pub
    #[arg(long, value_name = "NAME")]
    pub peer: Option<String>,
    /// Where the other site listens; left out if it calls us
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub endpoint: Option<String>,
    /// What is behind the other site; once or more
    #[arg(long, value_name = "ADDRESS/BITS")]
    pub allowed_ips: Vec<String>,
    /// What may happen without QKD keys: required, preferred or off
    #[arg(long, value_name = "WORD", default_value = "required")]
    pub qkd: String,
    /// Base URL of this site's KME
    #[arg(long, value_name = "URL")]
    pub kme_url: Option<String>,
    /// Our SAE id
    #[arg(long, value_name = "ID")]
    pub local_sae: Option<String>,
    /// The other site's SAE id
    #[arg(long, value_name = "ID")]
    pub remote_sae: Option<String>,
    /// File of the CA that issued the KME's certificate
    #[arg(long, value_name = "FILE", default_value = "kme-ca.pem")]
    pub ca_file: String,
    /// File of our client certificate
    #[arg(long, value_name = "FILE", default_value = "sae.pem")]
    pub cert_file: String,
    /// File of its private key
    #[arg(long, value_name = "FILE", default_value = "sae.key")]
    pub key_file: String,
    /// 1: ML-KEM-1024, 2: ML-KEM-768; the same at both sites
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
    pub suite: u16,
}
