"""One core for a process, where the system can do that."""

import os


def pin() -> None:
    """Keep this process on its last core; to be called before PyTorch counts the cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
