"""Load, by wrk: one thread, 32 keep-alive connections, each sending as soon as it has its answer."""

import json
import pathlib
import subprocess
from dataclasses import dataclass

from harness.model import Figures, Request
from harness.places import SOURCE, TARGET
from harness.processes import Process, cpu_seconds, rss_mib

CONNECTIONS = 32


class LoadFailure(Exception):
    """There were failures under load: figures would mean nothing."""


@dataclass(frozen=True)
class Load:
    """A request sent over and over; with `paths` (a file of them), each path in turn."""

    request: Request
    port: int
    is_tls: bool = False
    paths: pathlib.Path | None = None

    def run(self, seconds: int, cores: str) -> dict[str, float]:
        """What wrk measured, latencies in milliseconds."""
        body = "-"
        if self.request.body is not None:
            body = str(TARGET / "request-body")
            pathlib.Path(body).write_text(self.request.body)
        scheme = "https" if self.is_tls else "http"
        command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["-s", str(SOURCE / "harness" / "load.lua")]
        for name, value in self.request.headers.items():
            command += ["-H", f"{name}: {value}"]
        url = f"{scheme}://127.0.0.1:{self.port}{self.request.path}"
        command += [url, "--", self.request.method, body, str(self.paths or "-")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        if result.returncode != 0:
            raise LoadFailure(f"wrk failed: {result.stdout}{result.stderr}")
        measured: dict[str, float] = json.loads(result.stdout.strip().splitlines()[-1])
        return measured

    def measure(self, process: Process, seconds: int, cores: str) -> Figures:
        """One round. Raises LoadFailure when a request failed."""
        before = cpu_seconds(process.pid)
        measured = self.run(seconds, cores)
        cpu = cpu_seconds(process.pid) - before
        requests = measured["requests"]
        if measured["failures"] or not requests:
            raise LoadFailure(f"{measured['failures']:.0f} of {requests:.0f} requests failed")
        return Figures(
            cpu=cpu / requests * 100_000,
            rps=requests / measured["seconds"],
            p50=measured["p50"],
            p99=measured["p99"],
            p999=measured["p999"],
            rss=rss_mib(process.pid),
        )
