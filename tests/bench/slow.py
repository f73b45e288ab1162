"""slowhttptest against Moongate: slow clients are gone by the deadline, and others hardly notice them.

In each mode 200 connections are slow together. Until they are gone, which the gateway's own count of connections says, a neighbour asks
again and again on a connection of its own; its times are compared with those it had in calm.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What slow clients have time for, in seconds.
DEADLINE = 3
# What the gateway may take beyond twice that: a client may take a little in the one period, and less in the next.
SLACK = 2
# Bytes of the answer that slow readers ask for: more than the sockets hold.
ANSWER_BYTES = 8_000_000
# Requests that tell the neighbour's times in calm.
CALM_REQUESTS = 2_000
# Differences below this are the scheduler's, in seconds.
NOTICEABLE = 0.005

SETTINGS = f"""access_log: none
limits:
  head_timeout_ms: {DEADLINE * 1000}
  idle_timeout_ms: {DEADLINE * 1000}
  stall_timeout_ms: {DEADLINE * 1000}
"""

API = """api: slow
routes:
  - match: ANY /quick
    integration: { type: mock, responses: [{ status_code: 200 }] }
  - match: POST /upload
    upstream: UPSTREAM
  - match: GET /large
    upstream: UPSTREAM
"""

MODES = {
    "slow heads": ["-H", "-i", "1", "-x", "24", "-u", "/slow/quick"],
    "slow bodies": ["-B", "-i", "1", "-s", "100000", "-x", "10", "-u", "/slow/upload"],
    "slow readers": ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-u", "/slow/large"],
}


def upstream():
    """An upstream of one large answer."""
    import socketserver

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            try:
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % ANSWER_BYTES)
                self.wfile.write(b"x" * ANSWER_BYTES)
            except OSError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 1024

        def handle_error(self, request, client_address):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def start(folder):
    """Starts a gateway; the process and its addresses."""
    binary = os.environ.get("MOONGATE_BIN", str(ROOT / "target/release/moongate"))
    arguments = ["dev", folder, "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--output", "json"]
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        event = json.loads(line)
        if event.get("event") == "listening":
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, event["api"], event["health"]
    sys.exit("the gateway does not start")


def connections(health):
    """How many connections the gateway has open."""
    host = http.client.HTTPConnection(health, timeout=10)
    host.request("GET", "/metrics")
    text = host.getresponse().read().decode()
    return int(re.search(r"^gateway_connections (\d+)", text, re.M).group(1))


def ask(api, is_over):
    """Asks until told to stop; the times, sorted."""
    host = http.client.HTTPConnection(api, timeout=30)
    times = []
    while not is_over(len(times)):
        begin = time.perf_counter()
        host.request("GET", "/slow/quick")
        answer = host.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"the neighbour was answered {answer.status}")
        times.append(time.perf_counter() - begin)
        time.sleep(0.001)
    return sorted(times)


def p99(times):
    return times[int(len(times) * 0.99) - 1]


def attack(mode, options, api, health, count):
    """One mode; how long until all were gone, and the neighbour's 99th percentile meanwhile."""
    options = [f"http://{api}{value}" if value.startswith("/") else value for value in options]
    command = ["slowhttptest", "-c", str(count), "-r", str(count), "-l", str(4 * DEADLINE), "-p", "20", *options]
    over = threading.Event()
    result = []
    neighbour = threading.Thread(target=lambda: result.extend(ask(api, lambda done: over.is_set())))
    begin = time.monotonic()
    tool = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    neighbour.start()
    most = 0
    gone = None
    try:
        while time.monotonic() - begin < 4 * DEADLINE:
            open_now = connections(health)
            most = max(most, open_now)
            # The neighbour's and at most one probe of the tool's own.
            if most > count // 2 and open_now <= 3:
                gone = time.monotonic() - begin
                break
            time.sleep(0.1)
    finally:
        tool.terminate()
        tool.wait()
        over.set()
        neighbour.join()
    return most, gone, p99(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    arguments = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "apis").mkdir()
        (pathlib.Path(folder) / "moongate.yaml").write_text(SETTINGS)
        (pathlib.Path(folder) / "apis/slow.yaml").write_text(API.replace("UPSTREAM", upstream()))
        process, api, health = start(folder)
        try:
            time.sleep(1)
            calm = p99(ask(api, lambda done: done >= CALM_REQUESTS))
            print(f"| Mode | Slow at once | Gone after (deadline {DEADLINE} s) | Neighbour's p99 (calm {calm * 1000:.2f} ms) |")
            print("|---|---|---|---|")
            for mode, options in MODES.items():
                most, gone, waited = attack(mode, options, api, health, arguments.connections)
                print(f"| {mode} | {most} | {f'{gone:.1f} s' if gone else 'not gone'} | {waited * 1000:.2f} ms |", flush=True)
                if gone is None or gone > 2 * DEADLINE + SLACK:
                    missed.append(f"{mode}: not gone by the deadline")
                if waited > max(2 * calm, calm + NOTICEABLE):
                    missed.append(f"{mode}: the neighbour waited more than twice as long")
        finally:
            process.terminate()
            process.wait()
    print("\n".join(missed) if missed else "all targets are met")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
