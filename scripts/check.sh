#!/usr/bin/env bash
# What a change must pass before it is offered: format, lints, documents, the rules of the house, and cargo-deny where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/setup.sh
cargo fmt --check
cargo clippy --locked --all-targets --features tun-tap,kem-pqcrypto -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features tun-tap,kem-pqcrypto
cargo test --locked --test tidy
if command -v python3 >/dev/null 2>&1; then
  python3 scripts/records.py | cmp - tests/vectors/records.json # the vectors are what their script makes
fi
if cargo deny --version >/dev/null 2>&1; then
  cargo deny --locked check
else
  echo "check: cargo-deny is not installed; licences and advisories were not checked" >&2
fi
