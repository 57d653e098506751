"""What a training keeps on disk to go on from."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch


def read_state(path: Path, *parts: str, mmap: bool = False) -> dict[str, Any] | None:
    """The state that a training saved; None where the file is damaged or holds something else.

    Args:
        path: A file of ``torch.save``. Plain values and tensors alone are read, never code.
        parts: Keys it must have.
        mmap: Leave the tensors on disk until they are used.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (
        RuntimeError,
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        pickle.PickleError,
    ):
        return None
    whole = isinstance(state, dict) and all(part in state for part in parts)
    return state if whole else None
