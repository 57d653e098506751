"""Where a network runs, and on how many threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from poseact._utils.errors import PoseActError

T = TypeVar("T")


def on_device(device: str | torch.device | None, start: Callable[[torch.device], T]) -> T:
    """What ``start`` gives on a device.

    Args:
        device: Such as ``"cpu"`` or ``"cuda"``; by default CUDA where there is one.
        start: Moves something to the device and, best, tries it there.

    Raises:
        PoseActError: There is no such device, or it cannot be used.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return start(torch.device(chosen))
    except (RuntimeError, AssertionError, ImportError) as error:
        raise PoseActError(
            f"The device {str(chosen)!r} cannot be used here ({error}); give 'cpu'."
        ) from error


@contextmanager
def single_thread() -> Iterator[None]:
    """A block that computes on one thread, for steps so small that to wake others takes longer.

    The number of threads is PyTorch's for the process: what other threads compute meanwhile may be
    slower too. It is as before afterwards.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
