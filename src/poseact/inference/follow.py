"""Following one person from frame to frame by the poses themselves."""

from __future__ import annotations

import numpy as np

from poseact.crop import MIN_SIDE_PX, Window, person_window, whole_window

SURE = 0.5
"""Confidence from which a joint counts as seen."""


def pose_window(joints: np.ndarray, confidence: np.ndarray) -> Window | None:
    """Window around the joints that are seen; None where fewer than two are.

    Args:
        joints: ``(J, 2)`` or ``(J, 3)``, x and y in px.
        confidence: ``(J,)``.
    """
    seen = joints[confidence >= SURE, :2]
    if len(seen) < 2:
        return None
    return person_window((*seen.min(0), *seen.max(0)))


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

    def update(self, joints: np.ndarray, confidence: np.ndarray, width: int, height: int) -> None:
        """Move the window to a new pose.

        Args:
            joints: ``(J, 2)`` or ``(J, 3)``, x and y in px of the picture.
            confidence: ``(J,)``.
            width: Of the picture in px.
            height: Of the picture in px.
        """
        target = pose_window(joints, confidence)
        if target is None or confidence.mean() < self.lost_below:
            self.window = None
            return
        kept = 0.0 if self.window is None else self.smoothing
        old = target if self.window is None else self.window
        x, y, side = (kept * a + (1 - kept) * b for a, b in zip(old, target, strict=True))
        inside = 0 <= x <= width and 0 <= y <= height
        largest = 2 * whole_window(width, height)[2]
        self.window = (x, y, side) if inside and MIN_SIDE_PX < side < largest else None
