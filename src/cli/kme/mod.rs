//! `plait kme`: look at a KME, fetch keys from it, or simulate a pair.

pub mod args;

mod ask;
mod cert;
mod fault;
mod link;
mod serve;
pub(super) mod target;
pub(super) mod test;

use std::path::Path;

use self::args::KmeCommand;
use super::exit::{Exit, Failure, Outcome};
use crate::etsi014::v1::request::NewKeys;

/// Runs one of the verbs. Control sockets are in `run_dir`.
pub(super) fn run(command: KmeCommand, run_dir: &Path) -> Outcome {
    match command {
        KmeCommand::Serve { file } => runtime()?.block_on(serve::run(&file, run_dir)),
        KmeCommand::Cert(order) => cert::run(order),
        KmeCommand::Status { config, target } => {
            let kme = target::find(config.as_deref(), &target)?;
            runtime()?.block_on(ask::status(&kme))
        }
        KmeCommand::Test(order) => {
            let kme = target::find(order.config.as_deref(), &order.target)?;
            runtime()?.block_on(test::run(&kme, &order))
        }
        KmeCommand::GetKey { config, number, size, target } => {
            let kme = target::find(config.as_deref(), &target)?;
            runtime()?.block_on(ask::get_key(&kme, NewKeys { number, size }))
        }
        KmeCommand::GetKeyIds { words, target } => {
            let (config, ids) = target::split_words(&words, &target)?;
            let kme = target::find(config, &target)?;
            runtime()?.block_on(ask::get_key_ids(&kme, ids))
        }
        KmeCommand::Link { name, order } => runtime()?.block_on(link::run(&name, order, run_dir)),
        KmeCommand::Fault(order) => runtime()?.block_on(fault::run(order, run_dir)),
    }
}

/// Two threads: one for what is asked, one for name resolution.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    made.map_err(|error| Failure::new(Exit::Failure, format!("cannot start: {error}")))
}
