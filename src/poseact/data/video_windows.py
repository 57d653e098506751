"""Selection of T frames from a video by frame count, as the authors do."""

import numpy as np


def fitting_stride(length: int, frames: int, stride: int) -> int:
    """The largest stride up to the given one by which T frames fit into the video, at least 1."""
    return max(1, min(stride, length // frames))


def looped(start: int, length: int, frames: int, stride: int) -> list[int]:
    """T frame numbers from ``start`` on; a video that is too short is looped."""
    return ((start + stride * np.arange(frames)) % length).tolist()


def training_window(length: int, frames: int, stride: int, rng: np.random.Generator) -> list[int]:
    """A window anywhere in a video.

    Args:
        length: Frames of the video.
        frames: T.
        stride: Step between frames; smaller in a video too short for it.
        rng: Random generator.
    """
    stride = fitting_stride(length, frames, stride)
    span = (frames - 1) * stride + 1
    return looped(int(rng.integers(max(length - span, 0) + 1)), length, frames, stride)


def centre_window(length: int, frames: int, stride: int) -> list[int]:
    """The window in the middle of a video (single clip, CVPR 2018)."""
    stride = fitting_stride(length, frames, stride)
    span = (frames - 1) * stride + 1
    return looped(max(length - span, 0) // 2, length, frames, stride)


def all_windows(length: int, frames: int, stride: int) -> list[list[int]]:
    """Windows over a whole video, half a window apart (multi clip, CVPR 2018).

    The authors advance by ``T // 2 + (stride - 1)`` frames whatever the stride, and give no window
    to a video shorter than one; here it is looped, and the last window ends with the video.
    """
    stride = fitting_stride(length, frames, stride)
    span = (frames - 1) * stride + 1
    hop = max(frames // 2 + (stride - 1), 1)
    last = max(length - span, 0)
    starts = sorted({*range(0, last + 1, hop), last})
    return [looped(start, length, frames, stride) for start in starts]
