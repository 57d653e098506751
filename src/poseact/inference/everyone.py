"""Everyone in a video: found every few frames, followed by their poses in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.appearance import looks_of
from poseact.inference.boxes import square_of
from poseact.inference.confirm import CANDIDATE, CONFIRMED, confirmed
from poseact.inference.detect import (
    FAST_LOOKS,
    NEAR_LOOKS,
    THRESHOLD,
    VIDEO_LOOKS,
    Looks,
    Person,
    PersonDetector,
)
from poseact.inference.follow import SURE, Read
from poseact.inference.still import StillReader
from poseact.inference.track import Detection, Track
from poseact.inference.tracking import PeopleTracker
from poseact.media import Frame
from poseact.media.crop import cell_means
from poseact.metrics import overlaps

LEAST_S, LONGEST_S = 0.2, 0.8
"""Time from one detection to the next: the more moves, the sooner."""

FULL_S = 2.0
"""While everyone is in view, or where time is short, only one detection in this time looks at
several sizes."""

# Way of a person, in sizes, after which it is time; mean change of the small grey picture beside
# the people; and change of one cell of it that may be somebody who returns.
_WAY, _WAY_CROSSING = 0.25, 0.06
_CHANGE = 2.0
_RETURN = 8.0
_CROSSING = 0.1
# Share of the longest side of the picture from which a person is large.
_LARGE = 0.4
# Mean change of the grey values of a small copy, of 255, at which a frame belongs to another scene.
_CUT = 40.0
_SMALL_PX = (32, 24)


class Follow(Protocol):
    """Reads the people in the frames of one video, given one after the other."""

    def __call__(self, frame: Frame, late: bool = False) -> list[PersonReading]:
        """The people in the next frame.

        Args:
            frame: Later than the last.
            late: Whether frames come faster than they are read, so that detections must be short.
        """
        ...


class EveryoneFollower:
    """The people in a video, frame by frame, with ids that stay.

    Args:
        detector: Finds them.
        read: Reads the poses.
        sure_joint: Confidence from which a joint is used to locate the body.
        limit: Largest number of people at a time, None for everyone.
        limbs: Pairs of joints between which people are coloured.
        calibrated: Whether the confidence is the probability that a joint is right, so that poses
            can confirm people.
        fast: Detect in every frame and take the detector's own poses.

    Attributes:
        detected_at: Time in s of the last frame in which people were detected.
        scene_from: Time in s of the first frame of the scene.
    """

    def __init__(
        self,
        detector: PersonDetector,
        read: Read,
        sure_joint: float,
        limit: int | None = None,
        limbs: Sequence[tuple[int, int]] = (),
        calibrated: bool = False,
        fast: bool = False,
    ) -> None:
        self._detector, self._read, self._limbs = detector, read, np.array(limbs, int)
        self._still = StillReader(read)
        self._calibrated, self._fast = calibrated, fast
        self._tracker = PeopleTracker(CONFIRMED if calibrated else THRESHOLD, sure_joint, limit)
        self._shape: tuple[int, ...] = ()
        self.scene_from = -np.inf
        self._expected = 0
        self.detected_at = self._fully_detected = -np.inf
        self._last = self._at_detection = np.zeros(0, np.float32)

    def readings(self, frame: Frame, late: bool = False) -> list[PersonReading]:
        """The people in the next frame, see :class:`Follow`."""
        height, width = frame.image.shape[:2]
        if self._is_cut(frame.image):
            self._tracker.cut(width, height)
            self.detected_at = self._fully_detected = -np.inf
            self.scene_from = frame.time
        in_view = self._tracker.in_view
        if not (self._fast or self._is_time(frame.time)):
            followed = self._still(frame, {id(track): track.square for track in in_view})
            looks = [looks_of(frame.image, one.pose, self._limbs) for one in followed]
            seen = self._tracker.followed(followed, frame.time, looks)
            if len(seen) == self._expected or frame.time - self.detected_at < LEAST_S / 2:
                return seen
        self._still.forget()
        self.detected_at, self._at_detection = frame.time, self._last
        found = self._tracker.found(self._detected(frame, late, in_view), frame.time)
        self._expected = len(self._tracker.in_view)
        return found

    def _detected(self, frame: Frame, late: bool, in_view: list[Track]) -> list[Detection]:
        """Everyone detected, at one size where that does, if as many are found as expected."""
        short = late or not (self._tracker.missing or self._tracker.unconfirmed)
        if self._fast or (short and frame.time - self._fully_detected < FULL_S):
            detections = self._detections(frame, self._short_looks(in_view))
            if self._fast or len(detections) >= len(in_view):
                return detections
        self._fully_detected = frame.time
        return self._detections(frame, VIDEO_LOOKS)

    def _short_looks(self, in_view: list[Track]) -> Looks:
        large = [track.size > _LARGE * max(self._shape) for track in in_view]
        return NEAR_LOOKS if large and all(large) and not self._fast else FAST_LOOKS

    def _detections(self, frame: Frame, looks: Looks) -> list[Detection]:
        """Everyone detected, see :meth:`PersonDetector.find`."""
        people, poses = find_posed(self._detector, self._read, frame, looks, fast=self._fast)
        pairs = zip(people, poses, strict=True)
        return [
            Detection(
                person, one, square_of(person.box), looks_of(frame.image, one.pose, self._limbs)
            )
            for person, one in (confirmed(people, poses) if self._calibrated else pairs)
        ]

    def _is_time(self, time: float) -> bool:
        """Whether to detect again because people moved far or the picture changed."""
        passed = time - self.detected_at
        if not LEAST_S <= passed < LONGEST_S:
            return passed >= LONGEST_S
        in_view = self._tracker.in_view
        boxes = np.array([track.box for track in in_view]).reshape(-1, 4)
        # Poses of people who cross are easily mixed up.
        crossing = bool(np.triu(overlaps(boxes, boxes) > _CROSSING, 1).any())
        speeds = (np.abs(track.motion.velocity).max() / track.size for track in in_view)
        beside = self._changes()
        return (
            self._tracker.unconfirmed
            or max(speeds, default=0.0) * passed > (_WAY_CROSSING if crossing else _WAY)
            or beside.mean() > _CHANGE
            or (self._tracker.missing and beside.max() > _RETURN)
        )

    def _changes(self) -> np.ndarray:
        """Changes of the small grey picture since the last detection, 0 where people in view are.

        There, changes are no sign of somebody else.
        """
        apart = np.abs(self._last - self._at_detection)
        scale = np.array(_SMALL_PX) / self._shape[1::-1]
        for track in self._tracker.in_view:
            # Where the person is, and was when detected.
            low = np.minimum(track.box, track.anchor.box)[:2] * scale
            high = np.maximum(track.box, track.anchor.box)[2:] * scale
            x0, y0 = np.floor(low).astype(int).clip(0)
            x1, y1 = np.ceil(high).astype(int).clip(0)
            apart[y0:y1, x0:x1] = 0
        return apart

    def _is_cut(self, image: np.ndarray) -> bool:
        """Whether a picture belongs to another scene, or is of another size."""
        small = cell_means(image, *_SMALL_PX)
        former, self._last = self._last, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        resized, self._shape = image.shape != self._shape, image.shape
        return resized or float(np.abs(self._last - former).mean()) > _CUT


def find_posed(
    detector: PersonDetector,
    read: Read,
    frame: Frame,
    looks: Looks,
    *,
    fast: bool,
    least: float = CANDIDATE,
) -> tuple[list[Person], list[PersonReading]]:
    """Everyone who may be a person in a picture, and their poses.

    Args:
        detector: Finds them.
        read: Reads the poses.
        frame: The picture.
        looks: How it is searched.
        fast: Take the detector's own poses.
        least: Score of the detector from which somebody may be a person.
    """
    people = detector.find(frame.image, least, looks)
    if fast:
        size = frame.image.shape[1], frame.image.shape[0]
        return people, detected_poses(people, size, frame.index, frame.time)
    squares = [square_of(person.box) for person in people]
    return people, read(frame.image, squares, frame.index, frame.time)


def detected_poses(
    people: Sequence[Person], size: tuple[int, int], frame: int, time: float
) -> list[PersonReading]:
    """The detector's own poses, without features.

    Args:
        people: Found by it.
        size: Width and height of the picture in px.
        frame: Number of the picture.
        time: Its time in s.
    """
    readings: list[PersonReading] = []
    for number, person in enumerate(people):
        places, confidence = np.split(person.joints.astype(np.float32), [2], axis=1)
        confidence = confidence[:, 0]
        inside = ((places >= 0) & (places <= size)).all(1)
        visible = inside & (confidence >= SURE)
        pose = FramePose(frame, time, number, places, confidence, visible, person.box)
        nothing = np.zeros((len(places), 0), np.float32)
        readings.append(PersonReading(pose, confidence, np.zeros_like(places), nothing))
    return readings
