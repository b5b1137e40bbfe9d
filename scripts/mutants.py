#!/usr/bin/env python3
"""The two halves of scripts/mutants.sh that are no shell: which mutants a compiler's errors mean, and the run of each mutant.

mutants.py faults TREE LEFT_OUT < errors     adds to LEFT_OUT the mutants that do not compile; ends with 1 if there were none
mutants.py run WORK [--module M] [--sample N] [--seed S] [--again STAGE]     runs them, writes WORK/outcomes.json and prints the score
"""
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import threading

MARK = re.compile(r"/\*([MmWw])(\d+)\*/")
# A mutant that loops ends here: the processor time of its tests without a mutant, times this, and some seconds more.
SLOWER, SECONDS_MORE = 5, 5
# A mutant that collects without end ends here.
MEMORY_BYTES = 2 << 30
# Tests that take most of their binary's time, and look at hours and at thousands of courses: left out, which can only make the score worse.
LONG = {
    "property": ["engine::", "ratchet::no_state_of_three", "ratchet::the_search"],
    "pair": ["patterns::", "budget::", "kme_faults::every_mood", "overrides::one_end_alone", "life::either_end_killed", "policy::a_full_outage",
             "traffic::packets_that_waited"],
}
# Which of tests/property look at a module: they come second.
PROPERTY = {
    "dataplane": ["segments::", "supers::", "path::", "records::", "routes::"],
    "etsi014": ["etsi014::"],
    "handshake": ["handshake::"],
    "keys": ["keys::", "ratchet::"],
    "schedule": ["handshake::", "fast_rekey::"],
    "session": ["replay::", "fast_rekey::", "handshake::"],
    "wire": ["wire::", "path::", "segments::", "supers::", "records::"],
}


def marks(path):
    """Each mutant and each choice of a woven file, with its first and last line."""
    found, open_at = [], {}
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for kind, mutant in MARK.findall(line):
            if kind in "MW":
                open_at[kind, mutant] = number
            else:
                found.append((kind.upper(), int(mutant), open_at[kind.upper(), mutant], number))
    return found


def choice_mutants(path, first):
    """All mutants of the choice whose first one is `first`."""
    text = path.read_text()
    inner = text.split(f"/*W{first}*/", 1)[1].split(f"/*w{first}*/", 1)[0]
    head = inner.split("_ =>", 1)[0]
    return {int(n) for k, n in MARK.findall(head) if k == "M"} | {first}


def faults(tree, left_out):
    """Reads cargo's messages; an error within a mutant is that mutant's, an error within a choice is the choice's."""
    tree, new, lost = pathlib.Path(tree), {}, []
    for line in sys.stdin:
        message = json.loads(line) if line.startswith("{") else {}
        message = message.get("message") or {}
        if message.get("level") != "error" or not message.get("spans"):
            continue
        hit = None
        for span in sorted(message["spans"], key=lambda span: not span["is_primary"]):
            path = tree / span["file_name"]
            if not path.is_file():
                continue
            all_marks = marks(path)
            for kind in "MW":
                within = [m for m in all_marks if m[0] == kind and m[2] <= span["line_start"] <= m[3]]
                if within and hit is None:
                    hit = kind, min(within, key=lambda m: m[3] - m[2])[1], path
            if hit:
                break
        if not hit:
            lost.append(message.get("rendered", ""))
        elif hit[0] == "M":
            new[hit[1]] = "unviable"
        else:
            for mutant in choice_mutants(hit[2], hit[1]):
                new.setdefault(mutant, "not woven")
    with open(left_out, "a") as out:
        for mutant, why in new.items():
            out.write(f"{mutant} {why}\n")
    print(f"{len(new)} left out, {len(lost)} errors without a mutant", file=sys.stderr)
    for text in lost[:3]:
        print(text, file=sys.stderr)
    sys.exit(0 if new else 1)


def once(command, mutant, cpu_seconds, folder):
    """One run; the outcome and the processor seconds it took."""

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    environment = dict(os.environ, PLAIT_MUTANT=str(mutant), PROPTEST_CASES="32", RUSTC_BOOTSTRAP="1", CARGO_MANIFEST_DIR=str(folder), RUST_BACKTRACE="0")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=environment, preexec_fn=limits, cwd=folder, start_new_session=True)
    # A mutant that waits for ever uses no processor time: the wall's clock ends it, late, because the machine may be busy.
    timer = threading.Timer(cpu_seconds * 10 + 30, child.kill)
    timer.start()
    _, status, usage = os.wait4(child.pid, 0)
    timer.cancel()
    child.returncode = status
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    # SIGKILL and SIGXCPU are the limits above.
    outcome = "passed" if status == 0 else "timeout" if signal in (9, 24) else "caught"
    return outcome, usage.ru_utime + usage.ru_stime


def run(work, module, sample, seed, again):
    work = pathlib.Path(work)
    tree, listed = work / "tree", json.loads((work / "list.json").read_text())
    left_out = {}
    for line in (work / "left_out").read_text().splitlines():
        number, why = line.split(" ", 1)
        left_out[int(number)] = why
    binaries = json.loads((work / "binaries.json").read_text())
    chosen = [n for n, m in enumerate(listed) if not module or m["file"].startswith(f"src/{module}")]
    if sample and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))

    def filters(stage, number):
        """The names of the tests of a stage that are run for a mutant."""
        parts = pathlib.Path(listed[number]["file"]).with_suffix("").parts
        if stage == "near":
            return ["::".join(parts[1:3] if parts[1] == "io" else parts[1:2]) + "::"]
        return PROPERTY.get(parts[1], []) if stage == "near property" else []

    outcomes = {n: {"name": listed[n]["name"], "outcome": left_out[n], "by": ""} for n in chosen if n in left_out}
    left = [n for n in chosen if n not in left_out]
    if again:
        before = {int(n): row for n, row in json.loads((work / "outcomes.json").read_text()).items()}
        outcomes |= {n: row for n, row in before.items() if row["outcome"] != "missed"}
        left = [n for n in left if n not in outcomes]
    # Each kind of test with all mutants that are left, the quick ones first.
    stages = ["near", "near property", *binaries] if "property" in binaries else ["near", *binaries]
    for stage in stages[stages.index(again) if again else 0:]:
        binary = {"near": "lib", "near property": "property"}.get(stage, stage)
        command = [binaries[binary], "--test-threads", "1", "-q", "-Z", "unstable-options", "--fail-fast"]
        command += [word for test in LONG.get(binary, []) for word in ("--skip", test)]
        jobs = [(n, command + filters(stage, n)) for n in left]
        base = {}
        for _, job in jobs:
            if tuple(job) not in base:
                outcome, base[tuple(job)] = once(job, "none", 600, tree)
                if outcome != "passed":
                    sys.exit(f"{' '.join(job)} does not pass without a mutant")
        print(f"{stage}: {len(jobs)} mutants; without one {sum(base.values()):.1f} s", file=sys.stderr, flush=True)
        def note(number, outcome, stage=stage):
            if outcome != "passed":
                outcomes[number] = {"name": listed[number]["name"], "outcome": outcome, "by": stage}
                missed = {n: {"name": listed[n]["name"], "outcome": "missed", "by": ""} for n in left if n not in outcomes}
                (work / "outcomes.json").write_text(json.dumps(outcomes | missed, indent=0))

        all_of(jobs, base, tree, note)
        left = [n for n in left if n not in outcomes]
    survivors = {n: {"name": listed[n]["name"], "outcome": "missed", "by": ""} for n in left}
    (work / "outcomes.json").write_text(json.dumps(outcomes | survivors, indent=0))
    outcomes |= survivors
    for number in left:
        print(f"MISSED {number} {listed[number]['name']}")
    report(listed, outcomes)


def all_of(jobs, base, tree, note):
    """Runs some commands, as many at the same time as the machine has cores; `note` takes each outcome."""
    queue, lock = list(reversed(jobs)), threading.Lock()

    def worker():
        while True:
            with lock:
                if not queue:
                    return
                number, command = queue.pop()
            outcome, _ = once(command, number, int(base[tuple(command)] * SLOWER) + SECONDS_MORE, tree)
            with lock:
                note(number, outcome)

    workers = [threading.Thread(target=worker) for _ in range(int(os.environ.get("PLAIT_MUTANT_JOBS", os.cpu_count())))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()


def report(listed, outcomes):
    """The table: a timeout counts as caught; what does not compile, or cannot be woven, counts as nothing."""
    kinds = ["caught", "timeout", "missed", "unviable", "not woven"]
    table = {}
    for number, row in outcomes.items():
        parts = listed[int(number)]["file"].split("/")
        name = "/".join(parts[1:3]).removesuffix(".rs") if parts[1] == "io" else parts[1]
        for name in (name, "all"):
            counts = table.setdefault(name, dict.fromkeys(kinds, 0))
            counts[row["outcome"]] += 1
    print(f"{'module':<16}{'mutants':>8}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'score':>8}")
    for name, counts in sorted(table.items(), key=lambda item: (item[0] == "all", item[0])):
        found = counts["caught"] + counts["timeout"]
        score = 100 * found / max(1, found + counts["missed"])
        print(f"{name:<16}{sum(counts.values()):>8}" + "".join(f"{counts[kind]:>10}" for kind in kinds) + f"{score:>7.1f}%")


def main():
    verb, *rest = sys.argv[1:]
    if verb == "faults":
        return faults(*rest)
    work, options = rest[0], dict(zip(rest[1::2], rest[2::2]))
    run(work, options.get("--module"), int(options.get("--sample", 0)), int(options.get("--seed", 1)), options.get("--again"))


main()
