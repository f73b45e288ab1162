"""Soaks the gateway and prints a verdict. Started by ./soak; see README.md."""

import argparse
import re
import shutil
import sys
import threading
import time
from dataclasses import dataclass

from harness.machine import facts
from harness.places import REPOSITORY, free_port
from harness.processes import Process
from peers import moongate
from soaking import http2
from soaking.events import Faults, Project, Reloads, upstream
from soaking.traffic import Client, Tally
from soaking.watch import Trend, Watch, trend

TARGET = REPOSITORY / "target" / "soak"
CLIENTS = 8
# What may grow between the ends of the fitted line: memory by both of these together, descriptors by this many.
GROWTH_MIB, GROWTH_PERCENT = 4.0, 5.0
GROWTH_DESCRIPTORS = 8.0
# Ends with this many errors: more would say nothing new.
WRONG_MAX = 200


@dataclass(frozen=True)
class Verdict:
    what: str
    found: str
    wanted: str
    is_right: bool


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/soak", description="Soaks the gateway and prints a verdict.")
    parser.add_argument("--minutes", type=float, default=30, help="how long (30)")
    parser.add_argument(
        "--rate", type=float, default=400, help="requests per second of the HTTP/1.1 clients together (400)"
    )
    return parser.parse_args()


class Soak:
    """Everything that runs, and its end."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.tally = Tally()
        self.project = Project(TARGET / "project")
        self.port = free_port()
        self.processes: list[Process] = []
        self.threads: list[threading.Thread] = []

    def start(self, rate: float) -> None:
        """Starts everything. What was started is ended by `end`, whatever happens here."""
        self.steady = upstream(self.project.steady_port, TARGET / "steady.log")
        self.processes.append(self.steady)
        self.faults = Faults(self.project, TARGET / "troubled.log", self.stop)
        command = [
            moongate.binary(),
            "run",
            "-c",
            str(self.project.directory / "moongate.yaml"),
            "--access-log",
            "none",
        ]
        command += ["--listen", f"127.0.0.1:{self.port}", "--health-listen", "127.0.0.1:0"]
        self.gateway = Process("moongate", command, None, TARGET / "gateway.log")
        self.processes.append(self.gateway)
        moongate.wait_until_ready(self.gateway, self.port)
        self.watch = Watch(self.gateway.pid, self.stop)
        self.reloads = Reloads(self.project, self.gateway, self.stop)
        self.threads += [self.watch, self.reloads, self.faults]
        for number in range(CLIENTS):
            self.threads.append(
                Client(self.port, rate / CLIENTS, self.tally, self.stop, self.project.published, number)
            )
        if http2.is_offered():
            self.threads.append(http2.Http2(self.port, self.tally, self.stop))

    def run(self, seconds: float) -> None:
        for thread in self.threads:
            thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.gateway.is_running() and len(self.tally.wrong) < WRONG_MAX:
            time.sleep(1)
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=60)

    def drain(self) -> int | None:
        """Tells the gateway to end; its exit code, or None when it did not end in time."""
        if not self.gateway.is_running():
            return -1
        self.gateway.send(moongate.DRAIN)
        return self.gateway.wait(20)

    def end(self) -> None:
        self.stop.set()
        for process in reversed(self.processes):
            process.end()
        self.faults.end()


def verdicts(soak: Soak, code: int | None) -> list[Verdict]:
    tally = soak.tally
    log = (TARGET / "gateway.log").read_text(errors="replace")
    errors = re.findall(r"^.*(?:panicked| ERROR ).*$", log, re.MULTILINE)
    memory, files = trend(soak.watch.memory), trend(soak.watch.descriptors)
    may_grow = GROWTH_MIB + memory.begin * GROWTH_PERCENT / 100
    reloads = soak.reloads
    return [
        Verdict("wrong answers", f"{len(tally.wrong)} of {sum(tally.done.values()):,}", "0", not tally.wrong),
        Verdict("errors in the gateway's log", str(len(errors)), "0", not errors),
        Verdict("memory, MiB", line(memory), f"growth <= {may_grow:.1f}", memory.growth <= may_grow),
        Verdict("descriptors", line(files), f"growth <= {GROWTH_DESCRIPTORS:.0f}", files.growth <= GROWTH_DESCRIPTORS),
        Verdict("threads", line(trend(soak.watch.threads)), "growth <= 1", trend(soak.watch.threads).growth <= 1),
        Verdict("reloads", f"{reloads.good} good, {reloads.broken} refused", "some", reloads.good > 0),
        Verdict("upstream restarts", str(soak.faults.restarts), "some", soak.faults.restarts > 0),
        Verdict(
            "HTTP/2", f"{tally.done['http/2']:,} requests", "h2load", tally.done["http/2"] > 0 or not http2.is_offered()
        ),
        Verdict("end", f"exit code {code}", "0, drained", code == 0),
    ]


def line(found: Trend) -> str:
    return f"{found.begin:.1f} to {found.end:.1f} (fitted), {found.lowest:.1f} to {found.highest:.1f} (seen)"


def main() -> int:
    given = options()
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    soak = Soak()
    try:
        soak.start(given.rate)
        soak.run(given.minutes * 60)
        code = soak.drain()
    finally:
        soak.end()
    rows = verdicts(soak, code)
    lines = [
        f"# Soak of {given.minutes:g} minutes at {given.rate:g} requests/s, {time.strftime('%Y-%m-%d')}",
        "",
        f"{facts()}; {soak.gateway.name} {moongate.Moongate().version()}.",
        "",
        "| what | found | wanted | |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.found} | {row.wanted} | {'ok' if row.is_right else 'WRONG'} |" for row in rows),
        "",
        "Answers: " + ", ".join(f"{name} {count:,}" for name, count in sorted(soak.tally.statuses.items())) + ".",
        *(f"- {text}" for text in soak.tally.wrong[:20]),
    ]
    text = "\n".join(lines) + "\n"
    (TARGET / "RESULT.md").write_text(text)
    print(text, end="")
    return 0 if all(row.is_right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
