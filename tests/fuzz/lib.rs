//! All fuzz targets, compiled once for their binaries.

#[path = "../pair/config.rs"]
mod config;
#[path = "../pair/kme.rs"]
#[allow(dead_code, reason = "the pair tests use more of it")]
mod kme;
mod live;
mod targets;
#[path = "../pair/world.rs"]
#[allow(dead_code, reason = "the pair tests use more of it")]
mod world;

/// Runs the target of that name.
///
/// # Panics
/// There is no target of that name, or it broke: that is what is looked for.
pub fn run(name: &str, bytes: &[u8]) {
    let target = targets::find(name).expect("each binary is named after a target");
    (target.run)(bytes);
}
