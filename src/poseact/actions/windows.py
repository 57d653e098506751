"""Windows of T frames, chosen by time, so that length and frame rate of a clip do not matter."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-6
"""Tolerance in s, so that rounding does not decide between two frames."""

MAX_IN_GAP = 1000
"""Windows between two frames in a row. They all hold the same frames, and the times of a damaged or
sparse clip may lie years apart."""


def window_indices(times: np.ndarray, end: float, frames: int, fps: float) -> np.ndarray:
    """Indices of the frames of the window that ends at a time.

    The window wants a frame every ``1 / fps`` seconds, the last at ``end``, and takes the nearest
    that there is up to ``end``. A clip that is shorter than the window is looped. Only frames up to
    ``end`` are used, so a live stream and the whole file give the same window.

    Args:
        times: ``(N,)`` rising seconds of the frames; the first is the start of the clip.
        end: Time of the last frame of the window, not before the first.
        frames: T.
        fps: Frame rate of the window.

    Returns:
        ``(T,)`` indices.
    """
    past = times[: np.searchsorted(times, end, side="right")]
    wanted = end - np.arange(frames - 1, -1, -1) / fps
    period = np.diff(past).mean() if len(past) > 1 else 1 / fps
    # One period longer than the span, so that the last frame does not coincide with the first.
    since = wanted - past[0]
    looped = np.mod(since, past[-1] - past[0] + period)
    rows = nearest(past, past[0] + np.where(since < -TOLERANCE, looped, since))
    rows[-1] = len(past) - 1
    return rows


def nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the time nearest to each wanted time; of two equally near ones, the earlier."""
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))
    before = after - 1
    after = after.clip(max=len(times) - 1)
    return np.where(wanted - times[before] <= times[after] - wanted + TOLERANCE, before, after)


def window_ends(times: np.ndarray, frames: int, fps: float, hop: int | None = None) -> np.ndarray:
    """End times of overlapping windows that cover a clip, at most ``MAX_IN_GAP`` between frames.

    Args:
        times: ``(N,)`` rising seconds of the frames.
        frames: T of the windows.
        fps: Frame rate of the windows.
        hop: Frames from one window to the next (default half a window).

    Returns:
        ``(W,)`` seconds, at least one; the last is the clip's own end.
    """
    first = min(times[0] + (frames - 1) / fps, times[-1])
    step = (max(frames // 2, 1) if hop is None else hop) / fps
    counts = windows_before(times, first, step)
    new = np.diff(counts, prepend=0)
    numbers = [
        np.arange(count - more, count - more + min(more, MAX_IN_GAP))
        for count, more in zip(counts[new > 0].tolist(), new[new > 0].tolist(), strict=True)
    ]
    return np.concatenate([*(first + step * part for part in numbers), times[-1:]])


def windows_before(times: np.ndarray, first: float, step: float) -> np.ndarray:
    """Number of windows that end before each time, if they end at ``first`` and every ``step``."""
    return np.ceil((times - first) / step - 1e-9).clip(0).astype(np.int64)


def centre_end(times: np.ndarray, frames: int, fps: float) -> float:
    """End time of the centre window of a clip."""
    middle = (times[0] + times[-1]) / 2
    return float(min(middle + (frames - 1) / fps / 2, times[-1]))
