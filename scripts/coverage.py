#!/usr/bin/env python3
"""What the committed corpora of the fuzz targets reach: scripts/coverage.py [--all]

Builds the replay of the corpora with the compiler's own coverage counters, plays each input once, and lists the lines of the
parsers that no input reaches. A function that no input enters at all is listed by name: most are writers. `--all` shows
every file of the crate that the corpora enter, not the parsers alone. Needs the toolchain's llvm-tools (rustup component add
llvm-tools). Nothing outside target/coverage is written."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "coverage"
# Every input once; the other tests of the corpora would reach lines by chance.
TEST = "every_target_takes_a_part_of_its_corpus_and_refuses_a_part"
# Where foreign bytes are read.
PARSERS = (
    "src/wire/", "src/etsi014/v1/", "src/identity/", "src/config/", "src/kme/order.rs", "src/kme/file.rs",
    "src/kme/api.rs", "src/control/request.rs", "src/control/event.rs", "src/control/audit/chain.rs",
    "src/control/audit/verify.rs", "src/control/time.rs", "src/keys/state_file.rs", "src/keys/ratchet.rs",
    "src/keys/clock.rs", "src/keys/budget.rs", "src/handshake/reassembly.rs", "src/dataplane/frame.rs",
    "src/dataplane/segment.rs", "src/dataplane/bundle.rs", "src/session/fast_rekey.rs",
)


def tool(name):
    sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    found = list(pathlib.Path(sysroot).glob(f"lib/rustlib/*/bin/{name}"))
    if not found:
        sys.exit(f"coverage.py: no {name} in this toolchain: rustup component add llvm-tools")
    return str(found[0])


def build():
    """The replay with counters in this crate alone: a wrapper adds the flag, so that the dependencies stay as they are."""
    WORK.mkdir(parents=True, exist_ok=True)
    wrapper = WORK / "rustc"
    wrapper.write_text('#!/bin/sh\nexec "$@" -C instrument-coverage\n')
    wrapper.chmod(0o755)
    command = ["cargo", "test", "--locked", "--features", "tun-tap,kem-pqcrypto", "--test", "corpus", "--no-run",
               "--message-format=json", "--target-dir", str(WORK / "build")]
    environment = {**os.environ, "RUSTC_WORKSPACE_WRAPPER": str(wrapper)}
    out = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    messages = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "corpus")


def play(binary):
    profile = WORK / "corpus.profraw"
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(profile)}
    subprocess.run([binary, "--exact", TEST], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    merged = WORK / "corpus.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", str(profile), "-o", str(merged)], check=True)
    command = [tool("llvm-cov"), "export", binary, f"--instr-profile={merged}"]
    lcov = subprocess.check_output([*command, "--format=lcov"], text=True)
    functions = json.loads(subprocess.check_output(command, text=True))["data"][0]["functions"]
    return lcov, functions


def lines_of(lcov):
    """Runs of each line of each file of this crate."""
    runs, file = collections.defaultdict(dict), None
    for entry in lcov.splitlines():
        if entry.startswith("SF:"):
            path = pathlib.Path(entry[3:])
            file = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else None
        elif entry.startswith("DA:") and file:
            line, count = map(int, entry[3:].split(",")[:2])
            runs[file][line] = max(count, runs[file].get(line, 0))
    return runs


def spans_of(functions):
    """First and last line of each function, and whether any of its instances was entered."""
    spans = collections.defaultdict(bool)
    for function in functions:
        path = pathlib.Path(function["filenames"][0])
        if path.is_relative_to(ROOT):
            own = [region for region in function["regions"] if region[5] == 0]
            first, last = min(region[0] for region in own), max(region[2] for region in own)
            spans[str(path.relative_to(ROOT)), first, last] |= function["count"] > 0
    return spans


def ranges(lines):
    parts, start, before = [], None, None
    for line in [*sorted(lines), None]:
        if start is None:
            start = line
        elif line is None or line != before + 1:
            parts.append(str(start) if start == before else f"{start}-{before}")
            start = line
        before = line
    return ", ".join(parts)


def name_at(file, line):
    text = (ROOT / file).read_text().splitlines()
    found = re.search(r"fn (\w+)", text[line - 1])
    return found.group(1) if found else f"line {line}"


def main():
    everything = sys.argv[1:] == ["--all"]
    if sys.argv[1:] not in ([], ["--all"]):
        sys.exit(__doc__)
    lcov, functions = play(build())
    runs, spans = lines_of(lcov), spans_of(functions)
    reached_all = total_all = 0
    for file in sorted(runs):
        if not file.startswith("src/") or not (everything or file.startswith(PARSERS)):
            continue
        here = [(first, last, entered) for (name, first, last), entered in spans.items() if name == file]
        entered = {line for first, last, is_entered in here if is_entered for line in range(first, last + 1)}
        # A closure that was never called lies within a function that was.
        names = {name_at(file, first) for first, _, is_entered in here if not is_entered and first not in entered}
        lines = {line: count for line, count in runs[file].items() if line in entered}
        if not lines:
            continue
        missed = [line for line, count in lines.items() if count == 0]
        reached_all, total_all = reached_all + len(lines) - len(missed), total_all + len(lines)
        print(f"{file}  {100 * (1 - len(missed) / len(lines)):.1f} % of {len(lines)} lines")
        if missed:
            print(f"    not reached: {ranges(missed)}")
        if names:
            print(f"    not entered: {', '.join(sorted(names))}")
    print(f"in all {100 * reached_all / total_all:.2f} % of {total_all} lines, {total_all - reached_all} not reached")


main()
