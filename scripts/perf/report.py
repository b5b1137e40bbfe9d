#!/usr/bin/env python3
"""Turns the JSON of netns-bench into a plot and a table; Python's standard library only.

    report.py on.json [gro.json off.json ...] --svg docs/performance.svg --table table.md
              --label 'plait:chacha,1=plait, ChaCha20' --ratio 'plait:chacha,1=nulltun:carry,chacha,1'

Throughput is drawn for each file that has it, processor time and round trips for the first that has them. Programs stand in the
order of the run.
"""
import argparse
import json
import sys
from xml.sax.saxutils import escape

# Test, figure, scale, format, heading of the table's column.
COLUMNS = [
    ("tcp1", "gbps", 1, "%.2f", "TCP x1 Gbit/s"),
    ("tcp4", "gbps", 1, "%.2f", "TCP x4 Gbit/s"),
    ("bidir", "gbps", 1, "%.2f", "TCP both ways Gbit/s"),
    ("ndr64", "pps", 1e-3, "%.0f", "64 B UDP kpps"),
    ("ndr1400", "gbps", 1, "%.2f", "1392 B UDP Gbit/s"),
    ("rtt", "p50_us", 1, "%.0f", "RTT idle p50 us"),
    ("rtt", "p99_us", 1, "%.0f", "RTT idle p99 us"),
    ("rttload", "p50_us", 1, "%.0f", "RTT under TCP p50 us"),
    ("tcp1", "tun_cpu_s_per_gib", 1, "%.2f", "CPU s/GiB"),
    ("rss", "rss_a_mib", 1, "%.0f", "RSS MiB"),
]
# Columns whose ratio to another program says something; for the others less is better or the sum is not a rate.
RATIOS = {"tcp1 gbps", "tcp4 gbps", "bidir gbps", "ndr64 pps", "ndr1400 gbps", "tcp1 tun_cpu_s_per_gib"}

SHADES = ["#1b6ca8", "#5b9bc8", "#a6c8e0", "#d0e2ef"]
OTHERS = ["#6b6b6b", "#9a9a9a", "#c2c2c2", "#dedede"]
INK, FAINT = "#222222", "#cccccc"
LABEL_WIDTH, BAR_WIDTH, VALUE_WIDTH, BAR, GAP, HEAD = 190, 420, 90, 13, 8, 46


def figure(run, driver, test, key, part="med"):
    """A figure of a run, None if it was not measured."""
    value = run["summary"].get(driver, {}).get(test, {}).get(key)
    return value[part] if isinstance(value, dict) else None


def drivers(runs):
    """Every program of all runs that has a figure, the line itself left out, in order."""
    names = []
    for run in runs:
        for name in run["summary"]:
            if name not in names and not name.startswith("veth") and run["summary"][name]:
                names.append(name)
    return names


def cell(run, driver, test, key, scale, form):
    value = figure(run, driver, test, key)
    if value is None:
        return "-"
    text = form % (value * scale)
    low, high = figure(run, driver, test, key, "min") * scale, figure(run, driver, test, key, "max") * scale
    return text if form % low == form % high else "%s [%s..%s]" % (text, form % low, form % high)


def table(run, names, labels, ratios):
    """A table in Markdown: medians with [least..most], then the ratios."""
    used = [c for c in COLUMNS if any(figure(run, n, c[0], c[1]) is not None for n in names)]
    args = run["args"]
    lines = ["Underlay %s, %d rounds of %d s, Linux %s, %d processors:" % (
        args["underlay"], args["rounds"], args["time"], run["kernel"], run["cpus"]), ""]
    lines.append("| | " + " | ".join(c[4] for c in used) + " |")
    lines.append("|---|" + "---:|" * len(used))
    for name in names:
        lines.append("| %s | %s |" % (labels.get(name, name), " | ".join(cell(run, name, *c[:4]) for c in used)))
    for ours, theirs in ratios:
        cells = []
        for test, key, _, _, _ in used:
            a, b = figure(run, ours, test, key), figure(run, theirs, test, key)
            cells.append("%.0f %%" % (100 * a / b) if a is not None and b and "%s %s" % (test, key) in RATIOS else "")
        if any(cells):
            lines.append("| *%s / %s* | %s |" % (labels.get(ours, ours), labels.get(theirs, theirs), " | ".join(cells)))
    return "\n".join(lines) + "\n"


def text(x, y, words, size=12, anchor="start", colour=INK, weight="normal"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>' % (
        x, y, size, anchor, colour, weight, escape(words))


def panel(top, title, names, labels, series, form, note):
    """Horizontal bars: a group a program, a bar a series. Gives the elements and where the next panel begins."""
    out = [text(0, top + 16, title, 15, weight="bold"), text(0, top + 33, note, 11, colour="#555555")]
    most = max((v for _, values in series for v in values.values() if v is not None), default=0) or 1
    y = top + HEAD
    for name in names:
        bars = [(at, values.get(name)) for at, (_, values) in enumerate(series)]
        bars = [(at, value) for at, value in bars if value is not None]
        if not bars:
            continue
        out.append(text(LABEL_WIDTH - 8, y + len(bars) * BAR / 2 + 4, labels.get(name, name), anchor="end"))
        for at, value in bars:
            shades = SHADES if name.startswith("plait") else OTHERS
            width = BAR_WIDTH * value / most
            out.append('<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (
                LABEL_WIDTH, y, width, BAR - 2, shades[at % len(shades)]))
            legend = "  " + series[at][0] if len(series) > 1 else ""
            out.append(text(LABEL_WIDTH + width + 5, y + BAR - 4, form % value + legend, 10))
            y += BAR
        y += GAP
    out.append('<line x1="%d" y1="%d" x2="%d" y2="%.1f" stroke="%s"/>' % (
        LABEL_WIDTH, top + HEAD - 4, LABEL_WIDTH, y - GAP + 2, FAINT))
    return out, y + 14


def svg(runs, names, labels):
    """The plot."""
    def values(run, test, key):
        return {name: figure(run, name, test, key) for name in names}
    def has(run, test, key):
        return any(value is not None for value in values(run, test, key).values())
    def first(test, key):
        return values(next((run for run in runs if has(run, test, key)), runs[0]), test, key)
    streams = [run for run in runs if has(run, "tcp1", "gbps")]
    parts, top = [], 0
    for title, series, form, note in [
        ("Throughput, one TCP stream", [("underlay " + r["args"]["underlay"], values(r, "tcp1", "gbps")) for r in streams],
         "%.2f", "Gbit/s received; longer is better"),
        ("Processor time", [("", first("tcp1", "tun_cpu_s_per_gib"))], "%.2f",
         "seconds for each GiB carried, both tunnel processes; shorter is better"),
        ("Round trip under one TCP stream", [("", first("rttload", "p50_us"))], "%.0f",
         "microseconds, median; shorter is better"),
        ("Round trip, idle", [("", first("rtt", "p50_us"))], "%.0f", "microseconds, median; shorter is better"),
    ]:
        if any(v is not None for _, vs in series for v in vs.values()):
            out, top = panel(top, title, names, labels, series, form, note)
            parts += out
    width, height = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH + 40, top
    head = ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 -12 %d %d" width="%d" '
            'font-family="sans-serif" role="img" aria-label="plait beside other tunnel programs">' % (width, height + 12, width))
    return "\n".join([head, '<rect x="-16" y="-12" width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def pairs(texts):
    return [tuple(text.split("=", 1)) for text in texts]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="JSON files that netns-bench -o wrote")
    parser.add_argument("--svg", help="write the plot here")
    parser.add_argument("--table", help="write the tables here; - is standard output")
    parser.add_argument("--label", action="append", default=[], metavar="DRIVER=TEXT", help="what a program is called")
    parser.add_argument("--ratio", action="append", default=[], metavar="DRIVER=DRIVER", help="a line with the first in percent of the second")
    args = parser.parse_args(arguments)
    runs = []
    for path in args.runs:
        with open(path, encoding="utf-8") as file:
            runs.append(json.load(file))
    names, labels = drivers(runs), dict(pairs(args.label))
    if args.svg:
        with open(args.svg, "w", encoding="utf-8") as file:
            file.write(svg(runs, names, labels))
    tables = "\n".join(table(run, drivers([run]), labels, pairs(args.ratio)) for run in runs)
    if args.table == "-":
        sys.stdout.write(tables)
    elif args.table:
        with open(args.table, "w", encoding="utf-8") as file:
            file.write(tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
