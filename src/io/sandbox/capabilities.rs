//! Rights beyond those of files: all of them go (capabilities(7)).

use caps::CapSet;

/// Empties every set. The bounding set goes first: to empty it takes a right that the others hold.
///
/// # Errors
/// In words.
pub(super) fn drop_all() -> Result<String, String> {
    let has = |set| caps::read(None, set).map_err(|error| format!("{set:?} set: {error}"));
    // Without CAP_SETPCAP the bounding set stays; with no_new_privs nothing can come out of it.
    if has(CapSet::Effective)?.contains(&caps::Capability::CAP_SETPCAP) {
        caps::clear(None, CapSet::Bounding).map_err(|error| format!("bounding set: {error}"))?;
    }
    // Kernels before 4.3 have no ambient set.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Inheritable).map_err(|error| format!("inheritable set: {error}"))?;
    caps::clear(None, CapSet::Effective).map_err(|error| format!("effective set: {error}"))?;
    caps::clear(None, CapSet::Permitted).map_err(|error| format!("permitted set: {error}"))?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        let left = has(set)?;
        if !left.is_empty() {
            return Err(format!("{set:?} set still holds {left:?}"));
        }
    }
    Ok(String::new())
}
