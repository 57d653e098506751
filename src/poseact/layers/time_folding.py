"""Time folded into the batch, so that image layers can process clips."""

from torch import Tensor


def fold_time(x: Tensor) -> Tensor:
    """``(B, T, ...)`` to ``(B * T, ...)``, so that every frame is an image of its own."""
    return x.flatten(0, 1)


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """``(B * T, ...)`` back to ``(B, T, ...)`` with T = ``frames``."""
    return x.unflatten(0, (-1, frames))
