"""Everyone in a video: found every few frames, followed by their poses in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.boxes import square_of
from poseact.inference.detect import (
    THRESHOLD,
    VIDEO_CLOSE_LOOKS,
    VIDEO_LOOKS_PX,
    PersonDetector,
)
from poseact.inference.tracking import PeopleTracker, Sighting
from poseact.media import Frame
from poseact.media.crop import Box, Square
from poseact.metrics import overlaps

Read = Callable[[np.ndarray, Sequence[Square], int, float], list[PersonReading]]
"""Poses in squares of a picture, with its number and its time in s."""

LEAST_S, LONGEST_S = 0.2, 0.8
"""Time from one detection to the next: the more moves, the sooner."""

# Way of a person, in sizes, and mean change of the small grey picture after which it is time.
_WAY = 0.25
_CHANGE = 2.0
_CROSSING = 0.1
# Height and width of the pictures that tell the colours of people.
_COLOURED = 4, 2
# Where pictures come faster than they are answered, detections are rarer by this factor.
_LATE_FACTOR = 2.0
# Doubtful people may go on with a track.
_DOUBTFUL = THRESHOLD / 2
# Mean change of the grey values of a small copy, of 255, at which a frame belongs to another scene.
_CUT = 40.0
_SMALL_PX = (32, 24)


class Follow(Protocol):
    """Reads the people in the frames of one video, given one after the other."""

    def __call__(self, frame: Frame, late: bool = False) -> list[PersonReading]:
        """The people in the next frame.

        Args:
            frame: Later than the last.
            late: Whether frames come faster than they are read, so that time has to be saved.
        """
        ...


class EveryoneFollower:
    """The people in a video, frame by frame, with ids that stay.

    Args:
        detector: Finds them.
        read: Reads the poses.
        sure_joint: Confidence from which a joint says where the body is.
        limit: Largest number of people at a time, None for everyone.
    """

    def __init__(
        self, detector: PersonDetector, read: Read, sure_joint: float, limit: int | None = None
    ) -> None:
        self._detector, self._read = detector, read
        self._tracker = PeopleTracker(THRESHOLD, sure_joint, limit)
        self._shape: tuple[int, ...] = ()
        self._detected = -np.inf
        self._last = self._at_detection = np.zeros(0, np.float32)

    def readings(self, frame: Frame, late: bool = False) -> list[PersonReading]:
        """The people in the next frame, see :class:`Follow`."""
        height, width = frame.image.shape[:2]
        if self._is_cut(frame.image):
            self._tracker.cut(width, height)
            self._detected = -np.inf
        in_view = self._tracker.in_view
        if not self._is_time(frame.time, late):
            squares = [track.square for track in in_view]
            followed = self._read(frame.image, squares, frame.index, frame.time)
            seen = self._tracker.followed(followed, frame.time)
            if len(seen) == len(in_view) or frame.time - self._detected < LEAST_S / 2:
                return seen
        self._detected, self._at_detection = frame.time, self._last
        people = self._detector.find(frame.image, _DOUBTFUL, VIDEO_LOOKS_PX, VIDEO_CLOSE_LOOKS)
        squares = [square_of(person.box) for person in people]
        poses = self._read(frame.image, squares, frame.index, frame.time)
        colours = [colours_of(frame.image, person.box) for person in people]
        sightings = [Sighting(*one) for one in zip(people, poses, squares, colours, strict=True)]
        return self._tracker.found(sightings, frame.time)

    def _is_time(self, time: float, late: bool) -> bool:
        """Whether to detect again because people moved far or the picture changed."""
        passed = (time - self._detected) / (_LATE_FACTOR if late else 1.0)
        if not LEAST_S <= passed < LONGEST_S:
            return passed >= LONGEST_S
        in_view = self._tracker.in_view
        boxes = np.array([track.box for track in in_view]).reshape(-1, 4)
        # Poses of people who cross are easily mixed up.
        crossing = bool(np.triu(overlaps(boxes, boxes) > _CROSSING, 1).any())
        speeds = (np.abs(track.velocity).max() / track.size for track in in_view)
        change = float(np.abs(self._last - self._at_detection).mean())
        return (
            crossing
            or self._tracker.awaited
            or max(speeds, default=0.0) * passed > _WAY
            or change > _CHANGE
        )

    def _is_cut(self, image: np.ndarray) -> bool:
        """Whether a picture belongs to another scene, or is of another size."""
        small = cv2.resize(image, _SMALL_PX, interpolation=cv2.INTER_AREA)
        former, self._last = self._last, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        resized, self._shape = image.shape != self._shape, image.shape
        return resized or float(np.abs(self._last - former).mean()) > _CUT


def colours_of(image: np.ndarray, box: Box) -> np.ndarray:
    """``(P, 3)`` colours of parts of the middle of a box, in 0 … 1.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        box: In it.
    """
    x0, y0, x1, y1 = box
    left, right = (round(x0 + share * (x1 - x0)) for share in (0.25, 0.75))
    part = image[round(y0) : max(round(y1), round(y0) + 1), left : max(right, left + 1)]
    if not part.size:
        return np.zeros((_COLOURED[0] * _COLOURED[1], 3))
    return cv2.resize(part, _COLOURED[::-1], interpolation=cv2.INTER_AREA).reshape(-1, 3) / 255
