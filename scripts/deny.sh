#!/usr/bin/env bash
# Holds the dependency tree to scripts/deny.toml: licences, sources, crates that shall not come in, known weaknesses (RustSec).
# Installs cargo-deny if it is missing. The advisory database is fetched, or a copy of it under the cargo home is read; where
# neither can be had, a line says so and the rest still holds.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
if ! cargo deny --version >/dev/null 2>&1; then
  echo "deny: installing cargo-deny $version" >&2
  cargo install --quiet --locked cargo-deny --version "$version"
fi
cargo deny --locked --config scripts/deny.toml check licenses bans sources
databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
if cargo deny --locked --config scripts/deny.toml fetch db >/dev/null 2>&1; then
  cargo deny --locked --offline --config scripts/deny.toml check advisories
elif compgen -G "$databases/*/.git" >/dev/null; then
  echo "deny: the advisory database cannot be fetched; the copy that is here is read" >&2
  cargo deny --locked --offline --config scripts/deny.toml check advisories
else
  echo "deny: NOT RUN: advisories: the database cannot be fetched, and there is no copy of it" >&2
fi
