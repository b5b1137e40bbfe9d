//! The command line as typed: every verb with its help and one example (clap derive).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Site tunnel keyed by QKD (ETSI GS QKD 014), ML-KEM-1024 and X25519 together.
#[derive(Debug, Parser)]
#[command(
    name = "plait",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 not running, 4 control socket unreachable,\n\
                        5 DEGRADED or HOLDOVER, 6 configuration invalid, 7 permission")]
pub struct Arguments {
    /// Where things are.
    #[command(flatten)]
    pub places: Places,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Directories of the running system: before or after any verb.
#[derive(Clone, Debug, Args)]
pub struct Places {
    /// Control sockets
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/plait")]
    pub run_dir: PathBuf,
    /// What outlives a restart: ratchet, policy clock, request budget
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/plait")]
    pub state_dir: PathBuf,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print a completion script for a shell
    #[command(after_help = "Example: plait completions bash > /etc/bash_completion.d/plait")]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print version and features
    #[command(after_help = "Example: plait version")]
    Version,
}
