#!/usr/bin/env python3
"""A long mixed load over a real tunnel, as root: scripts/soak.py [--minutes 10] [--plait target/release/plait]

Two sites and a simulated KME pair in network namespaces of their own, removed at the end whatever happens. TCP both ways,
numbered datagrams of 64 and 1392 bytes both ways, pings; a rekey every 2 s, another address of site A every 30 s. Prints
what was lost, doubled, overtaken or changed, what both ends dropped by reason, and memory at one minute and at the end.
Ends with code 1 if anything is left unexplained.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROAM_SECONDS, REKEY_SECONDS = 30, 2
# After the old address is gone the other end still sends to it until it hears from the new one; then nothing is owed.
ROAM_GRACE = 1.0
# (name, bytes of payload, a second, port): small ones are bundled, large ones fill the inner MTU.
FLOWS = [("64 B", 64, 4000, 7101), ("1392 B", 1392, 1500, 7102)]
PINGS_A_SECOND = 10
# More memory than this after the first minute is growth: allocators and the statistics of a flow settle before.
GROWTH_KIB = 1024
OUTER = {"a": ("192.0.2.1", "192.0.2.101"), "b": ("192.0.2.2",)}
INNER = {"a": "10.99.0.1", "b": "10.99.0.2"}
KME = {"a": ("198.51.100.1", "198.51.100.2"), "b": ("203.0.113.1", "203.0.113.2")}  # site, KME
PORT = 51900
BUFFER = 64 << 20
SO_RCVBUFFORCE = 33


def run(*words, check=True, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if check and done.returncode:
        raise SystemExit(f"soak: {' '.join(map(str, words))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


# One flow: this same script in a namespace, as `--flow send|receive ...`.

def content(number, length):
    return number.to_bytes(8, "big") + time.monotonic_ns().to_bytes(8, "big") + bytes([number & 255]) * (length - 16)


def send(to, port, length, rate, seconds):
    """Keeps the rate, but makes up for no more than 5 ms: a stall is no burst."""
    length = int(length)
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((to, port))
    number, errors, due, end = 0, 0, time.monotonic(), time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        due = max(due, now - 0.005)
        while due <= now:
            try:
                out.send(content(number, length))
            except OSError:
                errors += 1
            number += 1
            due += 1 / rate
        time.sleep(max(due - time.monotonic(), 0.0005))
    print(json.dumps({"sent": number, "errors": errors}))


def receive(at, port, length, idle):
    """Until nothing comes for a while. A gap is kept with the times at which its neighbours were sent."""
    length = int(length)
    into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    into.bind((at, port))
    into.settimeout(30)
    next_number, last_sent, got, open_gaps, found = 0, time.monotonic_ns(), 0, {}, dict(doubled=0, overtaken=0, changed=0)
    gaps = []
    while True:
        try:
            data = into.recv(65536)
        except TimeoutError:
            break
        into.settimeout(idle)
        number, sent = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big")
        if len(data) != length or data[16:] != bytes([number & 255]) * (length - 16):
            found["changed"] += 1
        elif number >= next_number:
            if number > next_number:
                gaps.append((last_sent / 1e9, sent / 1e9, number - next_number))
                open_gaps.update((missing, True) for missing in range(next_number, min(number, next_number + 10000)))
            next_number, last_sent, got = number + 1, sent, got + 1
        elif open_gaps.pop(number, False):
            found["overtaken"] += 1
            got += 1
        else:
            found["doubled"] += 1
    print(json.dumps({"received": got, "next": next_number, "gaps": gaps, **found}))


BLOCK = bytes(range(256)) * 256


def stream(to, port, rate, seconds):
    """Numbered blocks over TCP, `rate` bits a second."""
    out = socket.create_connection((to, port), timeout=30)
    number, due, end = 0, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() < end:
        out.sendall(number.to_bytes(8, "big") + BLOCK[8:])
        number += 1
        due = max(due + len(BLOCK) * 8 / rate, time.monotonic() - 0.05)
        time.sleep(max(due - time.monotonic(), 0))
    out.close()
    print(json.dumps({"blocks": number, "bits a second": number * len(BLOCK) * 8 / seconds}))


def take(at, port):
    """Compares what comes; a stall of 30 s is an error."""
    listener = socket.create_server((at, port))
    listener.settimeout(30)
    into, _ = listener.accept()
    into.settimeout(30)
    number, held = 0, bytearray()
    while data := into.recv(1 << 18):
        held += data
        while len(held) >= len(BLOCK):
            if held[:8] != number.to_bytes(8, "big") or held[8:len(BLOCK)] != BLOCK[8:]:
                raise SystemExit(f"block {number} was changed")
            del held[:len(BLOCK)]
            number += 1
    print(json.dumps({"blocks": number, "rest": len(held)}))


def flow(words):
    kind, address, port, *rest = words
    {"send": send, "receive": receive, "stream": stream, "take": take}[kind](address, int(port), *map(float, rest))


class Lab:
    """Namespaces, files and children; gone after `close`."""

    def __init__(self, plait):
        self.plait, self.children, self.made = plait, [], []
        self.dir = tempfile.mkdtemp(prefix="plait-soak-")
        self.names = {name: f"plait-soak-{os.getpid()}-{name}" for name in ("a", "b", "kme")}

    def inside(self, name, *words):
        return ["ip", "netns", "exec", self.names[name], *map(str, words)]

    def ip(self, name, words):
        return run("ip", "-n", self.names[name], *words.split())

    def tool(self, *words):
        return [self.plait, "--run-dir", f"{self.dir}/run", "--state-dir", f"{self.dir}/state", *map(str, words)]

    def start(self, name, *words, log=None):
        out = open(f"{self.dir}/{log}", "wb") if log else subprocess.PIPE
        child = subprocess.Popen(self.inside(name, *words), stdout=out, stderr=out if log else None,
                                 stdin=subprocess.DEVNULL, text=not log)
        self.children.append(child)
        return child

    def network(self):
        for name in self.names:
            run("ip", "netns", "add", self.names[name])
            self.made.append(name)
            self.ip(name, "link set lo up")
        self.link("a", "b", OUTER["a"][0], OUTER["b"][0])
        self.link("a", "kme", *KME["a"])
        self.link("b", "kme", *KME["b"])
        # The second address of a link outlives the first.
        run(*self.inside("a", "sysctl", "-qw", "net.ipv4.conf.to-b.promote_secondaries=1"))

    def link(self, one, other, first, second):
        self.ip(one, f"link add to-{other} type veth peer name to-{one} netns {self.names[other]}")
        for name, peer, address in ((one, other, first), (other, one, second)):
            self.ip(name, f"address add {address}/24 dev to-{peer}")
            self.ip(name, f"link set to-{peer} up")

    def files(self):
        os.chmod(self.dir, 0o700)
        os.umask(0o077)
        for name in ("a", "b"):
            run(*self.tool("genkey", "--out", f"{self.dir}/{name}.key"))
            with open(f"{self.dir}/{name}.key") as key, open(f"{self.dir}/{name}.pub", "w") as public:
                public.write(run(*self.tool("pubkey"), stdin=key))
        run(*self.tool("kme", "cert", "--dir", f"{self.dir}/pki", "--kme", f"KME-A={KME['a'][1]}", "--kme",
                       f"KME-B={KME['b'][1]}", "--sae", "SAE-A", "--sae", "SAE-B"))
        pair = 'name = "pair"\n[link]\nmodel = "constant"\nkey_rate = 25600\nblock_bits = 2560\nstock_start = 100\nstock_max = 1000\n'
        for name in ("a", "b"):
            up = name.upper()
            pair += (f'[[kme]]\nid = "KME-{up}"\nlisten = ["{KME[name][1]}:8443"]\ncert_file = "pki/KME-{up}.pem"\n'
                     f'key_file = "pki/KME-{up}.key"\nca_file = "pki/ca.pem"\nsaes = ["SAE-{up}"]\n')
        with open(f"{self.dir}/pair.toml", "w") as file:
            file.write(pair)
        for name, other in (("a", "b"), ("b", "a")):
            up, far = name.upper(), other.upper()
            with open(f"{self.dir}/{name}.toml", "w") as file:
                file.write(
                    f'[interface]\nprivate_key_file = "{name}.key"\nlisten = "0.0.0.0:{PORT}"\naddress = ["{INNER[name]}/24"]\n'
                    f'[policy]\nqkd = "required"\nhold_last = "60s"\nrekey = "{REKEY_SECONDS}s"\n'
                    f'[[qkd]]\nid = 0\npeer = "{other}"\nname = "fibre"\ntype = "etsi014"\nurl = "https://{KME[name][1]}:8443"\n'
                    f'local_sae = "SAE-{up}"\nremote_sae = "SAE-{far}"\nca_file = "pki/ca.pem"\n'
                    f'cert_file = "pki/SAE-{up}.pem"\nkey_file = "pki/SAE-{up}.key"\n'
                    f'[[peer]]\nname = "{other}"\npublic_key_file = "{other}.pub"\nendpoint = "{OUTER[other][0]}:{PORT}"\n'
                    f'allowed_ips = ["{INNER[other]}/32"]\n')

    def up(self):
        self.network()
        self.files()
        self.start("kme", *self.tool("kme", "serve", f"{self.dir}/pair.toml"), log="kme.log")
        time.sleep(1)
        self.sites = {name: self.start(name, *self.tool("up", f"{self.dir}/{name}.toml"), log=f"{name}.log") for name in ("a", "b")}
        end = time.monotonic() + 20
        while not all((self.status(name) or {}).get("state") == "HYBRID" for name in self.sites):
            if time.monotonic() > end:
                raise SystemExit("soak: the tunnel does not come up:\n" + self.log("a")[-3000:])
            time.sleep(0.2)

    def status(self, name):
        try:
            return json.loads(run(*self.tool("status", name, "--json"), check=False))
        except ValueError:
            return None

    def log(self, name):
        with open(f"{self.dir}/{name}.log", errors="replace") as file:
            return re.sub(r"\x1b\[[0-9;]*m", "", file.read())

    def resident(self, name):
        """KiB of the daemon and of the processes that it started."""
        pid = self.sites[name].pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            family = [str(pid), *file.read().split()]
        total = 0
        for process in family:
            with open(f"/proc/{process}/status") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return total

    def counters(self):
        """What kernels drop of it, by place: queues of interfaces, buffers of sockets."""
        found = {}
        for name in ("a", "b"):
            link = json.loads(run(*self.inside(name, "ip", "-j", "-s", "link", "show", "dev", name)))[0]["stats64"]
            found[f"interface of {name}, to the tunnel"] = link["tx"]["dropped"]
            found[f"interface of {name}, from the tunnel"] = link["rx"]["dropped"]
            lines = run(*self.inside(name, "cat", "/proc/net/snmp")).splitlines()
            keys, values = (line.split()[1:] for line in lines if line.startswith("Udp:"))
            for key in ("RcvbufErrors", "SndbufErrors"):
                found[f"UDP {key} at {name}"] = int(dict(zip(keys, values))[key])
        return found

    def roam(self, turn):
        """Site A takes another address and loses the one it had. The time at which that was done."""
        old, new = OUTER["a"][turn % 2], OUTER["a"][(turn + 1) % 2]
        self.ip("a", f"address add {new}/24 dev to-b")
        self.ip("a", f"address del {old}/24 dev to-b")
        return time.monotonic(), time.time()

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
        for name in self.made:
            run("ip", "netns", "del", self.names[name], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Load:
    """Everything that crosses the tunnel at the same time."""

    def __init__(self, lab, seconds, tcp):
        self.flows, me = [], [sys.executable, os.path.abspath(__file__), "--flow"]
        for name, length, rate, port in FLOWS:
            for one, other in (("a", "b"), ("b", "a")):
                into = lab.start(other, *me, "receive", INNER[other], port, length, 5)
                time.sleep(0.3)
                out = lab.start(one, *me, "send", INNER[other], port, length, rate, seconds)
                self.flows.append((f"UDP {name} {one} to {other}", out, into))
        self.streams = []
        for one, other, port in (("a", "b", 7111), ("b", "a", 7112)):
            into = lab.start(other, *me, "take", INNER[other], port)
            time.sleep(0.3)
            out = lab.start(one, *me, "stream", INNER[other], port, tcp * 1e6, seconds)
            self.streams.append((f"TCP {one} to {other}", out, into))
        self.pings = []
        for one, other in (("a", "b"), ("b", "a")):
            # Into a file: a pipe that nobody reads would stop it.
            words = ["ping", "-n", "-D", "-O", "-i", 1 / PINGS_A_SECOND, "-w", round(seconds), INNER[other]]
            self.pings.append((f"ping {one} to {other}", lab.start(one, *words, log=f"ping-{one}.log"), f"ping-{one}"))


def judge_flow(name, out, into, roams, wrong, hidden):
    sent, got = (json.loads(child.communicate(timeout=60)[0]) for child in (out, into))
    owed = [gap for gap in got["gaps"] if not any(gap[0] <= at + ROAM_GRACE and gap[1] >= at - 0.1 for at, _ in roams)]
    lost = sent["sent"] - got["received"]
    tail = sent["sent"] - got["next"]
    unexplained = sum(gap[2] for gap in owed) + tail
    print(f"{name}: {sent['sent']} sent, {lost} lost ({lost - unexplained} within {ROAM_GRACE:.0f} s of a new address), "
          f"{got['doubled']} doubled, {got['overtaken']} overtaken, {got['changed']} changed, {sent['errors']} sends refused")
    for word in ("doubled", "overtaken", "changed"):
        if got[word]:
            wrong.append(f"{name}: {got[word]} {word}")
    if sent["errors"]:
        wrong.append(f"{name}: {sent['errors']} sends refused")
    hidden[name] = (unexplained, owed[:5])


def judge_pings(name, said, seconds, roams, wrong):
    late = [float(at) for at in re.findall(r"\[([0-9.]+)\] no answer yet", said)]
    # "No answer yet" is said when the next one leaves, so it is itself that much late.
    owed = [at for at in late if not any(when - 0.2 <= at <= when + ROAM_GRACE + 0.3 for _, when in roams)]
    summary = [line for line in said.splitlines() if "packet loss" in line or line.startswith("rtt")]
    print(f"{name}: {'; '.join(summary)}; {len(late)} late or lost, {len(owed)} of them with no new address near")
    lost = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if not lost or int(lost[1]) - int(lost[2]) > len(late) - len(owed):
        wrong.append(f"{name}: pings were lost")
    elif int(lost[1]) < seconds * PINGS_A_SECOND * 0.7:
        wrong.append(f"{name}: only {lost[1]} pings were sent")


def judge_ends(lab, roams, seconds, memory, wrong):
    for name in ("a", "b"):
        state = lab.status(name) or {}
        peer = (state.get("peers") or [{}])[0]
        drops = {reason: count for reason, count in peer.get("drops", {}).items() if count}
        refused = {**state.get("refused", {}), **peer.get("refused", {})}
        refused = {reason: count for reason, count in refused.items() if count}
        shakes = peer.get("handshakes", {})
        print(f"{name}: {state.get('state')}, handshakes {shakes.get('full')} full, {shakes.get('fast')} fast, {shakes.get('failed')} failed; "
              f"drops {drops or 'none'}; refused {refused or 'none'}; offload given up {state.get('offload_given_up') or 'none'}; "
              f"resident {memory[name][0]} KiB at {memory['at']:.0f} s, {memory[name][1]} KiB at the end")
        if state.get("state") != "HYBRID":
            wrong.append(f"{name}: {state.get('state')}")
        # A send fails while an address is exchanged. Both sites began at once: one handshake gives way, as it should.
        allowed, expected = ({"send"} if roams else set()), {"own attempt goes first"}
        wrong += [f"{name}: {count} dropped: {reason}" for reason, count in drops.items() if reason not in allowed]
        wrong += [f"{name}: {count} refused: {reason}" for reason, count in refused.items() if reason not in expected]
        if (shakes.get("fast") or 0) + (shakes.get("full") or 0) < seconds / REKEY_SECONDS * 0.7:
            wrong.append(f"{name}: too few rekeys")
        if memory[name][1] > memory[name][0] + GROWTH_KIB:
            wrong.append(f"{name}: memory grows")
        warnings = [line for line in lab.log(name).splitlines() if re.search(r"\b(WARN|ERROR)\b", line)]
        warnings = [line for line in warnings if "refused by the kernel" not in line]
        wrong += [f"{name}: {line[:200]}" for line in warnings[:5]]


def soak(lab, seconds, tcp):
    lab.up()
    before, load, begun = lab.counters(), Load(lab, seconds, tcp), time.monotonic()
    roams, wrong, hidden, memory = [], [], {}, {"at": None}
    while (passed := time.monotonic() - begun) < seconds:
        if passed >= ROAM_SECONDS * (len(roams) + 1) and passed < seconds - 5:
            roams.append(lab.roam(len(roams)))
        if memory["at"] is None and passed >= min(60, seconds / 2):
            memory = {"at": passed, **{name: [lab.resident(name)] for name in ("a", "b")}}
        if any(site.poll() is not None for site in lab.sites.values()):
            raise SystemExit("soak: a site ended:\n" + lab.log("a")[-2000:] + lab.log("b")[-2000:])
        time.sleep(0.5)
    for name in ("a", "b"):
        memory[name].append(lab.resident(name))
    print(f"{seconds} s, {len(roams)} new addresses")
    for name, out, into in load.flows:
        judge_flow(name, out, into, roams, wrong, hidden)
    for name, out, into in load.streams:
        sent, got = (child.communicate(timeout=60)[0] for child in (out, into))
        if not sent or not got or (json.loads(got)["blocks"], json.loads(got)["rest"]) != (json.loads(sent)["blocks"], 0):
            wrong.append(f"{name}: broke off: {sent.strip()} then {got.strip()}")
        else:
            print(f"{name}: {json.loads(sent)['bits a second'] / 1e6:.0f} Mbit/s, every byte as it was sent")
    for name, child, log in load.pings:
        child.wait(60)
        judge_pings(name, lab.log(log), seconds, roams, wrong)
    judge_ends(lab, roams, seconds, memory, wrong)
    # A queue of the kernel that was full lost what the tunnel never saw: said, with the place, and not the tunnel's.
    kernel = {place: count - before[place] for place, count in lab.counters().items() if count > before[place]}
    print(f"dropped by kernels: {kernel or 'none'}")
    for name, (count, gaps) in hidden.items():
        if count > sum(kernel.values()):
            wrong.append(f"{name}: {count} lost, of which kernels dropped {sum(kernel.values())}: {gaps}")
    return wrong


def main():
    if sys.argv[1:2] == ["--flow"]:
        return flow(sys.argv[2:])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    built = os.path.join(os.environ.get("CARGO_TARGET_DIR", f"{root}/target"), "release/plait")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--plait", default=built, help="the binary (default: what cargo build --release made)")
    parser.add_argument("--tcp", type=float, default=200, help="Mbit/s of each TCP stream (default: 200)")
    args = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise SystemExit("soak: needs root and /dev/net/tun")
    for program in ("ip", "ping", args.plait):
        if not shutil.which(program):
            raise SystemExit(f"soak: needs {program}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = Lab(os.path.abspath(args.plait))
    try:
        wrong = soak(lab, args.minutes * 60, args.tcp)
    finally:
        lab.close()
    for line in wrong:
        print(f"UNEXPLAINED {line}")
    print("all explained" if not wrong else f"{len(wrong)} unexplained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
