#!/usr/bin/env bash
# Runs every test. As root with /dev/net/tun the network tests run too, and a test that was skipped is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/setup.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
features=tun-tap,kem-pqcrypto
root=no
if [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ]; then
  root=yes
  export PLAIT_NETNS=require # a network test that cannot run fails instead of saying SKIPPED
fi

run() {
  echo "== $*" >&2
  "$@" 2>&1 | tee -a "$log"
}

run cargo fmt --check
# The default features must build alone too; the dependencies are those of the tests below.
run cargo build --locked
run cargo test --locked --features "$features"
# The benchmarks must build; their figures are no test (docs/ARCHITECTURE.md says how to run them).
run cargo test --locked --features "$features" --benches --no-run
# Secrets decide no branch and no index of our own code; the planted leaks must be seen.
run ./scripts/constant_time.sh
run python3 -B -m unittest discover --start-directory scripts/perf

sum() { grep -E '^test result:' "$log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }
passed=$(sum passed)
ignored=$(sum ignored)
skipped=$(grep -c '^SKIPPED' "$log" || true)
echo "tests: $passed passed, $ignored ignored, $skipped skipped (root with /dev/net/tun: $root)"
if [ "$ignored" -ne 0 ]; then
  echo "a test is ignored: it does not test" >&2
  exit 1
fi
if [ "$root" = yes ] && [ "$skipped" -ne 0 ]; then
  echo "a test was skipped although it could run" >&2
  exit 1
fi
