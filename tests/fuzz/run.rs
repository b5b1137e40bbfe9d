//! One fuzz target under libFuzzer; which one, its binary's name says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| plait_fuzz::run(env!("CARGO_BIN_NAME"), bytes));
