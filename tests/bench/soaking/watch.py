"""Whether something grows: samples of memory, descriptors and threads, and a straight line through them."""

import os
import threading
import time
from dataclasses import dataclass

from harness.processes import descriptors, rss_mib

SAMPLE_SECONDS = 5
# The start is left out: pools, caches and the allocator fill up.
WARM_UP_SHARE = 0.25


@dataclass(frozen=True)
class Trend:
    """A fitted line: the value at the start and at the end of what was fitted."""

    begin: float
    end: float
    lowest: float
    highest: float

    @property
    def growth(self) -> float:
        return self.end - self.begin


def trend(samples: list[tuple[float, float]]) -> Trend:
    """Least squares, without the warm-up. Takes at least two samples."""
    kept = samples[int(len(samples) * WARM_UP_SHARE) :] if len(samples) > 8 else samples
    times, values = [time for time, _ in kept], [value for _, value in kept]
    mean_time, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - mean_time) ** 2 for time in times)
    slope = sum((time - mean_time) * (value - mean) for time, value in kept) / spread if spread else 0.0
    begin, end = mean + slope * (times[0] - mean_time), mean + slope * (times[-1] - mean_time)
    return Trend(begin, end, min(values), max(values))


class Watch(threading.Thread):
    """Samples a process."""

    def __init__(self, pid: int, stop: threading.Event):
        super().__init__(daemon=True)
        self._pid, self._ending = pid, stop
        self.memory: list[tuple[float, float]] = []
        self.descriptors: list[tuple[float, float]] = []
        self.threads: list[tuple[float, float]] = []

    def run(self) -> None:
        begin = time.monotonic()
        while True:
            now = time.monotonic() - begin
            try:
                self.memory.append((now, rss_mib(self._pid)))
                self.descriptors.append((now, descriptors(self._pid)))
                self.threads.append((now, len(os.listdir(f"/proc/{self._pid}/task"))))
            except OSError:
                return
            if self._ending.wait(SAMPLE_SECONDS):
                return
