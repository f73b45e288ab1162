"""Compares the gateway with nginx + Lua on the same work and writes the figures down.

One proxy thread on one core, load generator and upstream on the others; keep-alive everywhere, no access logs, no TLS. Rounds
of the candidates alternate and medians are reported, so that what happens to the machine happens to all of them. CPU time is
what the kernel's scheduler counted for the proxy's processes and threads (/proc/PID/task/TID/schedstat).

Started by ./run, which sees to the tools; see README.md.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parent
REPOSITORY = SOURCE.parent.parent
TARGET = REPOSITORY / "target" / "bench"
NGINX_MODULES = "/usr/lib/nginx/modules"

# Scenario: what it is, and the most CPU it may take in relation to nginx.
SCENARIOS = {
    "S1": ("pass-through", 1.25),
    "S2": ("Lua authorizer: a table of 1,000 tokens, 2 headers set", 1.25),
    "S4": ("S2 + JSON response mapping: 3 fields of 1 KiB", 0.80),
}
CONNECTIONS = 32
TOKEN = "token-7"
# What a browser or another service sends along, in the number the figures are defined with.
HEADERS = {"accept": "application/json", "user-agent": "bench/1.0", "x-client": "load", "x-token": TOKEN}
SEEN_BY_UPSTREAM = "user-7 free"
START_SECONDS = 20


def body():
    """The upstream's JSON, 1,024 bytes."""
    document = {
        "id": 4711,
        "status": "shipped",
        "customer": {"id": 17, "name": "Ada Lovelace", "city": "London"},
        "total": 129.95,
        "items": [{"sku": f"sku-{number:04}", "quantity": number, "price": 9.75} for number in range(1, 17)],
        "note": "",
    }
    text = json.dumps(document, separators=(",", ":"))
    document["note"] = "x" * (1024 - len(text))
    text = json.dumps(document, separators=(",", ":"))
    assert len(text) == 1024, len(text)
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def render(source, target, values):
    """Copies a file, replacing @NAME@."""
    text = source.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def start(command, cores, log, **options):
    output = open(log, "w")
    return subprocess.Popen(["taskset", "-c", cores, *command], stdout=output, stderr=subprocess.STDOUT, **options)


def wait_until(what, condition, process, log):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    sys.exit(f"{what} did not start; {log} says:\n{pathlib.Path(log).read_text()[-4000:]}")


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Candidate:
    """A proxy under test."""

    def __init__(self, name, process, port):
        self.name, self.process, self.port = name, process, port

    def url(self, scenario):
        return f"http://127.0.0.1:{self.port}/bench/{scenario.lower()}"


def start_nginx(name, template, values, port, cores):
    directory = TARGET / name
    directory.mkdir(parents=True)
    configuration = directory / "nginx.conf"
    render(SOURCE / "nginx" / template, configuration, {**values, "DIRECTORY": directory})
    log = directory / "output.log"
    process = start(["nginx", "-p", str(directory), "-c", str(configuration)], cores, log)
    wait_until(name, lambda: is_listening(port), process, log)
    return process


def start_moongate(values, cores):
    directory = TARGET / "moongate"
    for source in (SOURCE / "moongate").rglob("*"):
        if source.is_file():
            name = str(source.relative_to(SOURCE / "moongate")).removesuffix(".in")
            render(source, directory / name, values)
    log = directory / "output.log"
    binary = os.environ.get("MOONGATE_BIN") or REPOSITORY / "target" / "release" / "moongate"
    port = free_port()
    command = [str(binary), "run", "-c", str(directory / "moongate.yaml"), "--listen", f"127.0.0.1:{port}"]
    command += ["--health-listen", "127.0.0.1:0", "--workers", "1", "--access-log", "none"]
    process = start(command, cores, log)
    wait_until("moongate", lambda: is_listening(port), process, log)
    return Candidate("moongate", process, port)


def processes(root):
    """The process and all that it started."""
    children = {}
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


def cpu_seconds(root):
    total = 0
    for pid in processes(root):
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
    return total / 1e9


def rss_mib(root):
    total = 0
    for pid in processes(root):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        total += int(found.group(1)) if found else 0
    return total / 1024


def ask(url, headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def check(candidate, scenario, upstream_log):
    """What a candidate answers in a scenario. Ends the comparison when it does not do the work."""

    def refuse(why):
        sys.exit(f"{candidate.name}, {scenario}: {why}. Figures of different work are not compared.")

    mark = f"{candidate.name}-{scenario}"
    status, answer = ask(candidate.url(scenario), {**HEADERS, "x-check": mark})
    if status != 200:
        refuse(f"answers {status}: {answer[:300]!r}")
    document = json.loads(answer)
    wanted = json.loads(body())
    if scenario == "S4":
        wanted = {"id": wanted["id"], "name": wanted["customer"]["name"], "total": wanted["total"]}
    if document != wanted:
        refuse(f"answers {answer[:300]!r}")
    # The log is written when the request is over, which may be after its answer has arrived.
    until = time.monotonic() + 5
    lines = []
    while not lines and time.monotonic() < until:
        lines = [line for line in upstream_log.read_text().splitlines() if line.startswith(mark + " ")]
    seen = SEEN_BY_UPSTREAM if scenario != "S1" else "- -"
    if not lines or not lines[0].endswith(" " + seen):
        refuse(f"the upstream saw {lines} instead of `{seen}`")
    if scenario != "S1":
        without = {name: value for name, value in HEADERS.items() if name != "x-token"}
        for headers in (without, {**without, "x-token": "token-1000"}):
            status, _ = ask(candidate.url(scenario), headers)
            if status != 401:
                refuse(f"answers {status} instead of 401 to {headers}")
    return status, json.dumps(document, sort_keys=True)


def load(url, seconds, cores):
    command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for name, value in HEADERS.items():
        command += ["-H", f"{name}: {value}"]
    return subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(candidate, scenario, seconds, cores):
    before = cpu_seconds(candidate.process.pid)
    output = load(candidate.url(scenario), seconds, cores)
    cpu = cpu_seconds(candidate.process.pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{candidate.name}, {scenario}: there were failures under load:\n{output}")
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    return {
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
        "p50": milliseconds(re.search(r"^ +50% +(\S+)", output, re.MULTILINE).group(1)),
        "p99": milliseconds(re.search(r"^ +99% +(\S+)", output, re.MULTILINE).group(1)),
        "cpu": cpu / requests * 100_000,
        "rss": rss_mib(candidate.process.pid),
    }


def medians(rounds):
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def report(results, candidates, options):
    """The figures in Markdown."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lines = [
        f"# Moongate and nginx + Lua on the same work, {time.strftime('%Y-%m-%d')}",
        "",
        f"{cpu.group(1) if cpu else 'unknown processor'}, {os.cpu_count()} cores; {options.rounds} rounds of "
        f"{options.seconds} s, medians; wrk -t1 -c{CONNECTIONS}; one proxy thread on one core. CPU: seconds of the proxy per "
        "100,000 requests.",
        "",
        "| scenario | candidate | CPU s/100k | requests/s | p50 ms | p99 ms | RSS MiB | CPU, moongate / nginx | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    is_met = True
    for scenario in options.scenarios:
        what, target = SCENARIOS[scenario]
        figures = {candidate.name: medians(results[scenario, candidate.name]) for candidate in candidates}
        for name, row in figures.items():
            ratio = goal = ""
            if name == "moongate" and "nginx" in figures:
                value = row["cpu"] / figures["nginx"]["cpu"]
                ratio, goal = f"{value:.2f}", f"<= {target:.2f} {'met' if value <= target else 'MISSED'}"
                is_met = is_met and value <= target
            lines.append(
                f"| {scenario} {what} | {name} | {row['cpu']:.3f} | {row['rps']:,.0f} | {row['p50']:.2f} | {row['p99']:.2f} "
                f"| {row['rss']:.1f} | {ratio} | {goal} |"
            )
    return "\n".join(lines) + "\n", is_met


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every candidate in every scenario (3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round (3)")
    parser.add_argument("--only", choices=["moongate", "nginx"], help="measure one candidate")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="comma-separated: %(default)s")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args(arguments)
    options.scenarios = [name.strip().upper() for name in options.scenarios.split(",")]
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    return options


def main():
    options = options_of(sys.argv[1:])
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("at least two cores are needed: one for the proxy, one for load and upstream")
    proxy_core, other_cores = str(cores[0]), ",".join(map(str, cores[1:]))
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    running = []
    try:
        upstream_port, nginx_port = free_port(), free_port()
        values = {
            "UPSTREAM_PORT": upstream_port,
            "PROXY_PORT": nginx_port,
            "BODY": body(),
            "MODULES": NGINX_MODULES,
            "SOURCE": SOURCE / "nginx",
        }
        running.append(start_nginx("upstream", "upstream.conf.in", values, upstream_port, other_cores))
        candidates = []
        if options.only != "nginx":
            candidates.append(start_moongate(values, proxy_core))
            running.append(candidates[-1].process)
        if options.only != "moongate":
            process = start_nginx("nginx", "proxy.conf.in", values, nginx_port, proxy_core)
            running.append(process)
            candidates.append(Candidate("nginx", process, nginx_port))

        upstream_log = TARGET / "upstream" / "upstream-check.log"
        for scenario in options.scenarios:
            answers = {candidate.name: check(candidate, scenario, upstream_log) for candidate in candidates}
            if len(set(answers.values())) != 1:
                sys.exit(f"{scenario}: the answers differ: {answers}")
        results = {}
        for scenario in options.scenarios:
            for candidate in candidates:
                load(candidate.url(scenario), 1, other_cores)
            for number in range(options.rounds):
                for candidate in candidates if number % 2 == 0 else reversed(candidates):
                    figures = measure(candidate, scenario, options.seconds, other_cores)
                    results.setdefault((scenario, candidate.name), []).append(figures)
                    print(f"{scenario} round {number + 1} {candidate.name}: {figures['cpu']:.3f} CPU s/100k", file=sys.stderr)
        text, is_met = report(results, candidates, options)
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    (TARGET / "RESULT.md").write_text(text)
    print(text, end="")
    sys.exit(0 if is_met or not options.strict else 1)


if __name__ == "__main__":
    main()
