//! Which KME a verb means: a source of a configuration, or the options on the command line.

use std::path::PathBuf;
use std::time::Duration;

use super::args::Target;
use crate::cli::exit::{Exit, Failure};
use crate::config::{HttpMethod, Source};
use crate::daemon::load::{LoadFailure, config_path, read_config, resolve};
use crate::etsi014::v1::pin;
use crate::etsi014::v1::url::BaseUrl;
use crate::io::keyfile_error::KeyFileError;
use crate::io::kme_client::methods::KmeClient;
use crate::io::kme_client::registry::{KmeClients, Reach};
use crate::io::source::SourceSetup;
use crate::io::tls::material::SetupError;
use crate::types::id::SaeId;
use crate::types::limits::ENC_KEYS_DEADLINE;

/// A KME at hand.
pub(in crate::cli) struct Found {
    /// To ask it.
    pub(in crate::cli) client: KmeClient,
    /// Longest time of one request.
    pub(in crate::cli) timeout: Duration,
    /// How the same KME pair is named at the other site, for a hint.
    pub(in crate::cli) shown: String,
}

/// The configuration and the key_IDs among the words of `get-key-ids`.
pub(super) fn split_words<'a>(
    words: &'a [String],
    target: &Target,
) -> Result<(Option<&'a str>, &'a [String]), Failure> {
    match words {
        _ if target.url.is_some() => Ok((None, words)),
        [config, ids @ ..] if !ids.is_empty() => Ok((Some(config), ids)),
        _ => Err(usage("expected NAME|FILE and one or more key_IDs, or --url .. and one or more key_IDs")),
    }
}

/// Loads what is needed to ask the KME.
pub(super) fn find(config: Option<&str>, target: &Target) -> Result<Found, Failure> {
    let (setup, shown) = match (config, &target.url) {
        (Some(_), Some(_)) => return Err(usage("expected either NAME|FILE or --url .., not both")),
        (None, None) => return Err(usage("expected NAME|FILE, or --url --ca --cert --key --local-sae --remote-sae")),
        (None, Some(url)) => (from_options(url, target)?, "--url ..".to_owned()),
        (Some(config), None) => (from_config(config, target.source.as_deref())?, config.to_owned()),
    };
    of_setup(setup, shown)
}

/// The KME of one source; `shown` stands for it in hints.
pub(in crate::cli) fn of_setup(setup: SourceSetup, shown: String) -> Result<Found, Failure> {
    let https = KmeClients::default().client(&setup.reach).map_err(|error| refused(&error))?;
    let SourceSetup { local_sae, remote_sae, timeout, method, .. } = setup;
    Ok(Found { client: KmeClient { https, local_sae, remote_sae, method }, timeout, shown })
}

fn from_config(config: &str, wanted: Option<&str>) -> Result<SourceSetup, Failure> {
    let file = config_path(config);
    let (config, _) = read_config(&file).map_err(|LoadFailure { text, is_permission }| {
        Failure::new(if is_permission { Exit::Permission } else { Exit::Configuration }, text)
    })?;
    let sources: Vec<&Source> = config.peers.iter().flat_map(|peer| &peer.sources).collect();
    let is_wanted = |source: &&&Source| wanted.is_none_or(|w| w == source.name || w == source.id.to_string());
    let found: Vec<&&Source> = sources.iter().filter(is_wanted).collect();
    let names = sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    match found.as_slice() {
        [source] => Ok(SourceSetup::from_config(source, |named| resolve(&file, &named.path))),
        [] if sources.is_empty() => {
            Err(Failure::new(Exit::Configuration, format!("{}: has no [[qkd]] section", file.display())))
        }
        [] => Err(usage(format!("--source: expected one of {names}"))),
        [..] => Err(usage(format!("which source? name it by --source: {names}"))),
    }
}

fn from_options(url: &str, target: &Target) -> Result<SourceSetup, Failure> {
    let sae = |name: &str, written: &Option<String>| {
        let id = written.as_deref().and_then(SaeId::new);
        id.ok_or_else(|| usage(format!("--{name}: expected 1 to 128 bytes without control characters")))
    };
    let path = |written: &Option<PathBuf>| written.clone().unwrap_or_default();
    let pin_sha256 = match &target.pin_sha256 {
        Some(written) => {
            Some(pin::parse(written).ok_or_else(|| usage("--pin-sha256: expected 64 hexadecimal digits"))?)
        }
        None => None,
    };
    if target.ca.is_none() && pin_sha256.is_none() {
        return Err(usage(
            "--ca FILE is missing: the KME's certificate is never taken unchecked (or pin it: --pin-sha256)",
        ));
    }
    Ok(SourceSetup {
        name: "command line".to_owned(),
        reach: Reach {
            url: BaseUrl::parse(url).map_err(|error| usage(format!("--url: {error}")))?,
            ca_file: path(&target.ca),
            cert_file: path(&target.cert),
            key_file: path(&target.key),
            key_password_file: target.key_password_file.clone(),
            server_name: target.server_name.clone(),
            pin_sha256,
            is_pq_only: false,
        },
        local_sae: sae("local-sae", &target.local_sae)?,
        remote_sae: sae("remote-sae", &target.remote_sae)?,
        timeout: ENC_KEYS_DEADLINE,
        method: if target.get { HttpMethod::Get } else { HttpMethod::Post },
    })
}

fn refused(error: &SetupError) -> Failure {
    let is_permission = matches!(error, SetupError::File(file) if KeyFileError::is_permission(file));
    Failure::new(if is_permission { Exit::Permission } else { Exit::Configuration }, error.to_string())
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, text)
}
