#!/usr/bin/env python3
"""What the committed corpora of the fuzz targets reach: scripts/coverage.py [--all | --pick FOLDER]

Builds the replay of the corpora with the compiler's own coverage counters, plays each input once, and lists the lines of the
parsers that no input reaches. A function that no input enters at all is listed by name: most are writers. `--all` shows
every file of the crate that the corpora enter, not the parsers alone. `--pick FOLDER` adds inputs of FOLDER/TARGET to the
committed corpora: the fewest that reach, in this crate, what those do not (scripts/fuzz.sh --minimise calls it). Needs the toolchain's llvm-tools (rustup component add
llvm-tools). Without --pick, nothing outside target/coverage is written."""

import collections
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "coverage"
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
# Every input once; the other tests of the corpora would reach lines by chance.
TEST = "every_target_takes_a_part_of_its_corpus_and_refuses_a_part"
# LLVM's raw profiles (InstrProfData.inc): magic, version, and sizes of what follows, then identifiers, records, counters.
RAW_VERSION, RAW_HEADER_BYTES, RAW_RECORD_BYTES = 10, 128, 64
# Where foreign bytes are read.
PARSERS = (
    "src/wire/", "src/etsi014/v1/", "src/identity/", "src/config/", "src/kme/order.rs", "src/kme/file.rs",
    "src/kme/api.rs", "src/control/request.rs", "src/control/event.rs", "src/control/audit/chain.rs",
    "src/control/audit/verify.rs", "src/control/time.rs", "src/keys/state_file.rs", "src/keys/ratchet.rs",
    "src/keys/clock.rs", "src/keys/budget.rs", "src/handshake/reassembly.rs", "src/dataplane/frame.rs",
    "src/dataplane/segment.rs", "src/dataplane/bundle.rs", "src/session/fast_rekey.rs", "src/io/keys_link/",
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


def run(binary, corpora=None):
    """Plays each input of these corpora once; of others than the committed ones, whatever the test thinks of them."""
    profile = WORK / "corpus.profraw"
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(profile)}
    if corpora:
        environment["PLAIT_CORPUS"] = str(corpora)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL if corpora else None}
    subprocess.run([binary, "--exact", TEST], cwd=ROOT, env=environment, check=not corpora, **quiet)
    return profile


def reached(profile):
    """The counters that are not zero, by their places: those of one binary always lie alike."""
    raw = profile.read_bytes()
    _, version, ids, records, padding, counters = struct.unpack_from("<6Q", raw)
    if version & 0xFFFF != RAW_VERSION:
        sys.exit(f"coverage.py: this compiler writes raw profiles of version {version & 0xFFFF}, --pick reads {RAW_VERSION}")
    start = RAW_HEADER_BYTES + ids + records * RAW_RECORD_BYTES + padding
    values = struct.unpack_from(f"<{counters}Q", raw, start)
    return {place for place, value in enumerate(values) if value}


def play(binary):
    profile = run(binary)
    merged = WORK / "corpus.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", str(profile), "-o", str(merged)], check=True)
    command = [tool("llvm-cov"), "export", binary, f"--instr-profile={merged}"]
    lcov = subprocess.check_output([*command, "--format=lcov"], text=True)
    functions = json.loads(subprocess.check_output(command, text=True))["data"][0]["functions"]
    return lcov, functions


def pick(binary, folder):
    """Copies from the folder what reaches more, the largest gain first."""
    one = WORK / "one"
    for target in sorted(path for path in folder.iterdir() if path.is_dir()):
        committed = CORPUS / target.name

        def reaches(file):
            shutil.rmtree(one, ignore_errors=True)
            (one / target.name).mkdir(parents=True)
            shutil.copy(file, one / target.name)
            return reached(run(binary, one))

        known = set().union(*map(reaches, sorted(committed.iterdir())))
        found = {file: reaches(file) for file in sorted(target.iterdir())}
        count = 0
        while found:
            best = max(found, key=lambda file: (len(found[file] - known), -file.stat().st_size))
            if found[best] <= known:
                break
            known |= found.pop(best)
            shutil.copy(best, committed / best.name[:16])
            count += 1
        print(f"{target.name}: {count} more of {len(found) + count}")


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
    words = sys.argv[1:]
    if words[:1] == ["--pick"] and len(words) == 2:
        return pick(build(), pathlib.Path(words[1]))
    everything = words == ["--all"]
    if words and not everything:
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
