"""A tracked person: position, velocity and appearance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.boxes import square_of
from poseact.inference.detect import Person
from poseact.inference.follow import PersonFollower
from poseact.media.crop import Square

# Share of the old velocity that is kept; hands and crops make people tremble.
_STEADINESS = 0.7
# After a second of occlusion, a velocity hardly predicts the position.
_COASTING_S = 1.0
# Share of the looks of a person seen as before that is taken over, and of one who looks different,
# who may be hidden in part.
_LEARNT, _LEARNT_LEAST = 0.2, 0.02
# The first looks count alike.
_FIRST = 4
# Joints in common that tell a velocity, and the largest one, in sizes per second.
_LEAST_JOINTS = 4
_FASTEST = 3.0
# Longest absence after which the velocity is that from one detection to the next.
_BRIEF_S = 0.5
# Largest change of a box's sides from one frame to the next.
_RESIZED = 1.6

NO_LOOKS = np.zeros((0, 4))
"""Of people whose limbs are not known."""


class Sighting(NamedTuple):
    """A person found by the detector, with the pose in the box.

    Attributes:
        person: Box and score.
        reading: Pose in the box.
        square: What the pose was read from.
        looks: ``(L, 4)`` CIE L*a*b* of the limbs and logarithm of their length in px; NaN where one
            is not seen.
    """

    person: Person
    reading: PersonReading
    square: Square
    looks: np.ndarray = NO_LOOKS


@dataclass
class Track:
    """A person over time.

    Attributes:
        number: Id, from 0, never given twice in a video.
        follower: Keeps the square of the person.
        box: ``(4,)`` x0, y0, x1, y1 in px at ``time``.
        joints: ``(J, 2)`` px at ``time``.
        confidence: ``(J,)``.
        time: When the person was last seen, in s.
        velocity: ``(2,)`` of the box's centre in px/s.
        score: Score of the last detection.
        looks: As of a :class:`Sighting`, over time.
        height: Of the box in px when detected, over time.
        course: Box, velocity and time of the last detection: poses may drift to another person.
        detections: How often the person was detected.
        in_view: Whether the person was seen in the last frame.
        certain: Whether the track is confirmed by a second detection or a high score.
    """

    number: int
    follower: PersonFollower
    box: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray
    time: float
    velocity: np.ndarray
    score: float
    looks: np.ndarray
    height: float
    course: tuple[np.ndarray, np.ndarray, float]
    detections: int = 1
    in_view: bool = True
    certain: bool = True

    @property
    def square(self) -> Square:
        """Where to look for the person next: around the box if the pose is too uncertain."""
        x0, y0, x1, y1 = self.box.tolist()
        return self.follower.square or square_of((x0, y0, x1, y1))

    @property
    def size(self) -> float:
        """Longest side of the box in px, at least 1."""
        return max(float((self.box[2:] - self.box[:2]).max()), 1.0)

    def shift(self, time: float) -> np.ndarray:
        """``(2,)`` px that the person has moved by a time, if the velocity stays."""
        return self.velocity * min(time - self.time, _COASTING_S)

    def distance(self, box: np.ndarray, time: float) -> float:
        """Px between the centre of a box and the course of a person who may have stopped on it."""
        start, velocity, then = self.course
        off = (box[:2] + box[2:] - start[:2] - start[2:]) / 2
        way = velocity * (time - then)
        done = np.clip(off @ way / max(way @ way, 1e-9), 0, 1)
        return float(np.hypot(*(off - done * way)))

    def on_course(self, time: float) -> np.ndarray:
        """``(4,)`` box extrapolated to a time from the last detection."""
        box, velocity, then = self.course
        return box + np.tile(velocity * min(time - then, _COASTING_S), 2)

    def off_course(self, time: float) -> float:
        """How far the box is from there, in sizes."""
        off = self.box - self.on_course(time)
        return float(np.hypot(*(off[:2] + off[2:])) / 2 / self.size)

    def lose(self, time: float) -> None:
        """Mark the person as out of view, at the extrapolated position."""
        self.in_view = False
        self.box, self.velocity = self.on_course(time), self.course[1]

    def see(self, one: Sighting, alike: float) -> None:
        """Update the person's appearance, the more similar (0 to 1) the sighting, the more."""
        y0, y1 = one.person.box[1::2]
        self.detections += 1
        first = 1 / self.detections if self.detections <= _FIRST else 0.0
        share = max(_LEARNT * alike, _LEARNT_LEAST, first)
        self.height += share * (max(y1 - y0, 1) - self.height)
        both = np.where(
            np.isfinite(self.looks), self.looks + share * (one.looks - self.looks), one.looks
        )
        self.looks = np.where(np.isfinite(both), both, self.looks)

    def move(self, box: np.ndarray, reading: PersonReading, time: float, sure_joint: float) -> None:
        """Update the position of a person who was seen.

        Joints count from the confidence ``sure_joint``.
        """
        passed = time - self.time
        joints, confidence = reading.pose.joints[:, :2], reading.pose.confidence
        both = np.minimum(self.confidence, confidence) >= sure_joint
        # Following and then detecting in the same frame gives no velocity, and neither does a box
        # of which another part is hidden.
        if not self.in_view:
            # Where the pose went in the meantime is uncertain, the detections are not.
            start, _, then = self.course
            away = time - then
            moved = (box - start).reshape(2, 2).mean(0) / max(away, 1e-9)
            believed = away <= _BRIEF_S and np.hypot(*moved) <= _FASTEST * self.size
            self.velocity = moved if believed else np.zeros(2)
        elif passed > 0 and both.sum() >= _LEAST_JOINTS:
            moved = np.median((joints - self.joints)[both], axis=0)
            kept = _STEADINESS if self.velocity.any() else 0.0
            self.velocity = kept * self.velocity + (1 - kept) * moved / passed
            if np.hypot(*self.velocity) > _FASTEST * self.size:  # the pose was somebody else's
                self.velocity = np.zeros(2)
        self.box, self.time, self.in_view = box, time, True
        self.joints, self.confidence = joints, confidence


def moved_box(box: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """A box after its joints, ``(N, 2)``, have moved: each side goes with the outermost one."""
    if len(before) < 2:
        return box
    edges = [np.concatenate((joints.min(0), joints.max(0))) for joints in (before, now)]
    moved = box + edges[1] - edges[0]
    sizes = moved[2:] - moved[:2], box[2:] - box[:2]
    # Joints that come and go at the edge of the picture say nothing of the size.
    same = (sizes[0] > sizes[1] / _RESIZED).all() and (sizes[0] < sizes[1] * _RESIZED).all()
    return moved if same else box + np.tile(np.median(now - before, axis=0), 2)
