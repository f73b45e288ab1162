"""HTTP/2 in the mix, where h2load is installed: a burst of streams every few seconds."""

import re
import shutil
import subprocess
import threading

from soaking.traffic import Tally

EVERY_SECONDS = 5
REQUESTS, CONNECTIONS, STREAMS = 60, 3, 10


def is_offered() -> bool:
    return shutil.which("h2load") is not None


class Http2(threading.Thread):
    """Bursts over HTTP/2 with prior knowledge; every answer must be 200."""

    def __init__(self, port: int, tally: Tally, stop: threading.Event):
        super().__init__(daemon=True)
        self._port, self._tally, self._ending = port, tally, stop

    def run(self) -> None:
        paths = ("/soak/pass/sum", "/soak/pass/large", "/soak/version")
        number = 0
        while not self._ending.wait(EVERY_SECONDS):
            path = paths[number % len(paths)]
            number += 1
            command = [
                "h2load",
                f"-n{REQUESTS}",
                f"-c{CONNECTIONS}",
                f"-m{STREAMS}",
                f"http://127.0.0.1:{self._port}{path}",
            ]
            try:
                output = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
            except subprocess.TimeoutExpired:
                self._tally.fail(f"http/2 {path}: no end within a minute")
                continue
            found = re.search(r"status codes: (\d+) 2xx", output)
            answered = int(found.group(1)) if found else 0
            for _ in range(answered):
                self._tally.add("http/2", "200", 0)
            if answered != REQUESTS:
                lines = [line for line in output.splitlines() if line.startswith(("requests:", "status"))]
                self._tally.fail(f"http/2 {path}: {answered} of {REQUESTS} answers: {'; '.join(lines)}")
