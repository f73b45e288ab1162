"""Tests of the harness itself, without anything that is measured: `python3 -B tests/bench/tests.py`."""

import unittest
import xml.etree.ElementTree as xml

import gate
from harness import chart, content, report
from harness.check import Different, verify_seen
from harness.compare import Comparison, medians
from harness.model import Figures, Request, Seen
from peers import PEERS
from scenarios import SCENARIOS
from soaking.watch import trend


def figures(cpu: float, rss: float = 20) -> Figures:
    return Figures(cpu=cpu, rps=1000, p50=1, p99=2, p999=3, rss=rss)


class Gate(unittest.TestCase):
    def test_more_than_the_tolerance_fails_and_less_asks_for_a_new_baseline(self) -> None:
        baseline = {"same": 1000, "more": 1000, "less": 1000, "gone": 1000}
        _, excess, stale = gate.compare({"same": 1049, "more": 1051, "less": 900, "new": 5}, baseline)
        self.assertEqual([text.split()[0] for text in excess], ["more"])
        self.assertEqual(sorted(text.split()[0] for text in stale), ["gone", "less", "new"])


class Reports(unittest.TestCase):
    def comparison(self, ours: float) -> Comparison:
        return Comparison(SCENARIOS["S1"], {"moongate": figures(ours), "nginx": figures(1.0)}, {"envoy": "absent"}, ())

    def test_a_target_is_met_or_missed_by_the_ratio(self) -> None:
        self.assertEqual(report.of_comparison(self.comparison(1.25)).missed, ())
        self.assertEqual(len(report.of_comparison(self.comparison(1.26)).missed), 1)

    def test_tables_have_a_row_for_each_peer_and_a_note_for_the_missing(self) -> None:
        text = report.markdown(report.of_comparison(self.comparison(1.2)))
        self.assertIn("| nginx | 1.000 |", text)
        self.assertIn("- envoy: absent", text)

    def test_the_chart_is_xml_with_a_bar_for_each_figure(self) -> None:
        root = xml.fromstring(chart.svg([self.comparison(1.2)], "a < b"))
        bars = root.findall("{http://www.w3.org/2000/svg}rect/{http://www.w3.org/2000/svg}title")
        self.assertEqual([bar.text for bar in bars], ["nginx: 1.000 s", "moongate: 1.200 s"])

    def test_medians_are_taken_column_by_column(self) -> None:
        self.assertEqual(medians([figures(3, 1), figures(1, 2), figures(2, 9)]), figures(2, 2))


class Checks(unittest.TestCase):
    def test_what_the_upstream_saw_must_be_what_was_wanted(self) -> None:
        seen: dict[str, object] = {"method": "GET", "path": "/a", "headers": {"x": "1"}, "body": '{"b": 2}'}
        verify_seen(Seen("/a", headers={"x": "1"}, json={"b": 2}), seen)
        for wanted in (Seen("/b"), Seen("/a", "POST"), Seen("/a", headers={"x": "2"}), Seen("/a", json={"b": 3})):
            with self.assertRaises(Different):
                verify_seen(wanted, seen)

    def test_fields_are_changed_and_removed_by_name(self) -> None:
        request = Request("/", headers={"x-token": "a", "accept": "b"}).with_headers(x_token=None, x_new="c")
        self.assertEqual(request.headers, {"accept": "b", "x-new": "c"})

    def test_scenarios_and_peers_go_by_their_names(self) -> None:
        for scenario in SCENARIOS.values():
            self.assertTrue(scenario.request.path.endswith(f"/{scenario.name.lower()}"), scenario.name)
            self.assertLessEqual(set(scenario.targets), set(PEERS))
        self.assertEqual((len(content.answer()), len(content.order())), (1024, 1024))


class Watching(unittest.TestCase):
    def test_a_line_is_fitted_behind_the_warm_up(self) -> None:
        steady = [(float(at), 50.0 if at >= 25 else 10.0) for at in range(100)]
        self.assertAlmostEqual(trend(steady).growth, 0)
        rising = [(float(at), 10 + at / 10) for at in range(100)]
        self.assertAlmostEqual(trend(rising).growth, 7.4)


if __name__ == "__main__":
    unittest.main()
