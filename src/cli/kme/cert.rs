//! `plait kme cert`: certificates for simulators and laboratories.

use super::args::CertOrder;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;
use crate::io::clock::Clock;
use crate::io::pki::{self, PkiError, PkiOrder};

/// Prints one line a certificate, and whether it is new.
pub(super) fn run(order: CertOrder) -> Outcome {
    if order.kme.is_empty() && order.sae.is_empty() {
        return Err(Failure::new(Exit::Usage, "nothing to make: name a KME (--kme ID=NAME) or a SAE (--sae ID)"));
    }
    let kmes: Result<Vec<_>, Failure> = order.kme.iter().map(|written| split(written)).collect();
    let (dir, saes) = (order.dir, order.sae);
    let order = PkiOrder { dir, kmes: kmes?, saes, days: order.days, renew: order.renew, now: Clock::start().unix() };
    let made = pki::make(&order).map_err(|error| failure(&error))?;
    let lines = made.iter().map(|made| {
        let word = if made.is_new { "made" } else { "kept" };
        format!("{word} {}\n", made.path.display())
    });
    output::data(&lines.collect::<String>())
}

fn split(written: &str) -> Result<(String, String), Failure> {
    let pair = written.split_once('=').filter(|(id, name)| !id.is_empty() && !name.is_empty());
    let (id, name) = pair
        .ok_or_else(|| Failure::new(Exit::Usage, format!("--kme {written}: expected ID=NAME, as KME-A=127.0.0.1")))?;
    Ok((id.to_owned(), name.to_owned()))
}

fn failure(error: &PkiError) -> Failure {
    let denied = match error {
        PkiError::File(error) => error.is_permission(),
        PkiError::Io { error, .. } => error.kind() == std::io::ErrorKind::PermissionDenied,
        PkiError::Make { .. } | PkiError::Other(_) => false,
    };
    Failure::new(if denied { Exit::Permission } else { Exit::Failure }, error.to_string())
}
