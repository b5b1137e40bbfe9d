#!/usr/bin/env python3
"""What netns-bench itself does not measure: losses while keys change, and peak memory. A long mixed load: scripts/soak.py.

    HARNESS=/path/of/netns-bench's/folder scripts/bench/figures.py rekey --seconds 30
    ... figures.py memory

Runs plait's driver of that harness (plait.sh must be in its drivers/, the binary on PEER_BIN), as root. Prints JSON, one
object a line, and ends with code 1 if a figure is not what the project promises.
"""
import argparse
import importlib.machinery
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time

# Promised: peak memory of an end in MiB, and how much throughput a rekey every second may cost.
MEMORY_MIB, REKEY_COST = 32, 0.03


def harness():
    path = os.path.join(os.environ.get("HARNESS", "."), "netns-bench")
    loader = importlib.machinery.SourceFileLoader("netns_bench", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("netns_bench", loader))
    loader.exec_module(module)
    return module


def lab(bench, driver, args, seq):
    settings = argparse.Namespace(time=args.stream, mtu=1500, tun_mtu=1420, underlay=args.underlay, cc="cubic", up_wait=15, keep=False)
    return bench.Lab(driver, settings, seq)


def status(bench, lab, side):
    """`plait status --json` of an end."""
    device = lab.env()["DEV_" + side]
    words = ["plait", "--run-dir", lab.work + "/run", "--state-dir", lab.work + "/state", "status", device, "--json"]
    return json.loads(bench.sh(words, check=False, env=lab.env()).splitlines()[0])


def drops(state):
    """Every counter of dropped packets that is not zero."""
    found = {}
    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "drops" and isinstance(inner, dict):
                    for reason, count in inner.items():
                        if count:
                            found[reason] = found.get(reason, 0) + count
                else:
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
    walk(state)
    return found


def epoch(state):
    return (state["peers"][0].get("epoch") or {}).get("number", 0)


class Children:
    """Programs started beside a tunnel; none outlives the block."""

    def __init__(self):
        self.running = []

    def start(self, words):
        self.running.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return self.running[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.running:
            if child.poll() is None:
                child.kill()
            child.wait()


class Flow:
    """Numbered datagrams of one size at one rate from A to B."""

    def __init__(self, bench, lab, children, port, size, rate, seconds):
        self.size, self.seconds = size, seconds
        tool = bench.ppsgen()
        self.receiver = children.start(bench.ns(lab.b, tool, "recv", str(port), str(seconds + 5)))
        time.sleep(0.2)
        words = bench.ns(lab.a, tool, "send", lab.ip_b, str(port), str(size), str(rate), str(seconds))
        self.sender = children.start(words)

    def result(self):
        sent = json.loads(self.sender.communicate(timeout=self.seconds + 20)[0])["sent"]
        got = json.loads(self.receiver.communicate(timeout=self.seconds + 20)[0])
        # A duplicate would make more arrive than were sent, or stand among the reordered.
        return {"bytes": self.size, "sent": sent, "received": got["received"], "lost": sent - got["received"], "reordered": got["reordered"]}


def rekey(bench, args):
    """20 kpps beside a rekey every second, then one TCP stream with and without such rekeys, in turn."""
    ok = True
    one = lab(bench, "plait:%s,1,,1s" % args.cipher, args, 1)
    try:
        one.up()
        before = epoch(status(bench, one, "A"))
        with Children() as children:
            result = Flow(bench, one, children, 5300, 64, 20000, args.seconds).result()
        result["rekeys"] = epoch(status(bench, one, "A")) - before
        result["drops"] = {side: drops(status(bench, one, side)) for side in "AB"}
        ok &= result["lost"] == 0 and result["reordered"] == 0 and result["rekeys"] >= args.seconds * 0.8
        print(json.dumps({"rekey every second, 20 kpps": result}), flush=True)
    finally:
        one.down()
    speeds = {"plait:%s,1" % args.cipher: [], "plait:%s,1,,1s" % args.cipher: []}
    for turn in range(args.rounds):
        for seq, driver in enumerate(sorted(speeds, reverse=turn % 2 == 1)):
            one = lab(bench, driver, args, 2 + 2 * turn + seq)
            try:
                one.up()
                speeds[driver].append(round(one.tcp()["gbps"], 3))
            finally:
                one.down()
    (_, plain), (_, often) = sorted(speeds.items())
    cost = 1 - statistics.median(often) / statistics.median(plain)
    print(json.dumps({"TCP x1 without and with a rekey every second": speeds, "cost": round(cost, 4)}))
    return ok and cost <= REKEY_COST


def memory(bench, args):
    """Peak memory of both ends after floods of small packets and of super-packets."""
    one = lab(bench, "plait:%s,1" % args.cipher, args, 1)
    try:
        one.up()
        start = one.rss()
        one.pps(64)
        one.pps(1392)
        one.tcp()
        one.tcp("-P", "4")
        one.tcp("--bidir")
        end = one.rss()
        print(json.dumps({"peak MiB at the start": start, "after the floods": end}))
        return max(end.values()) <= MEMORY_MIB
    finally:
        one.down()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rekey", "memory"])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--stream", type=int, default=3, help="seconds of a TCP stream")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cipher", default="chacha")
    parser.add_argument("--underlay", default="on")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return 0 if {"rekey": rekey, "memory": memory}[args.what](harness(), args) else 1


if __name__ == "__main__":
    sys.exit(main())
