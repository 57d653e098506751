"""A tracked person: motion, pose and appearance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.appearance import Appearance
from poseact.inference.boxes import square_of
from poseact.inference.detect import Person
from poseact.inference.follow import PersonFollower
from poseact.media.crop import Square

# Share of the old velocity that is kept; hands and crops make people tremble.
_STEADINESS = 0.7
# Largest change of a box's sides from one frame to the next.
_RESIZED = 2.5


@dataclass(frozen=True, eq=False)
class Detection:
    """A person found by the detector, with the pose in the box.

    Attributes:
        person: Box and score.
        reading: Pose in the box.
        square: What the pose was read from.
        looks: See :func:`~poseact.inference.appearance.looks_of`.
    """

    person: Person
    reading: PersonReading
    square: Square
    looks: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """``(4,)`` x0, y0, x1, y1 in px."""
        return np.array(self.person.box)

    @property
    def height(self) -> float:
        """Of the box in px, at least 1."""
        return max(self.person.box[3] - self.person.box[1], 1)


class Motion(NamedTuple):
    """Where somebody is and goes.

    Attributes:
        box: ``(4,)`` x0, y0, x1, y1 in px at ``time``.
        velocity: ``(2,)`` px/s.
        time: In s.
    """

    box: np.ndarray
    velocity: np.ndarray
    time: float

    def box_at(self, time: float) -> np.ndarray:
        """``(4,)`` box predicted for a time, with constant velocity."""
        return self.box + np.tile(self.velocity * (time - self.time), 2)

    def distance(self, box: np.ndarray, time: float) -> float:
        """Px between the centre of a box and the way of a person who may have stopped on it."""
        off, way = _centre(box - self.box), self.velocity * (time - self.time)
        done = np.clip(off @ way / max(way @ way, 1e-9), 0, 1)
        return float(np.hypot(*(off - done * way)))


class Track:
    """A person over time, from the first detection on.

    Args:
        detection: The first one.
        time: Of it in s.
        picture: Width and height in px.
        sure_joint: Confidence from which a joint counts.

    Attributes:
        number: Id, from 0, never given twice in a video; -1 until the track is confirmed.
        in_view: Whether the person was seen in the last frame; otherwise the track is lost.
        motion: When the person was last seen.
        anchor: Motion at the last detection: poses may drift to another person.
        follower: Keeps the square of the person.
        appearance: Mean looks in the detections.
        strangeness: How little the last pose that was followed is like the person.
    """

    def __init__(
        self, detection: Detection, time: float, picture: tuple[int, int], sure_joint: float
    ) -> None:
        self.number, self.in_view, self.strangeness = -1, True, 0.0
        self.motion = self.anchor = Motion(detection.box, np.zeros(2), time)
        self.follower = PersonFollower()
        self.appearance = Appearance(detection.looks, detection.height)
        self._pose, self._picture, self._sure_joint = detection.reading.pose, picture, sure_joint
        self.detected(detection, time)

    @property
    def confirmed(self) -> bool:
        """Whether it counts as a person: by a high score or a second detection."""
        return self.number >= 0

    @property
    def box(self) -> np.ndarray:
        """``(4,)`` x0, y0, x1, y1 in px, where the person was last seen."""
        return self.motion.box

    @property
    def size(self) -> float:
        """Longest side of the box in px, at least 1."""
        return max(float((self.box[2:] - self.box[:2]).max()), 1.0)

    @property
    def square(self) -> Square:
        """Where to look for the person next: around the box if the pose is too uncertain."""
        x0, y0, x1, y1 = self.box.tolist()
        return self.follower.square or square_of((x0, y0, x1, y1))

    @property
    def deviation(self) -> float:
        """How far the box is from the course since the last detection, in sizes."""
        off = self.box - self.anchor.box_at(self.motion.time)
        return float(np.hypot(*_centre(off))) / self.size

    @property
    def extent(self) -> np.ndarray:
        """``(4,)`` box of the joints."""
        joints = self._pose.joints[:, :2]
        return np.concatenate((joints.min(0), joints.max(0)))

    def joint_moves(self, pose: FramePose) -> np.ndarray:
        """``(2, N, 2)`` px of the joints seen in the last pose and in this one."""
        both = np.minimum(self._pose.confidence, pose.confidence) >= self._sure_joint
        return np.stack((self._pose.joints[both, :2], pose.joints[both, :2]))

    def detected(self, detection: Detection, time: float) -> None:
        """Continue with a detection."""
        self._move(detection.box, detection.reading, detection.square, time)
        self.anchor, self._score = self.motion, detection.person.score
        self.appearance.learn(detection.looks, detection.height)

    def followed(self, reading: PersonReading, time: float) -> None:
        """Continue with the pose read in the square."""
        box = _moved_box(self.box, *self.joint_moves(reading.pose))
        self._move(box, reading, self.square, time)

    def lose(self, time: float) -> None:
        """Mark the person as out of view, at the predicted position."""
        self.in_view = False
        self.motion = Motion(self.anchor.box_at(time), self.anchor.velocity, self.motion.time)

    def numbered(self, reading: PersonReading) -> PersonReading:
        """A pose of this person, with id, box and score."""
        x0, y0, x1, y1 = self.box.tolist()
        pose = replace(
            reading.pose, person=self.number, person_box=(x0, y0, x1, y1), score=self._score
        )
        return reading._replace(pose=pose)

    def _move(self, box: np.ndarray, reading: PersonReading, square: Square, time: float) -> None:
        """To a box, with the velocity of the joints: boxes change when another part is hidden."""
        pose, velocity, passed = reading.pose, self.motion.velocity, time - self.motion.time
        before, now = self.joint_moves(pose)
        if not self.in_view:
            # Where the pose went in the meantime is uncertain, the detections are not.
            velocity = _centre(box - self.anchor.box) / max(time - self.anchor.time, 1e-9)
        # Following and then detecting in the same frame gives no velocity.
        elif passed > 0 and len(before):
            kept = _STEADINESS if velocity.any() else 0.0
            velocity = kept * velocity + (1 - kept) * np.median(now - before, axis=0) / passed
        self.motion, self._pose, self.in_view = Motion(box, velocity, time), pose, True
        self.follower.update(
            pose.joints, pose.confidence, reading.spread, square, *self._picture, self._sure_joint
        )


def _centre(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _moved_box(box: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """A box after its joints, ``(N, 2)``, have moved: each side goes with the outermost one."""
    if not len(before):
        return box
    moved = box + np.concatenate((now.min(0) - before.min(0), now.max(0) - before.max(0)))
    growth = (moved[2:] - moved[:2]) / (box[2:] - box[:2])
    # Joints that come and go at the edge of the picture say nothing of the size.
    if (growth > 1 / _RESIZED).all() and (growth < _RESIZED).all():
        return moved
    return box + np.tile(np.median(now - before, axis=0), 2)
