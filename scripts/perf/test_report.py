"""Tests of report.py on a small run of its own."""
import contextlib
import io
import json
import os
import tempfile
import unittest
import xml.etree.ElementTree as tree

import report


def value(med):
    return {"med": med, "min": med - 0.5, "max": med + 0.5, "n": 3}


def run(underlay, plait):
    summary = {
        "veth": {"tcp1": {"gbps": value(40)}},
        "nulltun:carry": {"tcp1": {"gbps": value(5), "tun_cpu_s_per_gib": value(2)}, "rss": {"rss_a_mib": value(3)}},
        "plait:chacha": {"tcp1": {"gbps": value(plait), "tun_cpu_s_per_gib": value(2.2)}, "rttload": {"p50_us": value(900)}},
        "broken": {},
    }
    return {"args": {"underlay": underlay, "rounds": 3, "time": 2}, "kernel": "6.1", "cpus": 2, "summary": summary}


class Report(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.paths = []
        for underlay, plait in (("on", 4.5), ("off", 3)):
            path = os.path.join(self.dir.name, underlay + ".json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(run(underlay, plait), file)
            self.paths.append(path)

    def table(self, *more):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            report.main([*self.paths, "--table", "-", *more])
        return out.getvalue()

    def test_the_table_has_medians_ranges_and_ratios(self):
        lines = self.table("--label", "plait:chacha=plait", "--ratio", "plait:chacha=nulltun:carry").splitlines()
        self.assertEqual(lines[0], "Underlay on, 3 rounds of 2 s, Linux 6.1, 2 processors:")
        self.assertEqual(lines[2], "| | TCP x1 Gbit/s | RTT under TCP p50 us | CPU s/GiB | RSS MiB |")
        self.assertIn("| plait | 4.50 [4.00..5.00] | 900 | 2.20 [1.70..2.70] | - |", lines)
        self.assertIn("| *plait / nulltun:carry* | 90 % |  | 110 % |  |", lines)
        self.assertIn("| *plait / nulltun:carry* | 60 % |  | 110 % |  |", lines)

    def test_the_line_itself_and_what_did_not_start_are_left_out(self):
        self.assertNotIn("veth", self.table())
        self.assertNotIn("broken", self.table())

    def test_the_plot_is_xml_with_a_bar_a_figure(self):
        path = os.path.join(self.dir.name, "plot.svg")
        report.main([*self.paths, "--svg", path, "--label", "plait:chacha=plait <&>"])
        root = tree.parse(path).getroot()
        space = "{http://www.w3.org/2000/svg}"
        bars = [bar for bar in root.iter(space + "rect") if bar.get("height") != "100%"]
        # Throughput of two programs in two runs, processor time of two, one round trip.
        self.assertEqual(len(bars), 4 + 2 + 1)
        widths = [float(bar.get("width")) for bar in bars]
        self.assertAlmostEqual(widths[2] / widths[0], 4.5 / 5, 3)
        words = [text.text for text in root.iter(space + "text")]
        self.assertIn("plait <&>", words)
        self.assertIn("3.00  underlay off", words)


    def test_round_trips_of_a_run_of_their_own_are_drawn(self):
        plot, alone = (os.path.join(self.dir.name, name) for name in ("plot.svg", "rtt.json"))
        with open(alone, "w", encoding="utf-8") as file:
            json.dump({**run("on", 4), "summary": {"plait:chacha": {"rtt": {"p50_us": value(170)}}}}, file)
        report.main([*self.paths, alone, "--svg", plot])
        with open(plot, encoding="utf-8") as file:
            drawn = file.read()
        self.assertIn("Round trip, idle", drawn)
        self.assertIn(">170<", drawn)
        self.assertEqual(drawn.count("Throughput, one TCP stream"), 1)


if __name__ == "__main__":
    unittest.main()
