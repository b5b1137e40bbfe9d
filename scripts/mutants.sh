#!/usr/bin/env bash
# Mutation testing: scripts/mutants.sh [--kme] [--module M] [--sample N] [--seed S] [--work DIR [--again STAGE]]; all mutants of the pure core by default.
# The mutants are those that cargo-mutants lists. Instead of one build each, tests/mutants weaves all of them into one copy of the tree, without
# what stands below the purity line, each behind a number; then a mutant is one run of the tests, with PLAIT_MUTANT=number.
# A mutant runs the unit tests of its module, its part of tests/property, then all unit tests, tests/vectors, handshake, property and pair, until
# one fails. --again runs only what the last run in DIR missed, from one of these on: near, near property, lib, vectors, handshake, property, pair.
# --kme takes the KME client instead (src/io/source, kme_client, https): the whole tree, its unit tests and tests/etsi014.
# Prints the survivors and a table: caught, timeouts (caught too), missed, what does not compile, what cannot be woven, and the score.
# Needs cargo-mutants (cargo install --locked cargo-mutants) and python3. --work keeps the copy, what was built, and outcomes.json. docs/MUTANTS.md
# has the survivors.
set -euo pipefail
cd "$(dirname "$0")/.."

files=(src/{schedule,session,keys,handshake,dataplane,wire,etsi014}/'**') tests=(vectors handshake property pair)
work= pass=() kme=no
while [ $# -gt 0 ]; do
  case $1 in
    --module | --sample | --seed | --again) pass+=("$1" "$2"); shift ;;
    --work) work=$2; shift ;;
    --kme) kme=yes files=(src/io/{source,kme_client}/'**' src/io/https.rs) tests=(etsi014) ;;
    --help | -h) sed -n '2,11s/^# //p' "$0"; exit 0 ;;
    *) echo "mutants.sh: $1 is no option (--module M, --sample N, --seed S, --work DIR)" >&2; exit 2 ;;
  esac
  shift
done
if ! cargo mutants --version >/dev/null 2>&1; then
  echo "mutants.sh: cargo-mutants is not installed: cargo install --locked cargo-mutants" >&2
  exit 2
fi
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work"
scripts=$PWD/scripts tree=$work/tree

list=(--list --json)
for file in "${files[@]}"; do list+=(--file "$file"); done
cargo mutants "${list[@]}" >"$work/list.json"
# What does not compile is known by its number.
cmp -s "$work/list.json" "$work/list.before" || rm -f "$work/left_out"
cp "$work/list.json" "$work/list.before"

nice -n 10 cargo build --quiet --manifest-path tests/mutants/Cargo.toml --target-dir "$work/weave"

# Takes from the copy what stands below the purity line, but for two functions of the daemon that tests/pair asks.
slim() {
  awk '/^\[/ { left = /^\[\[(bin|bench)\]\]/ } !left && !/^default-run/' Cargo.toml >"$tree/Cargo.toml"
  rm -rf "$tree"/src/{io,daemon,cli,main.rs} "$tree"/tests/{allocation,cli,constant_time,docs.rs,durability,etsi014,fuzz,mutants,netns,sim,tidy,tidy.rs,tun,views,wycheproof,corpus.rs,benches}
  sed -i -E '/^pub mod (io|daemon|cli);/d' "$tree/src/lib.rs"
  cat >>"$tree/src/lib.rs" <<'END'
#[doc(hidden)]
pub mod daemon {
    pub mod setup {
        use crate::config::CipherChoice;
        use crate::types::{offload::OffloadSet, policy::Cipher, terms::FEATURE_AES_HARDWARE};
END
  sed -n '/^pub fn ciphers/,/^}/p; /^pub fn features/,/^}/p' src/daemon/setup.rs >>"$tree/src/lib.rs"
  cat >>"$tree/src/lib.rs" <<'END'
    }
}
END
}

copy() {
  rm -rf "$tree/src" "$tree/tests"
  mkdir -p "$tree"
  cp -r Cargo.toml Cargo.lock src tests docs "$tree"
  [ "$kme" = yes ] || slim
  cat >>"$tree/src/lib.rs" <<'END'
#[doc(hidden)]
pub fn mutant() -> u32 {
    static NUMBER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *NUMBER.get_or_init(|| std::env::var("PLAIT_MUTANT").map_or(u32::MAX, |number| number.parse().unwrap_or(u32::MAX)))
}
END
  sed -i '1i #![allow(warnings, clippy::all, arithmetic_overflow, unconditional_panic)]' "$tree/src/lib.rs"
}

# Weaves, and leaves out what does not compile, until it does. `check` finds what types say, the last rounds what borrowing says.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/target} CARGO_PROFILE_DEV_DEBUG=0
features=--features=trace,sim
fresh=no
[ -e "$work/left_out" ] || fresh=yes
touch "$work/left_out"
for round in $(seq 30); do
  copy
  cut -d' ' -f1 "$work/left_out" | sort -un >"$work/left_out.numbers"
  (cd "$tree" && "$work/weave/debug/weave" . "$work/list.json" "$work/left_out.numbers") >"$work/unwoven"
  if [ "$fresh$round" = yes1 ]; then sed 's/$/ not woven/' "$work/unwoven" >>"$work/left_out"; fi
  if (cd "$tree" && nice -n 10 cargo check --quiet --lib --message-format=json "$features") >"$work/errors"; then break; fi
  python3 "$scripts/mutants.py" faults "$tree" "$work/left_out" <"$work/errors"
done

targets=(--lib)
for test in "${tests[@]}"; do targets+=(--test "$test"); done
(cd "$tree" && nice -n 10 cargo test --no-run --message-format=json "$features" "${targets[@]}") >"$work/messages"
python3 - "$work" <<'END'
import json, sys
binaries = {}
for line in open(f"{sys.argv[1]}/messages"):
    message = json.loads(line) if line.startswith("{") else {}
    if message.get("executable") and message["profile"]["test"]:
        target = message["target"]
        binaries["lib" if target["kind"] == ["lib"] else target["name"]] = message["executable"]
order = ["lib", "vectors", "handshake", "property", "pair", "etsi014"]
json.dump({name: binaries[name] for name in order if name in binaries}, open(f"{sys.argv[1]}/binaries.json", "w"))
END
nice -n 10 python3 "$scripts/mutants.py" run "$work" "${pass[@]}"
