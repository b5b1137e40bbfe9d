#!/usr/bin/env bash
# Builds plait and shows it at work: two sites, two KMEs, one tunnel, on this machine alone. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/setup.sh
cargo build --release --locked
exec "${CARGO_TARGET_DIR:-target}/release/plait" demo "$@"
