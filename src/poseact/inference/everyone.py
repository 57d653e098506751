"""Everyone in a video: found every few frames, followed by their poses in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.boxes import window_of
from poseact.inference.detect import (
    THRESHOLD,
    VIDEO_CLOSE_LOOKS,
    VIDEO_LOOKS_PX,
    PersonDetector,
)
from poseact.inference.tracking import PeopleTracker, Sighting
from poseact.media import Frame
from poseact.media.crop import Window

Read = Callable[[np.ndarray, Sequence[Window], int, float], list[PersonReading]]
"""Poses in windows of a picture, with its number and its time in s."""

DETECTION_S = 0.4
"""Time from one detection to the next."""

# Doubtful people may go on with a track.
_DOUBTFUL = THRESHOLD / 2
# Mean change of the grey values of a small copy, of 255, at which a frame belongs to another scene.
_CUT = 40.0
_SMALL_PX = (32, 24)


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
        self._due = -np.inf
        self._last: np.ndarray | None = None

    def readings(self, frame: Frame) -> list[PersonReading]:
        """The people in the next frame, which is later than the last."""
        height, width = frame.image.shape[:2]
        if self._is_cut(frame.image):
            self._tracker.cut(width, height)
            self._due = frame.time
        in_view = self._tracker.in_view
        if frame.time < self._due:
            windows = [track.follower.window for track in in_view]
            known = [window for window in windows if window is not None]
            followed = self._read(frame.image, known, frame.index, frame.time)
            seen = self._tracker.followed(followed, frame.time)
            if len(seen) == len(in_view):
                return seen
        self._due = frame.time + DETECTION_S
        people = self._detector.find(frame.image, _DOUBTFUL, VIDEO_LOOKS_PX, VIDEO_CLOSE_LOOKS)
        windows = [window_of(person.box) for person in people]
        poses = self._read(frame.image, windows, frame.index, frame.time)
        sightings = [Sighting(*one) for one in zip(people, poses, windows, strict=True)]
        return self._tracker.found(sightings, frame.time)

    def _is_cut(self, image: np.ndarray) -> bool:
        """Whether a picture belongs to another scene, or is of another size."""
        small = cv2.resize(image, _SMALL_PX, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        former, self._last = self._last, grey.astype(np.float32)
        resized, self._shape = image.shape != self._shape, image.shape
        return resized or former is None or float(np.abs(self._last - former).mean()) > _CUT
