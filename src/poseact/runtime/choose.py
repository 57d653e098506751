"""The fastest runtime on this machine, measured once for each network and cached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, cast

import numpy as np

from poseact.runtime.cache import ModelCache, machine
from poseact.runtime.int8_photos import shipped_photos
from poseact.runtime.interface import (
    AUTO,
    Precision,
    Runtime,
    RuntimeName,
    computes_in,
    has_bf16,
    installed,
)

_log = logging.getLogger(__name__)

_FILE = "fastest.json"
_PHOTOS = 8
_ROUNDS = 15
_MOST_S = 3.0
_LEFT_OUT = 1e6
# Farthest that a joint may lie from where PyTorch puts it in 32 bit, in shares of the crop: in the
# same precision anywhere, else on average.
_SAME = 1e-3
_CLOSE = 5e-3


class Choice(NamedTuple):
    """A runtime and the precision in which it computes."""

    runtime: RuntimeName
    precision: Precision


TORCH = Choice("torch", "fp32")


def has_gpu() -> bool:
    """Whether there is a GPU that PyTorch uses by default; checked without importing PyTorch."""
    return Path("/dev/nvidiactl").exists()


def choices(runtime: str, precision: str, on_cpu: bool) -> list[Choice]:
    """Candidates of ``auto``; PyTorch in 32 bit is the first if included.

    Args:
        runtime: A name or ``auto``.
        precision: A name or ``auto``.
        on_cpu: Whether the network is to run on the CPU.
    """
    names: list[RuntimeName] = [name for name in installed() if runtime in (name, AUTO)]
    faster: list[Precision] = ["fp32", "bf16"] if has_bf16() or not on_cpu else ["fp32"]
    bits: list[Precision] = faster if precision == AUTO else [cast(Precision, precision)]
    return [Choice(name, one) for name in names for one in bits if computes_in(name, one)]


def fastest(
    possible: Sequence[Choice], start: Callable[[Choice], Runtime], size: int, cache: ModelCache
) -> Choice:
    """The fastest of several choices at batch size 1.

    All times are remembered in the cache. Choices whose poses are not those of PyTorch in 32 bit
    are out.

    Args:
        possible: To choose from; the first is taken where no other does.
        start: Starts one.
        size: Side of a crop in px.
        cache: Of the network.
    """
    here, remembered = machine(), cache.read(_FILE) or {}
    times: dict[str, float] = remembered.get(here, {})
    if not all(" ".join(choice) in times for choice in possible):
        times |= {" ".join(choice): _LEFT_OUT for choice in possible}
        measured = _measured(possible, start, size)
        times |= {" ".join(choice): seconds for choice, seconds in measured.items()}
        cache.write(_FILE, {**remembered, here: times})
    return min(possible, key=lambda choice: times[" ".join(choice)])


def _measured(
    possible: Sequence[Choice], start: Callable[[Choice], Runtime], size: int
) -> dict[Choice, float]:
    """Median seconds per picture of the choices whose poses are right."""
    crops = shipped_photos(size).crops[:_PHOTOS]
    wanted = start(TORCH)(crops)[0]
    running = {}
    for choice in possible:
        try:
            runtime = start(choice)
            away = np.linalg.norm((runtime(crops)[0] - wanted)[..., :2], axis=-1)
        except Exception as error:  # noqa: BLE001 - a network that does not convert runs in others
            _log.warning("%s in %s is left out: %s", *choice, error)
            continue
        if away.max() <= _SAME or (choice.precision != "fp32" and away.mean() <= _CLOSE):
            running[choice] = runtime
    return _medians(running, crops[:1]) if running else {}


def _medians(running: dict[Choice, Runtime], crop: np.ndarray) -> dict[Choice, float]:
    """Median seconds per picture, measured in turn so that other load affects all alike."""
    times: dict[Choice, list[float]] = {choice: [] for choice in running}
    begun = perf_counter()
    for number in range(_ROUNDS):
        for choice, runtime in running.items():
            before = perf_counter()
            runtime(crop)
            times[choice].append(perf_counter() - before)
        if number and perf_counter() - begun > _MOST_S:
            break
    return {choice: float(np.median(own)) for choice, own in times.items()}
