"""What happens to the gateway while it is soaked: reloads, good and bad, and an upstream that comes and goes."""

import pathlib
import signal
import sys
import threading

from harness.places import SOURCE, Values, free_port, render
from harness.processes import Process

RELOAD_SECONDS = 10
RESTART_SECONDS = 15
DOWN_SECONDS = 2
# Every so many reloads one is of a document that cannot be used.
BROKEN_EVERY = 4
# Longest time an upstream may take before the gateway answers 504.
TIMEOUT_MS = 400


def upstream(port: int, log: pathlib.Path) -> Process:
    command = [sys.executable, "-B", "-m", "soaking.upstream", str(port)]
    process = Process("upstream", command, None, log, {"PYTHONPATH": str(SOURCE)})
    process.wait_for_port(port)
    return process


class Project:
    """The gateway's project on disk, in versions."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.steady_port, self.troubled_port = free_port(), free_port()
        self._lock = threading.Lock()
        # The oldest version that may still be served, and the newest that may be already.
        self._oldest = self._newest = 1
        self.write(1)

    def write(self, version: int) -> None:
        values: Values = {"STEADY_PORT": self.steady_port, "TROUBLED_PORT": self.troubled_port}
        values |= {"VERSION": version, "TIMEOUT_MS": TIMEOUT_MS}
        source = SOURCE / "soaking" / "project"
        for file in source.rglob("*"):
            if file.is_file():
                name = str(file.relative_to(source)).removesuffix(".in")
                render(file, self.directory / name, values)
        (self.directory / "moongate.yaml").write_text("workers: 2\ndrain_seconds: 5\n")

    def published(self) -> range:
        with self._lock:
            return range(self._oldest, self._newest + 1)

    def allow(self, oldest: int, newest: int) -> None:
        with self._lock:
            self._oldest, self._newest = oldest, newest


class Reloads(threading.Thread):
    """Publishes a new version every few seconds, and now and then one that must not be published."""

    def __init__(self, project: Project, gateway: Process, stop: threading.Event):
        super().__init__(daemon=True)
        self._project, self._gateway, self._ending = project, gateway, stop
        self.good = self.broken = 0

    def run(self) -> None:
        version = 1
        while not self._ending.wait(RELOAD_SECONDS):
            if (self.good + self.broken) % BROKEN_EVERY == BROKEN_EVERY - 1:
                (self._project.directory / "apis" / "soak.yaml").write_text(
                    "api: soak\nroutes: [ { match: nonsense } ]\n"
                )
                self.broken += 1
            else:
                version += 1
                # What was published before is settled by now: a reload takes far less than the pause between two.
                self._project.allow(version - 1, version)
                self._project.write(version)
                self.good += 1
            self._gateway.send(signal.SIGHUP)


class Faults(threading.Thread):
    """Takes the troubled upstream away and brings it back."""

    def __init__(self, project: Project, log: pathlib.Path, stop: threading.Event):
        super().__init__(daemon=True)
        self._project, self._log, self._ending = project, log, stop
        self._upstream = upstream(project.troubled_port, log)
        self.restarts = 0

    def run(self) -> None:
        while not self._ending.wait(RESTART_SECONDS):
            self._upstream.send(signal.SIGKILL)
            self._upstream.wait(10)
            self._ending.wait(DOWN_SECONDS)
            self._upstream = upstream(self._project.troubled_port, self._log)
            self.restarts += 1

    def end(self) -> None:
        self._upstream.end()
