//! `plait kme fault`: what the KMEs of a running pair do wrong, or otherwise.

use std::path::Path;

use super::args::FaultOrder;
use super::link;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;
use crate::kme::catalogue::{Fault, Scope};
use crate::kme::fault::{FAULTS_MAX, Times};
use crate::kme::file;
use crate::kme::order::Order;

/// Orders a fault, or shows what there is.
pub(super) async fn run(order: FaultOrder, run_dir: &Path) -> Outcome {
    if order.name == "list" && order.fault.is_none() {
        return output::data(&list());
    }
    file::check_name(&order.name).map_err(usage)?;
    link::give(&order.name, meant(&order)?, run_dir).await
}

fn usage(text: String) -> Failure {
    Failure::new(Exit::Usage, text)
}

fn meant(order: &FaultOrder) -> Result<Order, Failure> {
    let Some(name) = &order.fault else { return Ok(Order::Status) };
    if name == "none" {
        let is_all = order.times.is_none() && order.at.is_none();
        return if is_all {
            Ok(Order::NoFaults)
        } else {
            Err(usage("none takes everything back, at both KMEs".into()))
        };
    }
    let fault = Fault::named(name).map_err(|text| usage(format!("{text}; `plait kme fault list` shows all")))?;
    Ok(Order::Fault { fault, times: times(fault, order.times.as_deref())?, kme: order.at.clone() })
}

fn times(fault: Fault, word: Option<&str>) -> Result<Times, Failure> {
    match word {
        None if fault.is_habit() => Ok(Times::Always),
        None => Ok(Times::Next(1)),
        Some("always") => Ok(Times::Always),
        Some("off" | "0") => Ok(Times::Next(0)),
        Some(_) if fault.is_habit() => {
            Err(usage(format!("{fault} is a habit: it lasts, and takes \"always\" or \"off\" only")))
        }
        Some(word) => {
            let number = word.parse().ok().filter(|number| *number <= FAULTS_MAX);
            let expected =
                format!("\"{}\": expected a number up to {FAULTS_MAX}, \"always\" or \"off\"", word.escape_debug());
            number.map(Times::Next).ok_or_else(|| usage(expected))
        }
    }
}

/// All names with their words, under what they are counted by.
fn list() -> String {
    let mut text = String::new();
    let mut before = None;
    for fault in Fault::ALL {
        let scope = fault.scope();
        if before != Some(scope) {
            before = Some(scope);
            text += &format!("{}{}:\n", if text.is_empty() { "" } else { "\n" }, heading(scope));
        }
        text += &format!("  {:<18} {}\n", fault.name(), fault.words());
    }
    text
}

fn heading(scope: Scope) -> &'static str {
    match scope {
        Scope::Key => "the next new keys",
        Scope::Fetch => "the next requests for keys by id",
        Scope::Answer => "the next answers to requests for keys",
        Scope::Connection => "the next connections",
        Scope::Habit => "habits, which last",
    }
}
