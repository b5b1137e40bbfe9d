//! The corpora of the fuzz targets, on the stable toolchain: every input, every prefix of it, and many changed ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what is wrong by failing"
)]

#[path = "pair/config.rs"]
mod config;
#[path = "pair/kme.rs"]
#[allow(dead_code, reason = "the pair tests use more of it")]
mod kme;
#[path = "fuzz/live.rs"]
mod live;
#[path = "fuzz/targets.rs"]
#[allow(dead_code, reason = "the fuzz binaries find their target by its name")]
mod targets;
#[path = "pair/world.rs"]
#[allow(dead_code, reason = "the pair tests use more of it")]
mod world;

use std::path::PathBuf;

use targets::{TARGETS, Target};
use world::Seeded;

/// Changed inputs of each target; `scripts/fuzz.sh` makes billions, guided by what they reach.
const CHANGED: usize = 50_000;
/// Of the target that plays whole links, at milliseconds each.
const CHANGED_LIVE: usize = 1000;

/// The inputs of a target; `PLAIT_CORPUS` names other corpora than the committed ones.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let is_other = std::env::var_os("PLAIT_CORPUS").is_some();
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let folder = std::env::var_os("PLAIT_CORPUS").map_or_else(own, PathBuf::from).join(target.name);
    if is_other && !folder.exists() {
        return Vec::new();
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What a fuzzer does to an input.
fn changed(draw: &mut Seeded, inputs: &[Vec<u8>]) -> Vec<u8> {
    let below = |draw: &mut Seeded, limit: usize| (draw.next() % limit.max(1) as u64) as usize;
    let mut bytes = inputs[below(draw, inputs.len())].clone();
    for _ in 0..=below(draw, 4) {
        let at = below(draw, bytes.len());
        match draw.next() % 6 {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << (draw.next() % 8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b'0'][below(draw, 8)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, draw.next() as u8),
            4 => {
                let other = &inputs[below(draw, inputs.len())];
                let from = below(draw, other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + below(draw, 16)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

#[test]
fn every_target_takes_a_part_of_its_corpus_and_refuses_a_part() {
    let mut wrong = Vec::new();
    for target in &TARGETS {
        let taken = corpus(target).iter().map(|input| (target.run)(input)).collect::<Vec<_>>();
        for (verdict, word) in [(true, "accepted"), (false, "refused")] {
            if !taken.contains(&verdict) {
                wrong.push(format!("{}: nothing in its corpus is {word}", target.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_prefix_of_every_input_is_survived() {
    for target in TARGETS.iter().filter(|target| target.name != "live_pair") {
        for input in corpus(target) {
            let step = 1 + input.len() / 400;
            for length in (0..input.len()).step_by(step) {
                (target.run)(&input[..length]);
            }
        }
    }
}

#[test]
fn many_changed_inputs_are_survived() {
    let sweep = |(number, target): (usize, &Target)| {
        let (inputs, mut draw) = (corpus(target), Seeded(number as u64));
        let count = if target.name == "live_pair" { CHANGED_LIVE } else { CHANGED };
        for _ in 0..count {
            (target.run)(&changed(&mut draw, &inputs));
        }
    };
    TARGETS.iter().enumerate().for_each(sweep);
}

#[test]
fn each_target_has_its_binary() {
    let manifest = include_str!("fuzz/Cargo.toml");
    let binaries: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")).skip(1).collect();
    let names: Vec<String> = TARGETS.iter().map(|target| format!("{}\"", target.name)).collect();
    assert_eq!(binaries, names);
}
