"""BODIES: 1 GiB down and 1 GiB up, streamed: throughput, CPU per GiB, and memory that stays flat."""

import pathlib
import subprocess
import sys

from harness.compare import note
from harness.machine import Cores
from harness.options import Options
from harness.peer import NotOffered, Peer, Stand
from harness.places import SOURCE, TARGET, free_port
from harness.processes import Process, StartFailure, cpu_seconds, peak_rss_mib
from harness.report import Section
from scenarios.s1_pass_through import REQUEST, SCENARIO

TITLE = "BODIES: 1 GiB down and up"
BYTES = 1 << 30
# How much memory may grow while a body passes, MiB.
GROWTH_MIB = 16
COLUMNS = ("peer", "direction", "MiB/s", "CPU s/GiB", "peak RSS before, MiB", "peak RSS, MiB", "target")


class Broken(Exception):
    """A body did not arrive as it was sent."""


def run(peers: dict[str, Peer], _: Options, cores: Cores) -> Section:
    upstream_port = free_port()
    command = [sys.executable, "-B", "-m", "harness.bulk", str(upstream_port), str(BYTES)]
    upstream = Process("bulk upstream", command, cores.others, TARGET / "bulk.log", {"PYTHONPATH": str(SOURCE)})
    upstream.wait_for_port(upstream_port)
    source = TARGET / "upload"
    with open(source, "wb") as file:
        file.truncate(BYTES)
    rows, notes, missed, failed = [], [], [], []
    try:
        for name, peer in peers.items():
            directory = TARGET / "bodies" / name
            directory.mkdir(parents=True)
            stand = Stand(SCENARIO, directory, free_port(), cores.proxy, {"UPSTREAM_PORT": upstream_port})
            try:
                measured = both_ways(peer, stand, source, cores)
            except (NotOffered, StartFailure, Broken) as reason:
                notes.append(f"{name}: {reason}")
                failed.append(f"BODIES {name}")
                continue
            for direction, (rate, cpu, before, peak) in measured.items():
                goal = ""
                if name == "moongate":
                    goal = f"growth <= {GROWTH_MIB} MiB {'met' if peak - before <= GROWTH_MIB else 'MISSED'}"
                    if peak - before > GROWTH_MIB:
                        missed.append(f"BODIES: memory grew by {peak - before:.0f} MiB {direction}")
                rows.append((name, direction, f"{rate:,.0f}", f"{cpu:.2f}", f"{before:.1f}", f"{peak:.1f}", goal))
                note(f"BODIES {name} {direction}: {rate:,.0f} MiB/s")
    finally:
        upstream.end()
        source.unlink()
    return Section(TITLE, COLUMNS, tuple(rows), tuple(notes), tuple(missed), tuple(failed))


def both_ways(
    peer: Peer, stand: Stand, source: pathlib.Path, cores: Cores
) -> dict[str, tuple[float, float, float, float]]:
    """By direction: MiB/s, CPU seconds per GiB, peak memory before and after."""
    process = peer.start(stand)
    url = f"http://127.0.0.1:{stand.port}{REQUEST.path}"
    try:
        transfer(["--request", "POST", "--data-binary", "x", url], cores, 1)
        results = {}
        for direction, arguments in (("down", [url]), ("up", ["--upload-file", str(source), "--request", "POST", url])):
            memory, cpu = peak_rss_mib(process.pid), cpu_seconds(process.pid)
            seconds = transfer(arguments, cores, BYTES)
            used = (cpu_seconds(process.pid) - cpu) * (1 << 30) / BYTES
            results[direction] = (BYTES / 2**20 / seconds, used, memory, peak_rss_mib(process.pid))
        return results
    finally:
        process.end()


def transfer(arguments: list[str], cores: Cores, wanted: int) -> float:
    """Seconds that a transfer took. The upstream answers uploads with the number of bytes it was sent."""
    form = "%{http_code} %{size_download} %{time_total}"
    command = ["taskset", "-c", cores.others, "curl", "--silent", "--max-time", "300", "--header", "Expect:"]
    answer = TARGET / "download"
    is_upload = "--request" in arguments
    command += ["--write-out", form, "--output", str(answer) if is_upload else "/dev/null", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    status, received, seconds = (result.stdout.split() + ["", "", ""])[:3]
    arrived = answer.read_text() if is_upload and answer.exists() else received
    if result.returncode != 0 or status != "200" or arrived.strip() != str(wanted):
        raise Broken(f"curl ended with {result.returncode}, status {status}, {arrived.strip()[:100]} of {wanted} bytes")
    return float(seconds)
