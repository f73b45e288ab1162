"""The result as Markdown."""

import time
from dataclasses import dataclass

from harness.compare import Comparison
from harness.load import CONNECTIONS
from harness.options import Options

# Memory of one worker without scripts, MiB (performance target).
MEMORY_MIB = 25
# Rounds of one peer differ by this much on a machine that does nothing else.
NOISE_PERCENT = 8


@dataclass(frozen=True)
class Section:
    """A table of its own, with the targets that were missed in it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def heading(options: Options, machine: str, versions: dict[str, str], absent: dict[str, str]) -> str:
    lines = [
        f"# Moongate and its peers on the same work, {time.strftime('%Y-%m-%d')}",
        "",
        f"Machine: {machine}. Command: `{options.command}`.",
        "Versions: " + "; ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    lines += [f"Left out: {name}, because {reason}." for name, reason in absent.items()]
    lines += [
        "",
        f"{options.rounds} alternating rounds of {options.seconds} s, medians; `wrk -t1 -c{CONNECTIONS}`, keep-alive; one proxy",
        "thread on one processor, load and upstream on the others. CPU: seconds of the proxy per 100,000 requests, from",
        f"the scheduler. Latencies are those of a saturated proxy. Differences below {NOISE_PERCENT} % are noise.",
        "",
    ]
    return "\n".join(lines)


def of_comparison(comparison: Comparison) -> Section:
    """A scenario's table: figures by peer, and Moongate's ratio to each."""
    scenario, figures = comparison.scenario, comparison.figures
    ours = figures.get("moongate")
    rows, missed = [], []
    for name, row in figures.items():
        ratio = goal = ""
        if ours is not None and name != "moongate":
            value = ours.cpu / row.cpu
            ratio = f"{value:.2f}"
            target = scenario.targets.get(name)
            if target is not None:
                goal = f"<= {target:.2f} {'met' if value <= target else 'MISSED'}"
                if value > target:
                    missed.append(f"{scenario.name}: {value:.2f} of {name}'s CPU, not {target:.2f}")
        rows.append(
            (
                name,
                f"{row.cpu:.3f}",
                f"{row.rps:,.0f}",
                f"{row.p50:.2f}",
                f"{row.p99:.2f}",
                f"{row.p999:.2f}",
                f"{row.rss:.1f}",
                ratio,
                goal,
            )
        )
    if ours is not None and scenario.name == "S1" and ours.rss > MEMORY_MIB:
        missed.append(f"S1: {ours.rss:.1f} MiB of memory, not {MEMORY_MIB}")
    columns = (
        "peer",
        "CPU s/100k",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "RSS MiB",
        "Moongate / peer, CPU",
        "target",
    )
    notes = tuple(f"{name}: {reason}" for name, reason in comparison.missing.items())
    failed = tuple(f"{scenario.name} {name}" for name in comparison.failed)
    return Section(f"{scenario.name}: {scenario.title}", columns, tuple(rows), notes, tuple(missed), failed)


def markdown(section: Section) -> str:
    lines = [f"## {section.title}", ""]
    if section.rows:
        lines.append("| " + " | ".join(section.columns) + " |")
        lines.append("|" + "---|" * len(section.columns))
        lines += ["| " + " | ".join(row) + " |" for row in section.rows]
        lines.append("")
    lines += [f"- {' '.join(text.split())}" for text in section.notes]
    if section.notes:
        lines.append("")
    return "\n".join(lines)


def verdict(sections: list[Section]) -> str:
    missed = [text for section in sections for text in section.missed]
    failed = [text for section in sections for text in section.failed]
    lines = ["## Verdict", ""]
    lines += [f"- FAILED: {text}" for text in failed]
    lines += [f"- missed: {text}" for text in missed]
    if not missed and not failed:
        lines.append("Every target of what was compared is met.")
    return "\n".join(lines) + "\n"
