#!/usr/bin/env bash
# The simulator over many seeds: scripts/sim.sh --hours H [--from SEED], or one seed in full: --seed S [--plot FILE.svg].
# Prints seeds, simulated hours, events and violations; each violation with the command that plays it again. Ends with 1 if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --quiet --locked --release --features sim --bin plait-sim -- "$@"
