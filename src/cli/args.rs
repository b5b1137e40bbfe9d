//! The command line as typed: every verb with its help and one example (clap derive).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
use super::init::args::InitOrder;
use super::kme::args::KmeCommand;
use super::peer::args::PeerCommand;

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
#[command(after_help = Exit::help())]
pub struct Arguments {
    /// Where things are.
    #[command(flatten)]
    pub places: Places,
    /// End when the process with this id, which started this one, ends
    #[arg(long, hide = true, value_name = "PID")]
    pub end_with_parent: Option<u32>,
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
    /// Which traffic was protected by which keys, in lines that hang together
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Measure this machine: ciphers, and as root system calls and a tunnel in namespaces
    #[command(after_help = "Example: plait bench --seconds 5")]
    Bench {
        /// How long each figure of the tunnel is measured, 1 to 60; the others a fifth of it
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Two sites and two KMEs on this machine, as root: watch keys change, the quantum link cut and repaired
    #[command(after_help = "Example: plait demo")]
    Demo,
    /// Find everything that `up` would refuse, without touching the system
    #[command(after_help = "Example: plait check /etc/plait/hq-dc.toml --online")]
    Check {
        /// Name of the interface, or its configuration file
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// Ask each KME for its status too; no key is spent
        #[arg(long)]
        online: bool,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example: plait completions bash > /etc/bash_completion.d/plait")]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Look at the whole chain from the configuration to the traffic, and name the first thing that is wrong
    #[command(after_help = "Example: plait doctor hq-dc")]
    Doctor {
        /// Name of the interface, or its configuration file; none: all that run, else all that are configured
        #[arg(value_name = "NAME|FILE")]
        name: Option<String>,
        /// For scripts: one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Stop a running daemon; returns when it has ended
    #[command(after_help = "Example: plait down hq-dc")]
    Down {
        /// Name of the interface, or its configuration file
        name: String,
        /// Take the kill switch away too, whether or not a daemon runs: packets for the other site may then leave in clear
        #[arg(long)]
        open: bool,
    },
    /// What happened: changes of state, errors of KMEs, rekeys; kept over restarts
    #[command(after_help = "Example: plait events hq-dc --since 2h")]
    Events {
        /// Name of the interface, or its configuration file
        name: String,
        /// Not older than this, such as 30m, 2h or 7days
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        since: Option<Duration>,
        /// Go on with what happens from now on; Ctrl-C ends
        #[arg(long)]
        follow: bool,
        /// For scripts: one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print the fingerprint of a secret or public key file, to compare with the other site
    #[command(after_help = "Example: plait fingerprint dc-east.pub")]
    Fingerprint {
        /// Secret or public key file
        file: PathBuf,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// How long the stored keys last, as things go on and if the link is cut now, and what the policy makes of it
    #[command(after_help = "Example: plait forecast hq-dc")]
    Forecast {
        /// Name of the interface, or its configuration file
        name: String,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make an identity: the secret key file of this site
    #[command(after_help = "Example: plait genkey --out /etc/plait/hq.key")]
    Genkey {
        /// Write a new file of mode 0600, never over an existing one, instead of printing the key
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// 1: ML-KEM-1024, 2: ML-KEM-768; the same at both sites
        #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
        suite: u16,
    },
    /// Make a pre-shared key, to be carried to the other site in secret
    #[command(after_help = "Example: plait genpsk --out /etc/plait/dc-east.psk")]
    Genpsk {
        /// Write a new file of mode 0600, never over an existing one, instead of printing the key
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make configuration and keys of one site, and say what to do next; nothing that is there is overwritten
    #[command(after_help = "Example: plait init hq --peer dc --address 10.99.0.1/30 --endpoint 203.0.113.9:51900 \
                            --allowed-ips 10.20.0.0/16 --kme-url https://192.0.2.10:8443 --local-sae SAE-HQ \
                            --remote-sae SAE-DC\n         plait init hq    on a terminal asks")]
    Init(Box<InitOrder>),
    /// Key management entities: look at one, fetch keys, or simulate a pair
    #[command(subcommand)]
    Kme(Box<KmeCommand>),
    /// Print the manual, or write a page for each verb and the configuration
    #[command(after_help = "Example: plait man --dir /usr/local/share/man/man1\n         plait man | man -l -")]
    Man {
        /// Write every page into this folder, instead of printing plait(1)
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Let a peer in or go while the daemon runs; sessions of the others go on
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Weaken the policy for a time, deliberately: logged, shown, and only as far as the other site allows
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Read a secret key file on standard input, print the public key file
    #[command(after_help = "Example: plait pubkey < hq.key > hq.pub")]
    Pubkey,
    /// Show or reset the ratchet state of a peer
    #[command(subcommand)]
    Ratchet(RatchetCommand),
    /// Make new keys now
    #[command(after_help = "Example: plait rekey hq-dc --wait")]
    Rekey {
        /// Name of the interface, or its configuration file
        name: String,
        /// One peer; none: all
        peer: Option<String>,
        /// Return when the new keys are in use
        #[arg(long)]
        wait: bool,
    },
    /// Have a running daemon take what is another in its configuration; sessions of what is not go on
    #[command(after_help = "Example: plait reload hq-dc --dry-run")]
    Reload {
        /// Name of the interface, or its configuration file
        name: String,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write an archive for whoever helps from outside: status, events, doctor and more, without secrets and inner addresses
    #[command(after_help = "Example: plait report hq-dc --out hq-dc.tar.gz")]
    Report {
        /// Name of the interface, or its configuration file
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// A new file; none: a name with the time, in this folder
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Leave in the addresses and hosts of the underlay and of KMEs; inner addresses are never in it
        #[arg(long)]
        with_addresses: bool,
        /// For scripts: one JSON object, the manifest
        #[arg(long)]
        json: bool,
    },
    /// Show peers, keys and key sources; the exit code says how the worst peer is
    #[command(after_help = "Example: plait status hq-dc --watch 1s")]
    Status {
        /// Name of the interface, or its configuration file; none: all that run
        name: Option<String>,
        /// For scripts: one JSON object a line
        #[arg(long)]
        json: bool,
        /// Show it again and again, this far apart (200ms to 1h), until interrupted
        #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s", value_parser = watch_interval)]
        watch: Option<Duration>,
    },
    /// Watch one daemon on the whole terminal: peers, keys, traffic, key sources, events; `q` ends it
    #[command(after_help = "Example: plait top hq-dc")]
    Top {
        /// Name of the interface, or its configuration file; none: the only one that runs
        name: Option<String>,
        /// Print one screen as text and end: for a ticket, or where there is no terminal
        #[arg(long)]
        once: bool,
    },
    /// Started by `plait up`: speaks to KMEs
    #[command(hide = true)]
    KeysProcess {
        /// As for `up`
        #[arg(long, value_name = "FORM")]
        log_format: Option<LogFormat>,
    },
    /// Run the tunnel in the foreground
    #[command(after_help = "Example: plait up hq-dc")]
    Up {
        /// Name of the interface, or its configuration file
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// Print the `ip` commands that would be carried out, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Refuse to run unless every measure of the sandbox is in force (status shows them)
        #[arg(long)]
        require_sandbox: bool,
        /// How log lines on standard error look; without it they are text, or go to journald where it listens
        #[arg(long, value_name = "FORM")]
        log_format: Option<LogFormat>,
    },
    /// Print version and features
    #[command(after_help = "Example: plait version --verbose")]
    Version {
        /// Also ciphers, suites and what it was built with
        #[arg(long)]
        verbose: bool,
        /// For scripts: one JSON object with all of it
        #[arg(long)]
        json: bool,
    },
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For collectors: one JSON object a line
    Json,
}

/// `plait audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List epochs with their times, sources, key_IDs and bytes, oldest first
    #[command(after_help = "Example: plait audit show hq-dc --since 24h")]
    Show {
        /// Name of the interface, or its configuration file
        name: String,
        /// Not ended before this, such as 30m, 24h or 7days
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        since: Option<Duration>,
        /// For scripts: one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Look whether lines were changed, removed, moved or cut off, and name them; exit code 1 if so
    #[command(after_help = "Example: plait audit verify hq-dc")]
    Verify {
        /// Name of the interface, or its configuration file
        name: String,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print all lines as they are, to be kept elsewhere
    #[command(after_help = "Example: plait audit export hq-dc > audit.txt")]
    Export {
        /// Name of the interface, or its configuration file
        name: String,
    },
}

/// `plait policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Let traffic flow with less than the configured policy asks for; ends by itself, or with the daemon
    #[command(after_help = "Example: plait policy override hq-dc --for 30m --reason 'fibre work, ticket 4711'\n\
                            The stricter of both sites holds: do the same at the other.")]
    Override {
        /// Name of the interface, or its configuration file
        name: String,
        /// One peer; none: all whose policy is stricter
        #[arg(long)]
        peer: Option<String>,
        /// For how long: 1s to 1day
        #[arg(long = "for", value_name = "TIME", value_parser = super::policy::lasts)]
        lasts: Duration,
        /// Why: kept in the events and in the audit
        #[arg(long, value_name = "TEXT", value_parser = super::policy::reason)]
        reason: String,
        /// preferred: QKD keys as far as there are any; off: none are asked for
        #[arg(long, value_name = "WORD", default_value = "preferred", value_parser = super::policy::weaker)]
        qkd: String,
    },
    /// Show the configured policy, the other end's, and what overrides it
    #[command(after_help = "Example: plait policy show hq-dc")]
    Show {
        /// Name of the interface, or its configuration file
        name: String,
        /// For scripts: one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// End an override before its time
    #[command(after_help = "Example: plait policy end hq-dc")]
    End {
        /// Name of the interface, or its configuration file
        name: String,
        /// One peer; none: all
        #[arg(long)]
        peer: Option<String>,
    },
}

/// `plait ratchet`.
#[derive(Debug, Subcommand)]
pub enum RatchetCommand {
    /// List the entries: names and dates, no secrets
    #[command(after_help = "Example: plait ratchet show hq-dc dc-east")]
    Show {
        /// Name of the interface, or its configuration file
        name: String,
        /// Name of the peer
        peer: String,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove the state, at both sites, after it was lost or copied at one; the daemon must not run
    #[command(after_help = "Example: plait ratchet reset hq-dc dc-east")]
    Reset {
        /// Name of the interface, or its configuration file
        name: String,
        /// Name of the peer
        peer: String,
    },
}

/// Between two looks of `status --watch`: not so often that looking is a load, not so seldom that it seems to stand still.
fn watch_interval(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| format!("expected a time such as 1s: {error}"))?;
    let fits = (Duration::from_millis(200)..=Duration::from_secs(3600)).contains(&span);
    if fits { Ok(span) } else { Err("expected 200ms to 1h".to_owned()) }
}
