"""One scenario, all peers: set up, checked, measured in alternating rounds."""

import statistics
import sys
from dataclasses import dataclass, fields

from harness import content
from harness.backends import BUCKET_SHA1, RecordingUpstream, Redis, fast_upstream
from harness.check import Different, verify
from harness.load import Load, LoadFailure
from harness.machine import Cores
from harness.model import Figures, Scenario
from harness.options import Options
from harness.peer import NotOffered, Peer, Stand
from harness.places import TARGET, Values, free_port
from harness.processes import Process, StartFailure

WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Comparison:
    """A scenario's medians by peer, and why the others are missing."""

    scenario: Scenario
    figures: dict[str, Figures]
    missing: dict[str, str]
    # Peers that should have done the work and did not.
    failed: tuple[str, ...]


class Runner:
    """Sets a scenario up, takes it, and clears away."""

    def __init__(self, options: Options, cores: Cores):
        self._options = options
        self._cores = cores

    def compare(self, scenario: Scenario, peers: dict[str, Peer]) -> Comparison:
        processes: list[Process] = []
        try:
            return self._compare(scenario, peers, processes)
        finally:
            for process in reversed(processes):
                process.end()

    def _compare(self, scenario: Scenario, peers: dict[str, Peer], processes: list[Process]) -> Comparison:
        values = self._values()
        if scenario.needs_redis:
            processes.append(Redis(int(str(values["REDIS_PORT"])), self._cores.others).process)
        upstream_port = int(str(values["UPSTREAM_PORT"]))
        recorder = RecordingUpstream(upstream_port, self._cores.others)
        processes.append(recorder.process)
        ready: dict[str, tuple[Process, int]] = {}
        missing: dict[str, str] = {}
        failed: list[str] = []
        for name, peer in peers.items():
            directory = TARGET / scenario.name.lower() / name
            directory.mkdir(parents=True)
            stand = Stand(scenario, directory, free_port(), self._cores.proxy, values)
            try:
                process = peer.start(stand)
                processes.append(process)
                verify(scenario, stand.port, recorder)
                ready[name] = (process, stand.port)
            except NotOffered as reason:
                missing[name] = f"not offered: {reason}"
            except (StartFailure, Different) as reason:
                missing[name] = f"not compared: {reason}"
                failed.append(name)
            if name in missing:
                note(f"{scenario.name} {name}: {missing[name]}")
        # The measured upstream takes the recorder's port; what peers keep open to it is closed with it.
        recorder.process.end()
        processes.append(fast_upstream(upstream_port, self._cores.others))
        rounds = self._measure(scenario, ready, missing, failed)
        figures = {name: medians(rounds[name]) for name in peers if name in rounds and name not in missing}
        return Comparison(scenario, figures, missing, tuple(failed))

    def _measure(
        self, scenario: Scenario, ready: dict[str, tuple[Process, int]], missing: dict[str, str], failed: list[str]
    ) -> dict[str, list[Figures]]:
        loads = {name: Load(scenario.request, port, scenario.is_tls) for name, (_, port) in ready.items()}
        for load in loads.values():
            load.run(WARM_UP_SECONDS, self._cores.others)
        rounds: dict[str, list[Figures]] = {}
        for number in range(self._options.rounds):
            # Every other round goes backwards, so that nobody always comes first.
            for name in list(ready)[:: 1 if number % 2 == 0 else -1]:
                if name in missing:
                    continue
                try:
                    figures = loads[name].measure(ready[name][0], self._options.seconds, self._cores.others)
                except LoadFailure as reason:
                    missing[name] = f"not compared: {reason}"
                    failed.append(name)
                    note(f"{scenario.name} {name}: {missing[name]}")
                    continue
                rounds.setdefault(name, []).append(figures)
                note(
                    f"{scenario.name} round {number + 1} {name}: {figures.cpu:.3f} CPU s/100k, {figures.rps:,.0f} requests/s"
                )
        return rounds

    @staticmethod
    def _values() -> Values:
        certificate, key = content.certificate(TARGET / "tls")
        return {
            "UPSTREAM_PORT": free_port(),
            "REDIS_PORT": free_port(),
            "CERTIFICATE": certificate,
            "KEY": key,
            "LIMITED_TOKEN": content.LIMITED_TOKEN,
            "LOW_RATE": content.LOW_RATE,
            "LOW_BURST": content.LOW_BURST,
            "HIGH_RATE": content.HIGH_RATE,
            "JWT_SECRET": content.JWT_SECRET,
            "JWT_ISSUER": content.JWT_ISSUER,
            "JWT_AUDIENCE": content.JWT_AUDIENCE,
            "API_KEY_SHA256": content.API_KEY_SHA256,
            "API_KEY": content.API_KEY,
            "BUCKET_SHA1": BUCKET_SHA1,
        }


def medians(rounds: list[Figures]) -> Figures:
    return Figures(
        *(statistics.median(getattr(figures, field.name) for figures in rounds) for field in fields(Figures))
    )


def note(text: str) -> None:
    """Progress, beside the result."""
    print(text, file=sys.stderr, flush=True)
