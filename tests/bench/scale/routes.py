"""ROUTES: what a request costs Moongate among 10, 10,000 and 100,000 routes.

Requests go to 1,000 of them in turn (to all where there are 10), so that the tables are really walked: one path over and over
would find its way in the processor's cache.
"""

import pathlib
import random
import time

from harness import content
from harness.backends import fast_upstream
from harness.compare import medians, note
from harness.load import Load, LoadFailure
from harness.machine import Cores
from harness.model import Figures, Request
from harness.options import Options
from harness.peer import Peer
from harness.places import TARGET, free_port
from harness.processes import Process, StartFailure
from harness.report import Section
from peers import moongate

TITLE = "ROUTES: a request among many routes"
COUNTS = (10, 10_000, 100_000)
PATHS_MAX = 1_000
# Count: the most CPU in relation to the smallest count.
TARGETS = {10_000: 1.05, 100_000: 1.10}
START_SECONDS = 300
COLUMNS = (
    "routes",
    "ready after s",
    "CPU s/100k",
    "requests/s",
    "p99 ms",
    "RSS MiB",
    "CPU, against 10 routes",
    "target",
)


def templates(count: int) -> list[str]:
    """Path templates as a large API has them: half of them end in a parameter."""
    pairs = (f"/team-{number % 97}/service-{number // 2}/orders" for number in range(count))
    return [path if number % 2 == 0 else f"{path}/{{id}}" for number, path in enumerate(pairs)]


def document(count: int, upstream_port: int) -> str:
    route = "  - {{ match: 'GET {}', authorizer: none, upstream: 'http://127.0.0.1:{}' }}"
    return "\n".join(["api: bench", "routes:", *(route.format(path, upstream_port) for path in templates(count))])


def paths_file(directory: pathlib.Path, count: int) -> pathlib.Path:
    chosen = random.Random(7).sample(templates(count), min(PATHS_MAX, count))
    file = directory / "paths"
    file.write_text("".join(f"/bench{path.replace('{id}', '4711')}\n" for path in chosen))
    return file


def run(peers: dict[str, Peer], options: Options, cores: Cores) -> Section:
    if "moongate" not in peers:
        return Section(TITLE, COLUMNS, (), ("Moongate is not among the peers",))
    upstream_port = free_port()
    processes = [fast_upstream(upstream_port, cores.others)]
    loads: dict[int, tuple[Load, Process, float]] = {}
    try:
        for count in COUNTS:
            directory = TARGET / "routes" / str(count)
            moongate.lay_out(directory, document(count, upstream_port), {})
            port, begin = free_port(), time.monotonic()
            process = moongate.serve(directory, f"--listen 127.0.0.1:{port}", cores.proxy)
            processes.append(process)
            moongate.wait_until_ready(process, port, START_SECONDS)
            ready = time.monotonic() - begin
            load = Load(Request("/", headers=content.HEADERS), port, paths=paths_file(directory, count))
            load.run(1, cores.others)
            loads[count] = (load, process, ready)
        rounds: dict[int, list[Figures]] = {count: [] for count in COUNTS}
        for number in range(options.rounds):
            for count in COUNTS[:: 1 if number % 2 == 0 else -1]:
                load, process, _ = loads[count]
                figures = load.measure(process, options.seconds, cores.others)
                rounds[count].append(figures)
                note(f"ROUTES round {number + 1} {count}: {figures.cpu:.3f} CPU s/100k")
    except (StartFailure, LoadFailure) as reason:
        return Section(TITLE, COLUMNS, (), (str(reason),), failed=("ROUTES moongate",))
    finally:
        for process in reversed(processes):
            process.end()
    return table({count: medians(rounds[count]) for count in COUNTS}, {count: loads[count][2] for count in COUNTS})


def table(figures: dict[int, Figures], ready: dict[int, float]) -> Section:
    rows, missed = [], []
    for count, row in figures.items():
        ratio = goal = ""
        if count in TARGETS:
            value, target = row.cpu / figures[COUNTS[0]].cpu, TARGETS[count]
            ratio, goal = f"{value:.2f}", f"<= {target:.2f} {'met' if value <= target else 'MISSED'}"
            if value > target:
                missed.append(f"ROUTES: {count:,} routes cost {value:.2f} of 10, not {target:.2f}")
        rows.append(
            (
                f"{count:,}",
                f"{ready[count]:.1f}",
                f"{row.cpu:.3f}",
                f"{row.rps:,.0f}",
                f"{row.p99:.2f}",
                f"{row.rss:.1f}",
                ratio,
                goal,
            )
        )
    return Section(TITLE, COLUMNS, tuple(rows), missed=tuple(missed))
