#!/usr/bin/env bash
# Whether our own code branches on secret bytes or uses them as an index: tests/constant_time under valgrind's memcheck (package `valgrind`).
# A planted early exit and a planted table must be reported, else it fails. Ends with 1 if anything else is.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind > /dev/null || { echo "valgrind is missing: install the package of that name" >&2; exit 2; }
export PLAIT_NEEDS_MEMCHECK=1
runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)_RUNNER
# The planted leaks are among what valgrind prints, and all else that a failed test is about.
export "$runner=valgrind --quiet --num-callers=20 --suppressions=$PWD/tests/constant_time/public.supp"
exec cargo test --locked --features tun-tap,kem-pqcrypto --test constant_time -- --test-threads=1
