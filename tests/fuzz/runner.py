"""Runs mutations in child processes and counts what came of them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

HANG_SECONDS = 20.0
"""Of computing, so that the load of the machine does not count."""


@dataclass
class Count:
    """What came of the mutations of one format.

    Attributes:
        read: Read as if nothing was wrong, or with a warning.
        refused: Refused in one sentence.
        faults: Everything else, by the number of the mutation: exceptions, crashes, hangs, memory.
        slowest: Seconds that the slowest took.
    """

    read: int = 0
    refused: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """Mutations."""
        return self.read + self.refused + len(self.faults)

    def of_kind(self, kind: str) -> int:
        """Faults whose text begins like this."""
        return sum(fault.startswith(kind) for fault in self.faults.values())


def fuzz(names: str, seed: int, count: int) -> Count:
    """So many mutations of each format; after a crash or a hang the next one goes on.

    Args:
        names: Formats, separated by commas.
        seed: Of the mutations.
        count: Of each format.
    """
    total, first, last = Count(), 0, count * len(names.split(","))
    while first < last:
        first = _batch(names, seed, first, last, total)
    return total


def _batch(name: str, seed: int, first: int, last: int, total: Count) -> int:
    """Run a child to its end; returns the number to go on with."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fuzz.child", name, *map(str, (seed, first, last)), folder]
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MALLOC_ARENA_MAX": "1"}
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert child.stdout is not None
        assert child.stderr is not None
        lines: queue.Queue[str] = queue.Queue()
        errors: list[str] = []
        readers = [
            threading.Thread(target=lambda: [lines.put(line) for line in child.stdout or ()]),
            threading.Thread(target=lambda: errors.extend(child.stderr or ())),
        ]
        for reader in readers:
            reader.start()
        current, fault = None, "crash"
        begun = float("inf")  # building the seeds is not counted
        while child.poll() is None or not lines.empty() or readers[0].is_alive():
            try:
                text = lines.get(timeout=1.0 if child.poll() is None else 0.2)
            except queue.Empty:
                if child.poll() is None and _computed(child.pid) - begun > HANG_SECONDS:
                    fault = "hang"
                    child.kill()
                continue
            if not text.startswith('{"number"'):
                continue  # the words of a library
            line = json.loads(text)
            begun = _computed(child.pid)
            current = line["number"] if "found" not in line else None
            if "found" in line:
                _add(total, line)
        for reader in readers:
            reader.join()
        if current is not None:
            told = " ".join(" ".join(errors[:12]).split())[:400]
            total.faults[current] = f"{fault} {child.returncode} {told}"
            return current + 1
        if child.returncode:
            raise RuntimeError(f"{name}: {''.join(errors)[-2000:]}")
        return last


def _computed(process: int) -> float:
    """Seconds that a process has computed; 0 once it is over."""
    try:
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


def _add(total: Count, line: dict) -> None:
    total.slowest = max(total.slowest, line["seconds"])
    if line["seconds"] > HANG_SECONDS:
        total.faults[line["number"]] = f"hang {line['seconds']:.0f} s"
    elif line["found"] == "read":
        total.read += 1
    elif line["found"] == "refused":
        total.refused += 1
    else:
        total.faults[line["number"]] = line["found"]
