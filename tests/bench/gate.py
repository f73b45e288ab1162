"""Instruction counts of hot paths, against a baseline. Started by ./gate, which builds what is counted.

Two things are counted under callgrind: paths of the pipeline in one process without sockets (gateway/runtime/examples/
hot_paths.rs), and whole requests through the gateway's own binary, one after the other on one connection. Unlike time, counts
are the same on a busy machine: runs differ by a few tenths of a percent, by hash seeds and the order of wake-ups.
"""

import argparse
import json
import sys
import time

from harness import callgrind
from harness.places import REPOSITORY, SOURCE

BASELINE = SOURCE / "baseline.json"
BUILT = REPOSITORY / "target" / "gate" / "debug"
# A path may take this much more than the baseline says. Runs differ by up to 1.6 % (hash seeds, what the heap looks like), checkouts by more.
TOLERANCE_PERCENT = 5.0


def measure() -> dict[str, int]:
    """Instructions by path."""
    counts = {
        f"pipeline: {name}": count for name, count in callgrind.hot_paths(BUILT / "examples" / "hot_paths").items()
    }
    counts |= {f"request: {name}": count for name, count in callgrind.whole_requests(BUILT / "moongate").items()}
    return counts


def compare(counts: dict[str, int], baseline: dict[str, int]) -> tuple[list[str], list[str], list[str]]:
    """A table, what is too much, and what else should be in a new baseline."""
    table, excess, stale = [], [], []
    for name, count in counts.items():
        wanted = baseline.get(name)
        if wanted is None:
            table.append(f"{name:<45} {count:>9,}          -         new")
            stale.append(f"{name} is new")
            continue
        percent = (count / wanted - 1) * 100
        table.append(f"{name:<45} {count:>9,}  {wanted:>9,}  {percent:>+7.1f} %")
        if percent > TOLERANCE_PERCENT:
            excess.append(f"{name} takes {count:,} instructions, {percent:+.1f} % over {wanted:,}")
        elif percent < -TOLERANCE_PERCENT:
            stale.append(f"{name} takes {-percent:.1f} % less than the baseline: keep what was won")
    stale += [f"{name} is gone" for name in baseline if name not in counts]
    return table, excess, stale


def read_baseline() -> tuple[str, dict[str, int]]:
    """What the baseline was counted with, and its counts."""
    if not BASELINE.exists():
        return "", {}
    kept = json.loads(BASELINE.read_text())
    return kept["environment"], kept["instructions"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/bench/gate", description="Compares instruction counts of hot paths with the baseline."
    )
    parser.add_argument("--update", action="store_true", help="write the baseline anew")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        counts = measure()
    except callgrind.Unusable as reason:
        print(f"gate: skipped, {reason}")
        return 0
    environment = callgrind.environment()
    kept_environment, baseline = read_baseline()
    table, excess, stale = compare(counts, baseline)
    print(f"{'instructions per call':<45} {'now':>9}  {'baseline':>9}")
    print("\n".join(table))
    print(f"counted in {time.monotonic() - begin:.0f} s")
    if options.update:
        BASELINE.write_text(json.dumps({"environment": environment, "instructions": counts}, indent=2) + "\n")
        print(f"written: {BASELINE.relative_to(REPOSITORY)}")
        return 0
    if environment != kept_environment:
        print(f"gate: not compared. The baseline is of {kept_environment or 'nothing'}; this is {environment}.")
        return 0
    for text in stale:
        print(f"gate: note: {text} (tests/bench/gate --update)")
    if excess:
        print("\ngate: FAILED. These paths cost more than before:", *excess, sep="\n  ")
        print(
            "Find out where: callgrind_annotate on the files in target/gate/callgrind. Where the work is worth its price, run "
            "`tests/bench/gate --update`, commit baseline.json with the change and say in the message what the instructions buy."
        )
        return 1
    print(f"gate: passed, nothing is {TOLERANCE_PERCENT:.0f} % over the baseline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
