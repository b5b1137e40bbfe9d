#!/usr/bin/env python3
"""Throughput beside a flood, as root: scripts/flood.py [--plait target/release/plait] [--rate 50000] [--rounds 5] [--seconds 4]

Two sites and a simulated KME pair in network namespaces of their own, and an attacker who reaches site B only. TCP runs from A
to B inside the tunnel while the attacker sends to B's port; the control run is the same flood at a port where nobody listens.
Both take turns, and what is printed is the median of each, their ratio, what came back to the attacker, the memory of B, and
how long a rekey on demand took. The ratio is asked to be 0.80 for junk and 0.70 for what has a good mac1; it is no test, as
the flood's sender needs a processor of the same machine. Ends with code 1 if more came back than was sent.
"""
import argparse
import base64
import hashlib
import hmac
import itertools
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time

import soak

TARGET, CLOSED = ("198.18.0.1", soak.PORT), ("198.18.0.1", soak.PORT + 1)
# Datagrams made beforehand, and datagrams between two looks at the clock.
STOCK, BURST = 4096, 50
COOKIE_PORT = 4444


def mac(key, data):
    return hmac.new(key, data, hashlib.sha384).digest()[:16]


def mac1_key(public):
    """PROTOCOL 2.2, 2.4: whoever has the public file has it."""
    with open(public) as file:
        raw = base64.b64decode("".join(line for line in file.read().splitlines() if not line.startswith("-")))
    fingerprint = hashlib.sha384(b"PLAIT1 fp" + struct.pack(">H", 1) + raw).digest()[:32]
    return hashlib.sha384(b"PLAIT1 mac1" + fingerprint).digest()


def handshake(kind, fragment, sender, message, body, key, cookie=None):
    data = struct.pack(">BBBBIII", kind, 1, fragment, 0, sender, 0, message) + body
    data += mac(key, data)
    return data + (mac(cookie, data) if cookie else bytes(16))


def i0(key, number):
    return handshake(1, 1, number | 1, number, bytes([7]) * 32 + bytes(16), key)


def cookie_of(key, at, sender):
    """As anybody can who receives at this address."""
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((at, COOKIE_PORT))
    own.settimeout(2)
    own.sendto(handshake(1, 1, sender, 1, bytes(48), key), TARGET)
    return own.recv(2048)[48:64]


def whole_i1(key, sender, number, cookie):
    body = struct.pack(">HH", 1, 0) + bytes([7]) * (32 + 1568 + 1568 + 48 + 80)
    parts = [body[at:at + 1184] for at in range(0, len(body), 1184)]
    return [handshake(3, index << 4 | len(parts), sender, number, part, key, cookie) for index, part in enumerate(parts)]


def stock(kind, public, sources):
    """Packets with their IPv4 and UDP headers but for the port they go to: (source, datagram)."""
    key = mac1_key(public)
    address = lambda n: socket.inet_ntoa(struct.pack(">I", 0x0A020000 + n % sources))
    if kind == "junk":
        bad = lambda n: i0(os.urandom(48), n) if n % 2 else bytes([1 + n // 2 % 6, 1, 1, 0]) + os.urandom(92 + n % 1100)
        return [(address(n), bad(n)) for n in range(STOCK)]
    if kind == "i0":
        return [(address(n), i0(key, n)) for n in range(STOCK)]
    cookies = [(address(n), n + 1, cookie_of(key, address(n), n + 1)) for n in range(min(sources, 64))]
    made = ((at, part) for n, (at, sender, cookie) in zip(range(STOCK // 3), itertools.cycle(cookies))
            for part in whole_i1(key, sender, n + 2, cookie))
    return list(made)


def packet(source, to, data):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0x4000, 64, 17, 0)
    ports = struct.pack(">HHHH", COOKIE_PORT, to[1], 8 + len(data), 0)
    return head + socket.inet_aton(source) + socket.inet_aton(to[0]) + ports + data


def flood(kind, public, port, rate, seconds, sources):
    """In the attacker's namespace. Says `ready`, then what it has sent."""
    to = (TARGET[0], port)
    packets = [packet(source, to, data) for source, data in stock(kind, public, sources)]
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    print("ready", flush=True)
    sent, size, turn = 0, 0, itertools.cycle(packets)
    begun = due = time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        for data in itertools.islice(turn, BURST):
            try:
                out.sendto(data, (to[0], 0))
            except OSError:
                pass  # a full queue: part of a flood
            sent, size = sent + 1, size + len(data)
        due = max(due + BURST / rate, now - 0.005)
        time.sleep(max(due - time.monotonic(), 0))
    print(json.dumps({"sent": sent, "bytes": size, "rate": sent / (time.monotonic() - begun)}))


class Lab(soak.Lab):
    """The soak's two sites, and an attacker who owns 10.2.0.0/16 beside B."""

    def __init__(self, plait):
        super().__init__(plait)
        self.names["out"] = f"plait-flood-{os.getpid()}-out"

    def network(self):
        super().network()
        self.link("b", "out", TARGET[0], "198.18.0.2")
        self.ip("out", "route add local 10.2.0.0/16 dev lo")
        self.ip("b", "route add 10.2.0.0/16 via 198.18.0.2")

    def back(self):
        """Bytes of IP packets that B has sent towards the attacker."""
        words = soak.run(*self.inside("out", "cat", "/proc/net/dev"))
        line = next(line for line in words.splitlines() if line.strip().startswith("to-b:")).split(":")[1].split()
        return int(line[0]) - 14 * int(line[1])

    def throughput(self, kind, port, args, sources):
        """Gbit/s of TCP beside one flood, and what the flood was."""
        seconds = args.seconds + 2
        server = self.start("b", "iperf3", "-s", "-1", "-B", soak.INNER["b"])
        back, attacker = self.back(), None
        if kind:
            words = [sys.executable, os.path.abspath(__file__), "--flood", kind, f"{self.dir}/b.pub", port, args.rate, seconds, sources]
            attacker = self.start("out", *words)
            attacker.stdout.readline()
        time.sleep(0.5)
        words = self.inside("a", "iperf3", "-c", soak.INNER["b"], "-t", args.seconds, "-J")
        report = json.loads(soak.run(*words, check=False) or "{}")
        server.wait(10)
        found = {"sent": 0, "bytes": 0, "rate": 0}
        if attacker:
            found = json.loads(attacker.communicate(timeout=seconds + 20)[0])
        rate = report.get("end", {}).get("sum_received", {}).get("bits_per_second", 0)
        return rate / 1e9, {**found, "back": self.back() - back}

    def rekeys(self, kind, args, sources):
        """Under a flood alone: the slowest rekey on demand in seconds, how many, and B's processor time in us for each datagram."""
        words = [sys.executable, os.path.abspath(__file__), "--flood", kind, f"{self.dir}/b.pub", soak.PORT, args.rate, 6, sources]
        attacker = self.start("out", *words)
        attacker.stdout.readline()
        times, end, spent = [], time.monotonic() + 5, self.spent()
        while time.monotonic() < end:
            begun = time.monotonic()
            soak.run(*self.tool("rekey", "b", "--wait"), check=False)
            times.append(time.monotonic() - begun)
            time.sleep(0.2)
        sent = json.loads(attacker.communicate(timeout=30)[0])["sent"]
        return max(times), len(times), (self.spent() - spent) * 1e6 / sent

    def spent(self):
        """Seconds of processor time of B's processes, in the system too (proc_pid_stat(5))."""
        pid, ticks = self.sites["b"].pid, 0
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            family = [str(pid), *file.read().split()]
        for process in family:
            with open(f"/proc/{process}/stat") as file:
                ticks += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def measure(lab, args):
    alone = [lab.throughput(None, 0, args, 1)[0] for _ in range(args.rounds)]
    print(f"without a flood: {statistics.median(alone):.2f} Gbit/s")
    amplifies = False
    for kind, sources in itertools.product(args.kinds, (1, 65000)):
        memory = lab.resident("b")
        found = {TARGET[1]: [], CLOSED[1]: []}
        facts = []
        for _ in range(args.rounds):
            for port, rates in found.items():
                rate, flooded = lab.throughput(kind, port, args, sources)
                rates.append(rate)
                if port == TARGET[1]:
                    facts.append(flooded)
        control, under = (statistics.median(found[port]) for port in (CLOSED[1], TARGET[1]))
        sent, back = sum(fact["bytes"] for fact in facts), sum(fact["back"] for fact in facts)
        amplifies |= back > sent
        worst, count, cost = lab.rekeys(kind, args, sources)
        print(f"{kind} from {sources}: {under:.2f} Gbit/s, at a closed port {control:.2f}, ratio {under / control:.2f}; "
              f"{statistics.median(fact['rate'] for fact in facts):.0f} a second, back / sent {back / max(sent, 1):.3f}; "
              f"memory of B {lab.resident('b') - memory:+} KiB; the slowest of {count} rekeys {worst:.2f} s; {cost:.1f} us of B's processors each", flush=True)
    return amplifies


def main():
    if sys.argv[1:2] == ["--flood"]:
        kind, public, port, rate, seconds, sources = sys.argv[2:]
        return flood(kind, public, int(port), int(rate), float(seconds), int(sources))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plait", default="target/release/plait")
    parser.add_argument("--rate", type=int, default=50000, help="datagrams a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of TCP, each time")
    parser.add_argument("--kinds", nargs="+", choices=("junk", "i0", "i1"), default=("junk", "i0", "i1"))
    args = parser.parse_args()
    lab = Lab(os.path.abspath(args.plait))
    try:
        lab.up()
        return int(measure(lab, args))
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
