"""``PYTHONPATH=tests python -m fuzz [--count N] [--seed S] [FORMAT ...]``."""

from __future__ import annotations

import argparse
import sys

from fuzz.runner import fuzz
from fuzz.targets import TARGETS


def main() -> int:
    """Print a line for each format, and every fault with what repeats it."""
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("formats", nargs="*", default=list(TARGETS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    out = sys.stdout.write
    out("| format | seed | mutations | read | refused | exceptions | crashes | hangs | > 1 GB |")
    out(" slowest |\n|---|" + "---:|" * 9 + "\n")
    faults = 0
    for name in given.formats:
        count = fuzz(name, given.seed, given.count)
        crashes, hangs, memory = (count.of_kind(kind) for kind in ("crash", "hang", "memory"))
        others = len(count.faults) - crashes - hangs - memory
        numbers = (given.seed, count.total, count.read, count.refused, others, crashes, hangs)
        cells = " | ".join(map(str, (name, *numbers, memory, f"{count.slowest:.1f} s")))
        out(f"| {cells} |\n")
        for number, fault in count.faults.items():
            out(f"  {name}, seed {given.seed}, mutation {number}: {fault}\n")
        sys.stdout.flush()
        faults += len(count.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
