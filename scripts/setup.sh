#!/usr/bin/env bash
# Installs what building and testing need on a Debian 12 machine with Rust; does nothing where all of it is there.
set -euo pipefail

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need cc gcc           # aws-lc and the tun-tap backend hold C
need ip iproute2      # the network tests make namespaces with it
need ping iputils-ping
need python3 python3  # scripts/perf draws the plot of docs/PERFORMANCE.md
need iperf3 iperf3    # `plait bench` and its test
need nft nftables      # killswitch = true, and its tests
need strace strace     # tests/durability ends writes at each of their system calls
need valgrind valgrind # scripts/constant_time.sh
[ -e /usr/include/stdlib.h ] || packages+=(libc6-dev)

if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: missing ${packages[*]}; run as root: apt-get install ${packages[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -qq --yes --no-install-recommends "${packages[@]}" >/dev/null
fi

# The status page is looked at in a headless Chromium, and docs/alerts.yml read by promtool, where they can be had: two
# tests say NOT RUN otherwise. RUNLEVEL=1: the package of promtool shall not start a server here.
if [ "${1:-}" = --views ]; then
  views=()
  command -v chromium >/dev/null 2>&1 || views+=(chromium)
  command -v promtool >/dev/null 2>&1 || views+=(prometheus)
  if [ "${#views[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ]; then
    echo "setup: installing ${views[*]}" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
      apt-get install -qq --yes --no-install-recommends "${views[@]}" >/dev/null; } ||
      echo "setup: ${views[*]} could not be installed; the tests that need them say NOT RUN" >&2
  fi
fi

if ! command -v cargo >/dev/null 2>&1; then
  echo "setup: no cargo; install Rust (https://rustup.rs), the oldest that works is rust-version in Cargo.toml" >&2
  exit 1
fi
if [ ! -c /dev/net/tun ] && [ "$(id -u)" -eq 0 ]; then
  mkdir -p /dev/net && mknod /dev/net/tun c 10 200 || echo "setup: no /dev/net/tun; tunnels and network tests will not run" >&2
fi
