"""Compares Moongate with its peers and writes the figures down. Started by ./run, which sees to the tools; see README.md."""

import shutil
import sys
from collections.abc import Callable

from harness import chart, machine, options, report
from harness.compare import Comparison, Runner, note
from harness.peer import Peer, Unavailable, output_of, version_in
from harness.places import SOURCE, TARGET
from peers import PEERS
from scale import bodies, idle, routes
from scenarios import SCENARIOS

# Scales of one thing, which have tables of their own.
SCALES: dict[str, Callable[[dict[str, Peer], options.Options, machine.Cores], report.Section]] = {
    "ROUTES": routes.run,
    "IDLE": idle.run,
    "BODIES": bodies.run,
}


# What 10,000 connections take on both sides of a proxy.
DESCRIPTORS = 65_536


def main() -> int:
    chosen = options.parse(sys.argv[1:], list(PEERS), [*SCENARIOS, *SCALES])
    cores = machine.Cores.split()
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    machine.raise_descriptor_limit(DESCRIPTORS)
    versions: dict[str, str] = {}
    absent: dict[str, str] = {}
    for name in chosen.peers:
        try:
            versions[name] = PEERS[name].version()
        except Unavailable as reason:
            absent[name] = str(reason)
            note(f"{name} is left out: {reason}")
    if not versions:
        raise SystemExit("nothing to measure")
    peers = {name: PEERS[name] for name in versions}
    versions |= {"wrk": version_in(output_of("wrk", "-v"))}
    if machine.load_of_others() > 0.5:
        note(f"the machine is busy (load {machine.load_of_others():.1f}): figures will be of little use")

    runner = Runner(chosen, cores)
    comparisons: list[Comparison] = []
    sections: list[report.Section] = []
    for name in chosen.scenarios:
        if name in SCENARIOS:
            comparisons.append(runner.compare(SCENARIOS[name], peers))
            sections.append(report.of_comparison(comparisons[-1]))
        else:
            sections.append(SCALES[name](peers, chosen, cores))

    head = report.heading(chosen, machine.facts(), versions, absent)
    picture = "RESULTS.svg" if chosen.is_saved else "RESULT.svg"
    figure = f"![CPU by scenario and peer]({picture})\n\n" if comparisons else ""
    text = (
        head
        + "\n"
        + figure
        + "\n".join(report.markdown(section) for section in sections)
        + "\n"
        + report.verdict(sections)
    )
    (TARGET / "RESULT.md").write_text(text)
    (TARGET / "RESULT.svg").write_text(chart.svg(comparisons, "Moongate and its peers on the same work"))
    if chosen.is_saved:
        (SOURCE / "RESULTS.md").write_text(text)
        shutil.copy(TARGET / "RESULT.svg", SOURCE / "RESULTS.svg")
    print(text, end="")
    has_failed = any("moongate" in text for section in sections for text in section.failed)
    has_missed = any(section.missed for section in sections)
    return 1 if has_failed or (chosen.is_strict and has_missed) else 0


if __name__ == "__main__":
    sys.exit(main())
