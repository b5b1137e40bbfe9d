#!/usr/bin/env bash
# The long forms of the tests of a daemon's life, as root: scripts/life.sh [--rounds N] [--seconds S] [--stop S] [--boots N]
# 200 rounds of up and down and of new sessions and connections, 60 s of verbs at random, processes that stand still for 30 s and
# for 130 s, ten boot races of each distance. What each test prints is the figure; CI runs the same tests, shorter.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=200 seconds=60 stop="30 130" boots=10
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --stop) stop=$2; shift ;;
    --boots) boots=$2; shift ;;
    --help | -h) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "life.sh: $1 is no option (--rounds N, --seconds S, --stop S, --boots N)" >&2; exit 2 ;;
  esac
  shift
done
if [ "$(id -u)" -ne 0 ]; then
  echo "life.sh: needs root: it makes network namespaces" >&2
  exit 2
fi

export PLAIT_NETNS=require
tests() { cargo test --locked --features tun-tap,kem-pqcrypto --test netns -- --nocapture "$@"; }
PLAIT_LIFE_ROUNDS=$rounds PLAIT_VERBS_SECONDS=$seconds PLAIT_BOOTS=$boots tests life:: verbs:: boots::
for seconds in $stop; do
  PLAIT_STOP_SECONDS=$seconds tests stops::packets stops::while
done
