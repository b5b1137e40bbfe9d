//! `plait kme` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Steer the quantum link of a running pair
    #[command(after_help = "Example: plait kme link pair rate 500")]
    Link {
        /// The pair's name, as in its file
        name: String,
        /// What to do with the link
        #[command(subcommand)]
        order: LinkOrder,
    },
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
    Up,
    /// Cut it
    Down,
    /// Show it
    Status,
    /// Change its rate of secret key
    Rate {
        /// Bits a second
        #[arg(value_name = "BITS_PER_SECOND")]
        bits_per_second: u64,
    },
}
