"""Following one person from frame to frame by the poses themselves."""

from __future__ import annotations

import numpy as np

from poseact.crop import MIN_SIDE_PX, Window, person_window, whole_window

SURE = 0.5
"""Confidence from which a joint counts as seen."""

# Room around the joints besides their spread. Of 1.0, 1.05, 1.1, 1.25 and 1.4 all but the last two
# find held-out exercise photos better than windows without spread; less room loses people in video.
_MARGIN = 1.1
# A joint that is not seen may lie outside the window, which then has to grow to find it again.
_GROWTH = 1.2
# A window is not trusted to shrink further at once: a pose read from too far away is too small.
_SHRINKAGE = 0.4


def closer_window(
    joints: np.ndarray,
    confidence: np.ndarray,
    spread: np.ndarray,
    window: Window,
    width: int,
    height: int,
) -> Window | None:
    """The window to read a pose from next, given the pose read from this one.

    It surrounds the joints that are seen, with room for how unsure their places are: a window that
    holds only a part of the body makes wide heat maps, and so grows again. While some joints are
    not seen, it also grows, up to the whole picture.

    Args:
        joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
        confidence: ``(J,)``.
        spread: ``(J, 2)`` standard deviation of the places in px.
        window: What the pose was read from.
        width: Of the picture in px.
        height: Of the picture in px.

    Returns:
        The window, or None where fewer than two joints are seen.
    """
    seen = confidence >= SURE
    if seen.sum() < 2:
        return None
    low = (joints[seen, :2] - spread[seen]).min(0)
    high = (joints[seen, :2] + spread[seen]).max(0)
    x, y, side = person_window((*low, *high), _MARGIN)
    least = (_SHRINKAGE if seen.all() else _GROWTH) * window[2]
    largest = whole_window(width, height)[2]
    return x, y, min(max(side, least), max(side, largest))


class PersonFollower:
    """The crop window of one person in a video.

    The window follows the last pose, smoothed so that it does not tremble with the joints. It is
    given up, and the next frame searched as a whole, when the mean confidence falls below
    ``lost_below``, the window shrinks to nothing or leaves the picture.

    Args:
        smoothing: Share of the old window that is kept, from 0 (none) to below 1.
        lost_below: Mean confidence of the joints under which the person counts as lost.
    """

    def __init__(self, smoothing: float = 0.5, lost_below: float = 0.3) -> None:
        self.smoothing = smoothing
        self.lost_below = lost_below
        self.window: Window | None = None

    def update(
        self,
        joints: np.ndarray,
        confidence: np.ndarray,
        spread: np.ndarray,
        read_from: Window,
        width: int,
        height: int,
    ) -> None:
        """Move the window to a new pose.

        Args:
            joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
            confidence: ``(J,)``.
            spread: ``(J, 2)`` standard deviation of the places in px.
            read_from: The window that the pose was read from.
            width: Of the picture in px.
            height: Of the picture in px.
        """
        target = closer_window(joints, confidence, spread, read_from, width, height)
        if target is None or confidence.mean() < self.lost_below:
            self.window = None
            return
        kept = 0.0 if self.window is None else self.smoothing
        x, y, side = (
            kept * old + (1 - kept) * new for old, new in zip(read_from, target, strict=True)
        )
        inside = 0 <= x <= width and 0 <= y <= height
        self.window = (x, y, side) if inside and side > MIN_SIDE_PX else None
