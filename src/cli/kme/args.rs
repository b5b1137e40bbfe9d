//! `plait kme` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::etsi014::v1::request::KEYS_PER_REQUEST_MAX;

/// The verbs about KMEs.
#[derive(Debug, Subcommand)]
pub enum KmeCommand {
    /// Run a simulated KME pair: two ETSI GS QKD 014 servers and the quantum link between them
    #[command(after_help = "Example: plait kme serve pair.toml")]
    Serve {
        /// The pair's file
        file: PathBuf,
    },
    /// Make a small CA and certificates for KMEs and SAEs; a second run reuses the CA
    #[command(after_help = "Example: plait kme cert --dir pki --kme KME-A=127.0.0.1 --kme KME-B=kme-b.example \
                            --sae SAE-A --sae SAE-B")]
    Cert(CertOrder),
    /// Ask a KME for its status: prints the standard's JSON
    #[command(after_help = "Example: plait kme status hq-dc")]
    Status {
        /// Configuration, by name or file
        #[arg(value_name = "NAME|FILE")]
        config: Option<String>,
        /// Which KME
        #[command(flatten)]
        target: Target,
    },
    /// Spend one key to see that both sites' KMEs work: the key_ID, a fingerprint to compare, and a dozen checks
    #[command(
        after_help = "Example: plait kme test hq-dc --report kme.md\n         plait kme test hq-dc --with KEY_ID    at the other site"
    )]
    Test(TestOrder),
    /// Fetch new keys (enc_keys): prints the standard's JSON, keys included
    #[command(after_help = "Example: plait kme get-key hq-dc --number 2 --size 256")]
    GetKey {
        /// Configuration, by name or file
        #[arg(value_name = "NAME|FILE")]
        config: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=KEYS_MAX))]
        number: u32,
        /// Bits of each
        #[arg(long, value_name = "BITS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=16_384))]
        size: u32,
        /// Which KME
        #[command(flatten)]
        target: Target,
    },
    /// Fetch the keys of these key_IDs (dec_keys): prints the standard's JSON, keys included
    #[command(after_help = "Example: plait kme get-key-ids hq-dc KEY_ID KEY_ID")]
    GetKeyIds {
        /// Configuration, by name or file, unless --url is given; then the key_IDs
        #[arg(value_name = "[NAME|FILE] KEY_ID", required = true, num_args = 1..=129)]
        words: Vec<String>,
        /// Which KME
        #[command(flatten)]
        target: Target,
    },
    /// Steer the quantum link of a running pair
    #[command(after_help = "Example: plait kme link pair rate 500")]
    Link {
        /// The pair's name, as in its file
        name: String,
        /// What to do with the link
        #[command(subcommand)]
        order: LinkOrder,
    },
    /// Let the KMEs of a running pair do something wrong, or as other KMEs do
    #[command(
        after_help = "Example: plait kme fault pair wrong-key 3\n         plait kme fault pair not-found-404 --at KME-B\n         plait kme fault list"
    )]
    Fault(FaultOrder),
}

/// `plait kme test`.
#[derive(Debug, Args)]
pub struct TestOrder {
    /// Configuration, by name or file
    #[arg(value_name = "NAME|FILE")]
    pub config: Option<String>,
    /// Fetch the key that the other site's test named, instead of a new one
    #[arg(long, value_name = "KEY_ID")]
    pub with: Option<String>,
    /// For scripts: one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write what was found to a new file, for the KME's vendor
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Which KME
    #[command(flatten)]
    pub target: Target,
}

/// Keys of one request, as [`KEYS_PER_REQUEST_MAX`].
const KEYS_MAX: i64 = KEYS_PER_REQUEST_MAX as i64;

/// Which KME is meant: a source of the configuration, or what the options say.
#[derive(Debug, Args)]
pub struct Target {
    /// The source, by name or number; may be left out if the configuration has only one
    #[arg(long, value_name = "S")]
    pub source: Option<String>,
    /// Base URL of the KME, in place of a configuration
    #[arg(long, value_name = "URL", requires_all = ["cert", "key", "local_sae", "remote_sae"])]
    pub url: Option<String>,
    /// PEM file of the CA that issued the KME's certificate
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca: Option<PathBuf>,
    /// PEM or PKCS#12 file of our client certificate
    #[arg(long, value_name = "FILE", requires = "url")]
    pub cert: Option<PathBuf>,
    /// PEM or PKCS#12 file of its private key
    #[arg(long, value_name = "FILE", requires = "url")]
    pub key: Option<PathBuf>,
    /// File with the password of the PKCS#12 file, of mode 0600
    #[arg(long, value_name = "FILE", requires = "url")]
    pub key_password_file: Option<PathBuf>,
    /// Our SAE id
    #[arg(long, value_name = "ID", requires = "url")]
    pub local_sae: Option<String>,
    /// The other site's SAE id
    #[arg(long, value_name = "ID", requires = "url")]
    pub remote_sae: Option<String>,
    /// Name expected in the KME's certificate, in place of the url's host
    #[arg(long, value_name = "NAME", requires = "url")]
    pub server_name: Option<String>,
    /// SHA-256 of the KME's certificate or public key, in place of --ca and any name
    #[arg(long, value_name = "HEX", requires = "url")]
    pub pin_sha256: Option<String>,
    /// Ask by GET instead of POST
    #[arg(long, requires = "url")]
    pub get: bool,
}

/// `plait kme cert`.
#[derive(Debug, Args)]
pub struct CertOrder {
    /// Directory of the files; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// A KME: its id and the name or address that its clients use
    #[arg(long, value_name = "ID=NAME")]
    pub kme: Vec<String>,
    /// A SAE: its id
    #[arg(long, value_name = "ID")]
    pub sae: Vec<String>,
    /// Days of validity
    #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Make the named certificates and keys anew, also those that are there
    #[arg(long)]
    pub renew: bool,
}

/// Orders for the link.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum LinkOrder {
    /// Repair it
    #[command(after_help = "Example: plait kme link pair up")]
    Up,
    /// Cut it
    #[command(after_help = "Example: plait kme link pair down")]
    Down,
    /// Show it
    #[command(after_help = "Example: plait kme link pair status")]
    Status,
    /// Change its rate of secret key
    #[command(after_help = "Example: plait kme link pair rate 500")]
    Rate {
        /// Bits a second
        #[arg(value_name = "BITS_PER_SECOND")]
        bits_per_second: u64,
    },
}

/// `plait kme fault`.
#[derive(Debug, Args)]
pub struct FaultOrder {
    /// The pair's name, as in its file; or "list": all faults and habits by name
    #[arg(value_name = "NAME|list")]
    pub name: String,
    /// What it does wrong, or otherwise; or "none": all is taken back. Without it: what waits
    pub fault: Option<String>,
    /// For how many keys, answers or connections; "always" or "off". Habits last by themselves
    pub times: Option<String>,
    /// At this KME only, by its id
    #[arg(long, value_name = "KME", requires = "fault")]
    pub at: Option<String>,
}
