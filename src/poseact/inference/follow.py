"""Following one person from frame to frame by the poses themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.media.crop import MIN_SIDE_PX, Box, Square, person_square, whole_square

Read = Callable[[np.ndarray, Sequence[Square], int, float], list[PersonReading]]
"""Poses in squares of a picture, with its number and its time in s."""

SURE = 0.5
"""Confidence from which a joint counts as seen."""

LIKELY = 0.2
"""Probability of being right from which a joint says where the body is: one that is a little off
does so too."""

# Room around the joints besides their spread. Of 1.0, 1.05, 1.1, 1.25 and 1.4 all but the last two
# find held-out exercise photos better than squares without spread; less room loses people in video.
_MARGIN = 1.1
# A joint that is not seen may lie outside the square, which then has to grow to find it again.
_GROWTH = 1.2
# A square is not trusted to shrink further at once: a pose read from too far away is too small.
_SHRINKAGE = 0.4


def closer_square(
    joints: np.ndarray,
    confidence: np.ndarray,
    spread: np.ndarray,
    square: Square,
    width: int,
    height: int,
    sure: float = SURE,
) -> Square | None:
    """The square to read a pose from next, given the pose read from this one.

    It surrounds the joints that are seen, with room for how unsure their places are: a square that
    holds only a part of the body makes wide heat maps, and so grows again. While some joints are
    not seen, it also grows, up to the whole picture.

    Args:
        joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
        confidence: ``(J,)``.
        spread: ``(J, 2)`` standard deviation of the places in px.
        square: What the pose was read from.
        width: Of the picture in px.
        height: Of the picture in px.
        sure: Confidence from which a joint counts, see :attr:`Predictor.sure`.

    Returns:
        The square, or None where fewer than two joints are seen.
    """
    seen = confidence >= sure
    if seen.sum() < 2:
        return None
    x, y, side = person_square(_bounds(joints[seen], spread[seen]), _MARGIN)
    least = (_SHRINKAGE if seen.all() else _GROWTH) * square[2]
    largest = whole_square(width, height)[2]
    return x, y, min(max(side, least), max(side, largest))


def person_box(joints: np.ndarray, spread: np.ndarray) -> Box:
    """The box of a person, with the room around it that squares leave.

    It holds the joints and the standard deviation of their places, and on every side as much more
    as a square around them that is ``1.1`` times as large leaves along its longer side.

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
    """The crop square of one person in a video.

    The square follows the last pose, smoothed so that it does not tremble with the joints. It is
    given up, and the next frame searched as a whole, when the mean confidence falls below
    ``lost_below``, the square shrinks to nothing or leaves the picture.

    Args:
        smoothing: Share of the old square that is kept, from 0 (none) to below 1.
        lost_below: Mean confidence of the joints under which the person counts as lost.
    """

    def __init__(self, smoothing: float = 0.5, lost_below: float = 0.3) -> None:
        self.smoothing = smoothing
        self.lost_below = lost_below
        self.square: Square | None = None
        self._size: tuple[int, int] | None = None

    def begin(self, square: Square, width: int, height: int) -> None:
        """Follow who is in a square of a picture of this size in px."""
        self.square, self._size = square, (width, height)

    def square_in(self, width: int, height: int) -> Square | None:
        """The square in the next picture, of this size in px; another size starts again."""
        if self._size != (width, height):
            self.square = None
        return self.square

    def update(
        self,
        joints: np.ndarray,
        confidence: np.ndarray,
        spread: np.ndarray,
        read_from: Square,
        width: int,
        height: int,
        sure: float = SURE,
    ) -> None:
        """Move the square to a new pose.

        Args:
            joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
            confidence: ``(J,)``.
            spread: ``(J, 2)`` standard deviation of the places in px.
            read_from: The square that the pose was read from.
            width: Of the picture in px.
            height: Of the picture in px.
            sure: Confidence from which a joint counts.
        """
        self._size = width, height
        target = closer_square(joints, confidence, spread, read_from, width, height, sure)
        if target is None or confidence.mean() < self.lost_below:
            self.square = None
            return
        kept = 0.0 if self.square is None else self.smoothing
        x, y, side = (
            kept * old + (1 - kept) * new for old, new in zip(read_from, target, strict=True)
        )
        inside = 0 <= x <= width and 0 <= y <= height
        self.square = (x, y, side) if inside and side > MIN_SIDE_PX else None
