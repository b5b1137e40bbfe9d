#!/usr/bin/env bash
# Fuzzes what sees foreign bytes: scripts/fuzz.sh [--seconds N] [--plain] [--minimise] [--ledger] [TARGET..]; all targets, 20 s each, if none is named.
# --plain leaves AddressSanitizer out, which runs ten times as many inputs: the parsers hold no unsafe code, so it is panics, hangs and wrong answers that are looked for.
# An input that breaks a target is left in target/fuzz/found/TARGET; play it again with scripts/fuzz.sh --play FILE TARGET.
# --minimise adds to tests/fuzz/corpus the fewest inputs that reach what was not reached before; --ledger adds lines to docs/ledger.tsv.
# Needs cargo-fuzz (cargo install --locked cargo-fuzz). The stable toolchain is enough: RUSTC_BOOTSTRAP lets it take the sanitizer's flags.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=20 plain=no minimise=no ledger=no play=
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --plain) plain=yes ;;
    --minimise) minimise=yes ;;
    --ledger) ledger=yes ;;
    --play) play=$2; shift ;;
    --help | -h) sed -n '2,6s/^# //p' "$0"; exit 0 ;;
    -*) echo "fuzz.sh: $1 is no option (--seconds N, --plain, --minimise, --ledger, --play FILE)" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
corpus=tests/fuzz/corpus work=target/fuzz
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(ls "$corpus")
fi
for target in "${targets[@]}"; do
  if [ ! -d "$corpus/$target" ]; then
    echo "fuzz.sh: $target is no target; there are: $(ls "$corpus" | tr '\n' ' ')" >&2
    exit 2
  fi
done
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz.sh: cargo-fuzz is not installed: cargo install --locked cargo-fuzz" >&2
  exit 2
fi

export RUSTC_BOOTSTRAP=1
sanitizer=address build=$work/build
[ "$plain" = no ] || { sanitizer=none build=$work/plain; }
cargo fuzz build --sanitizer "$sanitizer" --fuzz-dir tests/fuzz --target-dir "$build" >&2
binaries=$build/$(rustc -vV | sed -n 's/^host: //p')/release

if [ -n "$play" ]; then
  exec "$binaries/${targets[0]}" "$play"
fi

# Inputs longer than 4096 bytes find nothing that shorter ones do not; a second is a hang; an input of a parser may not take 64 MiB
# more than the sanitizer itself.
limits=(-max_len=4096 -timeout=1 -rss_limit_mb=512 -malloc_limit_mb=64)
dictionary() {
  case $1 in
    kme_keys | kme_status | kme_error | kme_base64) echo json ;;
    pair_file | configuration) echo toml ;;
    kme_url | kme_request | kme_order | control_request | control_answer | key_file | audit | event_line) echo lines ;;
  esac
}

failed=0 total=0
for target in "${targets[@]}"; do
  mkdir -p "$work/corpus/$target" "$work/found/$target"
  options=("${limits[@]}" "-max_total_time=$seconds" -print_final_stats=1 "-artifact_prefix=$work/found/$target/")
  dict=$(dictionary "$target")
  [ -z "$dict" ] || options+=("-dict=tests/fuzz/dictionaries/$dict.dict")
  # The live pair plays minutes of a link's life on virtual time: under the sanitizer that takes its time.
  [ "$target" != live_pair ] || options+=(-timeout=20 -max_len=256 -rss_limit_mb=2048)
  log=$work/$target.log
  result=ok
  "$binaries/$target" "${options[@]}" "$work/corpus/$target" "$corpus/$target" >"$log" 2>&1 || result=FOUND
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  edges=$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -c6-)
  if [ "$result" = FOUND ]; then
    failed=$((failed + 1))
    tail -n 25 "$log" >&2
  fi
  runs=${runs:-0}
  total=$((total + runs))
  printf '%-20s %s  %11d executions  %5s edges\n' "$target" "$result" "$runs" "${edges:-?}"
  if [ "$ledger" = yes ]; then
    printf '%s\t%s\tfuzz %s\t%d executions\t%s\n' \
      "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$target" "$runs" "$result" >>docs/ledger.tsv
  fi
  if [ "$minimise" = yes ] && [ "$result" = ok ]; then
    small=$work/small/$target
    rm -rf "$small" && mkdir -p "$small"
    "$binaries/$target" "${limits[@]}" -timeout=20 -rss_limit_mb=2048 -use_counters=0 -set_cover_merge=1 \
      "$small" "$corpus/$target" "$work/corpus/$target" >>"$log" 2>&1
  fi
done
echo "$total executions, $failed of ${#targets[@]} targets broken"
# Of what reaches more anywhere, what reaches more in this crate.
[ "$minimise" = no ] || ./scripts/coverage.py --pick "$work/small"
[ "$failed" -eq 0 ]
