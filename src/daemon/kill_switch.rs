//! When the kill switch is set, changed and taken away.

use super::start::{FailureKind, RunFailure};
use crate::config::Config;
use crate::io::system::kill_switch::{self as system, KillSwitch, own_addresses};

/// The one that a configuration asks for, if it does.
///
/// # Errors
/// It would cut off more than it is for.
pub fn wanted(config: &Config) -> Result<Option<KillSwitch>, RunFailure> {
    if !config.interface.kill_switch {
        return Ok(None);
    }
    let behind = config.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
    let switch = KillSwitch::new(&config.interface.name, behind, config.interface.table);
    let wrong = |text: String| RunFailure { text, kind: FailureKind::Configuration };
    let switch = switch.map_err(|error| wrong(error.to_string()))?;
    let own = own_addresses().map_err(|error| RunFailure::io("addresses of this machine", &error))?;
    match switch.cuts_off(&own) {
        Some(error) => Err(wrong(error.to_string())),
        None => Ok(Some(switch)),
    }
}

/// Before there is an interface: from the first moment on nothing leaves beside it.
///
/// # Errors
/// As [`wanted`], or the system refuses it.
pub(super) async fn at_start(config: &Config) -> Result<(), RunFailure> {
    let name = &config.interface.name;
    match wanted(config)? {
        Some(switch) => switch.set().await.map_err(|error| RunFailure::other(error.to_string()))?,
        None if system::stands(name) => {
            tracing::warn!(
                "a kill switch of {name} stands from an earlier run: plait down {name} --open takes it away"
            );
        }
        None => {}
    }
    Ok(())
}

/// From one configuration's to another's. Prefixes that go are let out a moment before their routes into the tunnel are
/// taken away, and those that come are kept in before they have one.
///
/// # Errors
/// As [`at_start`].
pub(super) async fn change(old: &Config, new: &Config) -> Result<(), RunFailure> {
    let Some(switch) = wanted(new)? else { return Ok(()) };
    let is_same = wanted(old).is_ok_and(|old| old.as_ref() == Some(&switch));
    if is_same && system::stands(&new.interface.name) {
        return Ok(());
    }
    switch.set().await.map_err(|error| RunFailure::other(error.to_string()))
}

/// While it is in force: whether it had to be set again, because somebody took its firewall away.
///
/// # Errors
/// As [`at_start`].
pub(super) async fn keep(config: &Config) -> Result<bool, RunFailure> {
    if system::stands(&config.interface.name) {
        return Ok(false);
    }
    at_start(config).await.map(|()| true)
}

/// Takes the one of that interface away, with or without a daemon; whether there was one.
///
/// # Errors
/// The system refuses.
pub fn open(interface: &str) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(system::open(interface)).map_err(|error| error.to_string())
}
