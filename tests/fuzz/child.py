"""Reads mutations in a process of its own: ``python -m fuzz.child NAMES SEED FIRST LAST FOLDER``.

A line of JSON for every mutation: its number before it is read, and what came of it after.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import resource
import sys
import warnings
from itertools import chain
from pathlib import Path

import cv2

from fuzz.targets import TARGETS, Seed
from poseact import PoseActError

GIGABYTE = 2**30


def _limit_memory() -> None:
    """A gigabyte more than what is taken now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + GIGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        words = str(error).lower()
        if isinstance(error, MemoryError) or "insufficient memory" in words or "bad_alloc" in words:
            return True
        error = error.__cause__ or error.__context__
    return False


def outcome(seed: Seed, content: bytes) -> str:
    """``read``, ``refused``, ``memory``, or the exception that passed the reader."""
    seed.path.write_bytes(content)
    try:
        seed.read(seed.path)
    except PoseActError as error:
        return "memory" if _out_of_memory(error) else "refused"
    except Exception as error:  # noqa: BLE001 - which one is the question
        return "memory" if _out_of_memory(error) else f"{type(error).__name__}: {error}"[:300]
    return "read"


def seeds_of(names: str, folder: Path) -> list[list[Seed]]:
    """The seeds of each format."""
    found = []
    for name in names.split(","):
        place = folder / name
        place.mkdir()
        found.append(TARGETS[name](place))
    return found


def mutation(seeds: list[list[Seed]], seed: int, number: int) -> tuple[Seed, bytes]:
    """The seed that is mutated for this number, and its mutation."""
    rng = random.Random(f"{seed} {number}")
    turn, format_ = divmod(number, len(seeds))
    chosen = seeds[format_][turn % len(seeds[format_])]
    return chosen, chosen.mutate(rng, chosen.path.read_bytes())


def _seconds() -> float:
    """Of computing, here and in processes that were started here."""
    return sum(os.times()[:4])


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(names: str, seed: int, first: int, last: int, folder: Path) -> None:
    """Read the mutations from ``first`` to before ``last``."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    cv2.setNumThreads(1)
    seeds = seeds_of(names, folder)
    for one in chain.from_iterable(seeds):
        if (found := outcome(one, one.path.read_bytes())) != "read":
            raise SystemExit(f"the seed {one.path.name} is not read: {found}")
    _limit_memory()
    for number in range(first, last):
        chosen, content = mutation(seeds, seed, number)
        original = chosen.path.read_bytes()
        _tell(number=number)
        start = _seconds()
        found = outcome(chosen, content)
        chosen.path.write_bytes(original)
        _tell(number=number, found=found, seconds=_seconds() - start)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))
