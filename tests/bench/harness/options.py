"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    rounds: int
    seconds: int
    peers: tuple[str, ...]
    scenarios: tuple[str, ...]
    is_strict: bool
    is_saved: bool
    command: str


def parse(arguments: Sequence[str], peers: Sequence[str], scenarios: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Compares Moongate with other proxies on the same work."
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every peer in every scenario (3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round (3)")
    parser.add_argument("--only", default=",".join(peers), help="comma-separated peers: %(default)s")
    parser.add_argument("--scenarios", default=",".join(scenarios), help="comma-separated: %(default)s")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--save", action="store_true", help="keep the result as tests/bench/RESULTS.md")
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    chosen_peers = _chosen(parser, "peer", given.only.lower(), peers)
    chosen_scenarios = _chosen(parser, "scenario", given.scenarios.upper(), scenarios)
    command = " ".join(["tests/bench/run", *arguments])
    return Options(given.rounds, given.seconds, chosen_peers, chosen_scenarios, given.strict, given.save, command)


def _chosen(parser: argparse.ArgumentParser, what: str, given: str, known: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        parser.error(f"no such {what}: {', '.join(unknown) or 'none given'}; there are {', '.join(known)}")
    return tuple(name for name in known if name in names)
