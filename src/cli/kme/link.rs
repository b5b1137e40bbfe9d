//! `plait kme link`: cut, repair, slow down or show the link of a running pair.

use std::path::Path;

use super::args::LinkOrder;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;
use crate::io::kme_server::control::{self, OrderError};
use crate::kme::file;
use crate::kme::order::Order;

/// Prints the link as one JSON line, as it is after the order.
pub(super) async fn run(name: &str, order: LinkOrder, run_dir: &Path) -> Outcome {
    file::check_name(name).map_err(|text| Failure::new(Exit::Usage, text))?;
    let order = match order {
        LinkOrder::Up => Order::Up,
        LinkOrder::Down => Order::Down,
        LinkOrder::Status => Order::Status,
        LinkOrder::Rate { bits_per_second } => Order::Rate { bits_per_second },
    };
    give(name, order, run_dir).await
}

/// Has the pair carry out an order, and prints it as one JSON line, as it is afterwards.
pub(super) async fn give(name: &str, order: Order, run_dir: &Path) -> Outcome {
    let status = control::ask(&control::path(run_dir, name), order).await.map_err(|error| {
        let exit = match error {
            OrderError::NotRunning(_) => Exit::NotRunning,
            OrderError::Unreachable { .. } => Exit::Unreachable,
            OrderError::Refused(_) => Exit::Failure,
        };
        Failure::new(exit, error.to_string())
    })?;
    output::data(&format!("{}\n", serde_json::to_string(&status).unwrap_or_default()))
}
