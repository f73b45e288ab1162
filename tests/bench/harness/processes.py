"""Starting, watching and ending processes, and what they use.

Processor time is what the kernel's scheduler counted for a process, its threads and its children (/proc/PID/task/TID/schedstat,
nanoseconds): finer than the ticks of /proc/PID/stat.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

START_SECONDS = 60.0
END_SECONDS = 10.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class StartFailure(Exception):
    """A process ended, or did not listen in time. The text holds the end of its output."""


class Process:
    """A running process, pinned to processors if any are given, with its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cores: str | None,
        log: pathlib.Path,
        environment: dict[str, str] | None = None,
    ):
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        pinned = ["taskset", "-c", cores] if cores else []
        with open(log, "w") as output:
            self._process = subprocess.Popen(
                [*pinned, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for_port(self, port: int, seconds: float = START_SECONDS) -> None:
        """Waits until somebody listens. Raises StartFailure when the process ends or time is up."""
        self.wait_until(lambda: is_listening(port), seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.is_running():
            if condition():
                return
            time.sleep(0.02)
        self.end()
        raise StartFailure(
            f"{self.name} did not start; {self.log} ends with:\n{self.log.read_text(errors='replace')[-3000:]}"
        )

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None when it still runs."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if not self.is_running():
            return
        self._process.terminate()
        if self.wait(END_SECONDS) is None:
            self._process.kill()
            self._process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(root: int) -> list[int]:
    """The process and all that it started."""
    children: dict[int, list[int]] = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(children.get(pid, []))
    return found


def cpu_seconds(root: int) -> float:
    """Processor time of a process and all that it started, so far."""
    total = 0
    for pid in family(root):
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def rss_mib(root: int) -> float:
    """Resident memory of a process and all that it started."""
    total = 0
    for pid in family(root):
        try:
            total += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * PAGE_BYTES / 2**20


def peak_rss_mib(root: int) -> float:
    """The most resident memory that each process ever had, summed."""
    total = 0
    for pid in family(root):
        try:
            found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total / 1024


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))
