//! `plait peer` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `plait peer`.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Let one more peer in; sessions of the others go on
    #[command(after_help = "Example: plait peer add hq-dc --name branch --public branch.pub \
                            --endpoint 192.0.2.7:51900 --allowed-ips 10.30.0.0/16 --kme-url https://kme-a:8443 \
                            --local-sae SAE-A --remote-sae SAE-C --ca-file kme-ca.pem --cert-file sae.pem \
                            --key-file sae.key --save\n         plait peer add hq-dc --from branch.toml --dry-run")]
    Add(Box<AddOrder>),
    /// Let a peer go: its session ends, its routes and key sources go; the others go on
    #[command(after_help = "Example: plait peer remove hq-dc branch --save")]
    Remove {
        /// Name of the interface, or its configuration file
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// Name of the peer
        peer: String,
        /// How it is done
        #[command(flatten)]
        how: How,
    },
}

/// How a change is made.
#[derive(Debug, Args)]
pub struct How {
    /// Write it into the configuration file too; without this it lasts until the next reload or restart
    #[arg(long)]
    pub save: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// For scripts: one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What makes the sections of a peer; a file has them already.
const FROM_OPTIONS: [&str; 14] = [
    "name",
    "public",
    "allowed_ips",
    "endpoint",
    "keepalive",
    "psk_file",
    "qkd",
    "kme_url",
    "local_sae",
    "remote_sae",
    "ca_file",
    "cert_file",
    "key_file",
    "kme_name",
];

/// What a KME needs, if there is one.
const FROM_KME: [&str; 6] = ["name", "local_sae", "remote_sae", "ca_file", "cert_file", "key_file"];

/// What is said about a new peer. Files that are no absolute path are looked for in the current folder.
#[derive(Debug, Args)]
pub struct AddOrder {
    /// Name of the interface, or its configuration file
    #[arg(value_name = "NAME|FILE")]
    pub interface: String,
    /// File with a [[peer]] section and its [[qkd]] sections, `-` for standard input, in place of the options below
    #[arg(long, value_name = "FILE", conflicts_with_all = FROM_OPTIONS, required_unless_present = "name")]
    pub from: Option<PathBuf>,
    /// Name of the peer
    #[arg(long, value_name = "NAME", requires_all = ["public", "allowed_ips"])]
    pub name: Option<String>,
    /// Public key file of the peer, its fingerprint compared by phone
    #[arg(long, value_name = "FILE", requires = "name")]
    pub public: Option<PathBuf>,
    /// What is behind it; once or more, or with commas
    #[arg(long, value_name = "ADDRESS/BITS", requires = "name", value_delimiter = ',')]
    pub allowed_ips: Vec<String>,
    /// Where it listens; left out if it calls us
    #[arg(long, value_name = "ADDRESS:PORT", requires = "name")]
    pub endpoint: Option<String>,
    /// Interval of keepalives, such as 25s
    #[arg(long, value_name = "TIME", requires = "name")]
    pub keepalive: Option<String>,
    /// File of the pre-shared key
    #[arg(long, value_name = "FILE", requires = "name")]
    pub psk_file: Option<PathBuf>,
    /// What may happen without QKD keys, if it is another than with the other peers: required, preferred or off
    #[arg(long, value_name = "WORD", requires = "name")]
    pub qkd: Option<String>,
    /// Base URL of the KME that keys it
    #[arg(long, value_name = "URL", requires_all = FROM_KME)]
    pub kme_url: Option<String>,
    /// Our SAE id
    #[arg(long, value_name = "ID", requires = "kme_url")]
    pub local_sae: Option<String>,
    /// The peer's SAE id
    #[arg(long, value_name = "ID", requires = "kme_url")]
    pub remote_sae: Option<String>,
    /// File of the CA that issued the KME's certificate
    #[arg(long, value_name = "FILE", requires = "kme_url")]
    pub ca_file: Option<PathBuf>,
    /// File of our client certificate
    #[arg(long, value_name = "FILE", requires = "kme_url")]
    pub cert_file: Option<PathBuf>,
    /// File of its private key
    #[arg(long, value_name = "FILE", requires = "kme_url")]
    pub key_file: Option<PathBuf>,
    /// Name of the KME in status, logs and metrics; none: `kme-` and the peer's name
    #[arg(long, value_name = "NAME", requires = "kme_url")]
    pub kme_name: Option<String>,
    /// How it is done
    #[command(flatten)]
    pub how: How,
}
