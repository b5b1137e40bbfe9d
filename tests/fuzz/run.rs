//! One fuzz target under libFuzzer; which one, its binary's name says.

#![no_main]

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

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = targets::find(env!("CARGO_BIN_NAME")).expect("each binary is named after a target");
    (target.run)(bytes);
});
