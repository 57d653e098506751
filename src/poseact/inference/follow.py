"""Following one person from frame to frame by the poses themselves."""

from __future__ import annotations

import numpy as np

from poseact.media.crop import MIN_SIDE_PX, Box, Window, person_window, whole_window

SURE = 0.5
"""Confidence from which a joint counts as seen."""

LIKELY = 0.2
"""Probability of being right from which a joint says where the body is: one that is a little off
does so too."""

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
    sure: float = SURE,
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
        sure: Confidence from which a joint counts, see :attr:`Predictor.sure`.

    Returns:
        The window, or None where fewer than two joints are seen.
    """
    seen = confidence >= sure
    if seen.sum() < 2:
        return None
    x, y, side = person_window(_bounds(joints[seen], spread[seen]), _MARGIN)
    least = (_SHRINKAGE if seen.all() else _GROWTH) * window[2]
    largest = whole_window(width, height)[2]
    return x, y, min(max(side, least), max(side, largest))


def person_box(joints: np.ndarray, spread: np.ndarray) -> Box:
    """The box of a person, with the room around it that windows leave.

    It holds the joints and the standard deviation of their places, and on every side as much more
    as a window around them that is ``1.1`` times as large leaves along its longer side.

    Args:
        joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
        spread: ``(J, 2)`` standard deviation of the places in px.
    """
    x0, y0, x1, y1 = _bounds(joints, spread)
    room = (_MARGIN - 1) / 2 * max(x1 - x0, y1 - y0)
    return x0 - room, y0 - room, x1 + room, y1 + room


def _bounds(joints: np.ndarray, spread: np.ndarray) -> Box:
    low, high = (joints[:, :2] - spread).min(0), (joints[:, :2] + spread).max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


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
        self._size: tuple[int, int] | None = None

    def begin(self, window: Window, width: int, height: int) -> None:
        """Follow who is in a window of a picture of this size in px."""
        self.window, self._size = window, (width, height)

    def window_in(self, width: int, height: int) -> Window | None:
        """The window in the next picture, of this size in px; another size begins anew."""
        if self._size != (width, height):
            self.window = None
        return self.window

    def update(
        self,
        joints: np.ndarray,
        confidence: np.ndarray,
        spread: np.ndarray,
        read_from: Window,
        width: int,
        height: int,
        sure: float = SURE,
    ) -> None:
        """Move the window to a new pose.

        Args:
            joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
            confidence: ``(J,)``.
            spread: ``(J, 2)`` standard deviation of the places in px.
            read_from: The window that the pose was read from.
            width: Of the picture in px.
            height: Of the picture in px.
            sure: Confidence from which a joint counts.
        """
        self._size = width, height
        target = closer_window(joints, confidence, spread, read_from, width, height, sure)
        if target is None or confidence.mean() < self.lost_below:
            self.window = None
            return
        kept = 0.0 if self.window is None else self.smoothing
        x, y, side = (
            kept * old + (1 - kept) * new for old, new in zip(read_from, target, strict=True)
        )
        inside = 0 <= x <= width and 0 <= y <= height
        self.window = (x, y, side) if inside and side > MIN_SIDE_PX else None
