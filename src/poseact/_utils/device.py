"""Device, threads and memory of a network."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from poseact._utils.errors import PoseActError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

# Percent of time in which somebody may wait for a core where cores count as free.
_LITTLE_WAITING = 5.0

# Parameters of glibc's mallopt(3).
_MALLOC = {
    -4: 0,  # M_MMAP_MAX: no block gets pages of its own, which go back when it is freed.
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: free memory goes back from 2 GiB on, not from 128 KiB.
    -2: 200 * 2**20,  # M_TOP_PAD: the heap grows by this many bytes more than were asked for.
}


def on_device(device: str | torch.device | None, start: Callable[[torch.device], T]) -> T:
    """Call ``start`` with a device, by default CUDA if available.

    Args:
        device: Such as ``"cpu"`` or ``"cuda"``; by default CUDA if available.
        start: Moves something to the device and, best, tries it there.

    Raises:
        PoseActError: There is no such device, or it cannot be used.
    """
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(chosen)
        if place.type == "cpu":
            keep_freed_memory()
        return start(place)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise PoseActError(
            f"The device {str(chosen)!r} cannot be used here ({error}); give 'cpu'."
        ) from error


def cores_are_free(proc: Path = Path("/proc")) -> bool:
    """Whether waiting threads may spin for a while, which is OpenMP's default.

    That makes small steps up to a third faster where there is a core for every thread, and many
    times slower where others need the cores: on a busy machine, and in continuous integration.

    Args:
        proc: Where Linux tells of itself, see proc(5); elsewhere the load average decides.
    """
    if os.environ.get("CI"):
        return False
    cores = os.cpu_count() or 1
    try:
        # Percent of the last 10 s in which somebody waited for a core, and who computes just now.
        # The load average still counts what ended minutes ago.
        waited = float((proc / "pressure/cpu").read_text().split("avg10=")[1].split()[0])
        others = int((proc / "loadavg").read_text().split()[3].split("/")[0]) - 1
    except (OSError, IndexError, ValueError):
        return hasattr(os, "getloadavg") and os.getloadavg()[0] < cores / 4
    return waited < _LITTLE_WAITING and others < cores / 4


@cache
def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next step.

    By default, glibc returns large blocks to the system, which has to clear them when they are
    wanted again: 3,500 pages for each picture in a training of ``small`` in 32 bit, an eighth of
    its time. The process then holds as much memory as it ever needed at once. Only the first call
    has an effect; ``POSEACT_MALLOC=0`` leaves malloc as it is.

    Returns:
        Whether malloc was changed; never without glibc.
    """
    if os.environ.get("POSEACT_MALLOC") == "0" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(parameter, value) for parameter, value in _MALLOC.items())


@contextmanager
def single_thread() -> Generator[None]:
    """Compute on one thread within the block, for steps that are too small to share.

    The number of threads is PyTorch's for the process: what other threads compute meanwhile may be
    slower too. It is as before afterwards.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
