"""Reads mutations in a process of its own: ``python -m fuzz.child NAME SEED FIRST LAST FOLDER``.

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
import time
import warnings
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


def mutation(
    seeds: list[Seed], originals: list[bytes], seed: int, number: int
) -> tuple[int, bytes]:
    """The place of a seed, and its mutation of this number."""
    rng = random.Random(f"{seed} {number}")
    place = number % len(seeds)
    return place, seeds[place].mutate(rng, originals[place])


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(name: str, seed: int, first: int, last: int, folder: Path) -> None:
    """Read the mutations from ``first`` to before ``last``."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    cv2.setNumThreads(1)
    seeds = TARGETS[name](folder)
    originals = [one.path.read_bytes() for one in seeds]
    for one, content in zip(seeds, originals, strict=True):
        if (found := outcome(one, content)) != "read":
            raise SystemExit(f"the seed {one.path.name} is not read: {found}")
    _limit_memory()
    for number in range(first, last):
        place, content = mutation(seeds, originals, seed, number)
        _tell(number=number)
        start = time.perf_counter()
        found = outcome(seeds[place], content)
        seeds[place].path.write_bytes(originals[place])
        seconds = time.perf_counter() - start
        _tell(number=number, found=found, seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))
