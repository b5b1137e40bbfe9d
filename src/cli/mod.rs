//! F10, the command line: arguments in, one verb run, exit code out.
//!
//! `args` says what can be typed, each verb has its own module and returns an [`exit::Outcome`]; data goes to stdout
//! and everything said to a person to stderr (`output`).

pub mod args;
pub mod exit;
pub mod init;
pub mod kme;
pub mod output;
pub mod peer;

mod ask;
mod audit;
mod bench;
mod check;
mod completions;
mod demo;
mod doctor;
mod events;
mod forecast;
mod keys;
mod keys_process;
mod lab;
mod logs;
mod man;
mod policy;
mod ratchet;
mod reload;
mod report;
mod status;
mod top;
mod up;
mod version;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use self::args::{Arguments, Verb};
use self::exit::{Exit, Failure, Outcome};

/// Runs the verb on the command line.
pub fn main() -> ExitCode {
    let exit = match Arguments::try_parse() {
        Ok(arguments) => run(arguments).unwrap_or_else(|failure| {
            output::talk(&format!("plait: {failure}"));
            failure.exit
        }),
        Err(error) => answer_usage(&error),
    };
    exit.into()
}

fn run(arguments: Arguments) -> Outcome {
    if let Some(parent) = arguments.end_with_parent {
        lab::children::end_with_parent(parent).map_err(|error| Failure::io("--end-with-parent", &error))?;
    }
    match arguments.verb {
        Verb::Audit(command) => audit::run(&command, &arguments.places.state_dir),
        Verb::Bench { seconds, json } => bench::run(seconds, json),
        Verb::Check { name, online, json } => {
            check::run(&name, online, status::Form::of(json), &arguments.places.run_dir)
        }
        Verb::Completions { shell } => completions::run(shell),
        Verb::Doctor { name, json } => doctor::run(name.as_deref(), json, &arguments.places),
        Verb::Down { name, open } => ask::down(&name, open, &arguments.places.run_dir),
        Verb::Events { name, since, follow, json } => {
            let wanted = events::Wanted { since, follow, form: status::Form::of(json) };
            events::run(&name, &wanted, &arguments.places.run_dir, &arguments.places.state_dir)
        }
        Verb::Fingerprint { file, json } => keys::fingerprint(&file, status::Form::of(json)),
        Verb::Forecast { name, json } => forecast::run(&name, status::Form::of(json), &arguments.places.run_dir),
        Verb::Genkey { out, suite } => keys::genkey(out.as_deref(), suite),
        Verb::Genpsk { out } => keys::genpsk(out.as_deref()),
        Verb::Init(order) => init::run(&order),
        Verb::Kme(command) => kme::run(*command, &arguments.places.run_dir),
        Verb::KeysProcess { log_format } => keys_process::run(log_format),
        Verb::Man { dir } => man::run(dir.as_deref()),
        Verb::Peer(command) => peer::run(&command, &arguments.places.run_dir),
        Verb::Pubkey => keys::pubkey(),
        Verb::Demo => demo::run(),
        Verb::Policy(command) => policy::run(&command, &arguments.places.run_dir),
        Verb::Ratchet(command) => ratchet::run(&command, &arguments.places.state_dir),
        Verb::Rekey { name, peer, wait } => ask::rekey(&name, peer, wait, &arguments.places.run_dir),
        Verb::Reload { name, dry_run, json } => {
            reload::run(&name, dry_run, status::Form::of(json), &arguments.places.run_dir)
        }
        Verb::Report { name, out, with_addresses, json } => {
            let wanted = report::Wanted { name: &name, out: out.as_deref(), with_addresses, json };
            report::run(&wanted, &arguments.places)
        }
        Verb::Status { name, json, watch } => {
            status::run(name.as_deref(), status::Form::of(json), watch, &arguments.places.run_dir)
        }
        Verb::Top { name, once } => top::run(name.as_deref(), once, &arguments.places.run_dir),
        Verb::Up { name, dry_run, require_sandbox, log_format } => {
            logs::start(log_format);
            up::up(&name, dry_run, up::Demands { sandbox: require_sandbox, log_format }, &arguments.places)
        }
        Verb::Version { verbose, json } => version::run(verbose, json),
    }
}

/// `--help` and `--version` are answers (stdout, 0); everything else is a mistake (stderr, 2).
#[expect(clippy::wildcard_enum_match_arm, reason = "clap's kinds are non-exhaustive, all others are usage errors")]
fn answer_usage(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::data(&error.render().to_string()).unwrap_or_else(|failure| failure.exit)
        }
        _ => {
            output::talk(&error.render().to_string());
            Exit::Usage
        }
    }
}
