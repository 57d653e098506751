"""Following everyone through a video: who of the people found is who of those seen before.

In the style of ByteTrack (Zhang et al., 2022): people found surely are assigned first, to all
tracks; doubtful ones may only go on with a track that is in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.boxes import square_of
from poseact.inference.detect import Person
from poseact.inference.follow import SURE, PersonFollower
from poseact.media.crop import Square
from poseact.metrics import assigned, overlaps

MAX_GAP_S = 2.0
"""A person who is out of view for longer comes back as another one."""

# Share of the overlap in the likeness of two people; the rest is that of their poses.
_OVERLAP_SHARE = 0.6
_LEAST_LIKENESS = 0.12
# Mean confidence of the joints below which a new person has no pose to follow: it is a part of
# somebody, or a thing.
_LEAST_POSE = 0.4
# Distance of joints, as a share of the person's size, at which poses have nothing in common.
_FAR_POSE = 0.5
# People who were out of view may be anywhere near: their size per second of absence.
_DRIFT = 1.5
# Share of the old velocity that is kept; hands and crops make people tremble.
_STEADINESS = 0.7
# A velocity says little of where a person is after a second behind something.
_COASTING_S = 1.0
# Sizes from the course, after which a pose is taken for that of another person.
_OFF_COURSE = 0.3
# Difference of the colours of limbs, in CIE L*a*b*, at which clothes are others, and the number of
# limbs that must be seen to say so.
_OTHER_COLOUR = 9.0
_LEAST_LIMBS = 3
# Share of the old looks that is kept.
_KEPT = 0.8
# Logarithm of the ratio of sizes at which people are others.
_OTHER_SIZE = 0.2
# A new person of at least this score, beside all others, counts at once.
_CLEAR = 0.5
_BESIDE = 0.3
# Tracks that overlap so much hold one person twice.
_DOUBLED = 0.6
# Poses of people who overlap so much are easily mixed up: the course has a say too.
_COVERED = 0.2
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
        score: How surely it was a person when last detected.
        looks: As of a :class:`Sighting`, over time.
        height: Of the box in px when detected, over time.
        course: Box, velocity and time when last detected: poses may come to lie on another person.
        in_view: Whether the person was seen in the last frame.
        certain: Whether the person counts, or has still to be detected once more.
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
    in_view: bool = True
    certain: bool = True

    @property
    def square(self) -> Square:
        """Where to look for the person next: around the box where the pose does not say."""
        x0, y0, x1, y1 = self.box.tolist()
        return self.follower.square or square_of((x0, y0, x1, y1))

    @property
    def size(self) -> float:
        """Longest side of the box in px, at least 1."""
        return max(float((self.box[2:] - self.box[:2]).max()), 1.0)

    def shift(self, time: float) -> np.ndarray:
        """``(2,)`` px that the person has moved by a time, if the velocity stays."""
        return self.velocity * min(time - self.time, _COASTING_S)

    def on_course(self, time: float) -> np.ndarray:
        """``(4,)`` box at a time, had the person gone on as when last detected."""
        box, velocity, then = self.course
        return box + np.tile(velocity * min(time - then, _COASTING_S), 2)

    def off_course(self, time: float) -> float:
        """How far the box is from there, in sizes."""
        off = self.box - self.on_course(time)
        return float(np.hypot(*(off[:2] + off[2:])) / 2 / self.size)

    def lose(self, time: float) -> None:
        """The person is out of view, gone on as when last detected."""
        self.in_view = False
        self.box, self.velocity = self.on_course(time), self.course[1]

    def see(self, one: Sighting) -> None:
        """Keep what the person looks like."""
        y0, y1 = one.person.box[1::2]
        self.height = _KEPT * self.height + (1 - _KEPT) * max(y1 - y0, 1)
        both = np.where(
            np.isfinite(self.looks), _KEPT * self.looks + (1 - _KEPT) * one.looks, one.looks
        )
        self.looks = np.where(np.isfinite(both), both, self.looks)

    def move(self, box: np.ndarray, reading: PersonReading, time: float) -> None:
        """The person is seen again."""
        passed = time - self.time
        # A frame in which people were followed and then detected says nothing of the velocity.
        if passed > 0:
            moved = (box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2
            kept = _STEADINESS if self.in_view and self.velocity.any() else 0.0
            self.velocity = kept * self.velocity + (1 - kept) * moved / passed
        self.box, self.time, self.in_view = box, time, True
        self.joints = reading.pose.joints[:, :2]
        self.confidence = reading.pose.confidence


class PeopleTracker:
    """Gives the people in a video ids that stay.

    Args:
        sure: Score from which a person found may begin a track.
        sure_joint: Confidence from which a joint says where the body is.
        limit: Largest number of people at a time, None for everyone.
    """

    def __init__(
        self,
        sure: float,
        sure_joint: float = SURE,
        limit: int | None = None,
    ) -> None:
        self._size = 0, 0
        self._sure, self._sure_joint = sure, sure_joint
        self._limit = limit
        self._tracks: list[Track] = []
        self._begun = 0

    @property
    def in_view(self) -> list[Track]:
        """Tracks of the people seen in the last frame."""
        return [track for track in self._tracks if track.in_view]

    @property
    def awaited(self) -> bool:
        """Whether somebody may still come back, or has to be detected once more."""
        return any(not (track.in_view and track.certain) for track in self._tracks)

    def cut(self, width: int, height: int) -> None:
        """A scene begins, with pictures of this size in px: nobody goes on."""
        self._size = width, height
        self._tracks.clear()

    def found(self, sightings: Sequence[Sighting], time: float) -> list[PersonReading]:
        """Go on with what the detector has found in a frame.

        Args:
            sightings: Everyone found, doubtful ones too.
            time: Of the frame in s.

        Returns:
            The people with their ids; doubtful ones who belong to nobody are left out.
        """
        self._tracks = [track for track in self._tracks if time - track.time <= MAX_GAP_S]
        sure = [one for one in sightings if one.person.score >= self._sure]
        doubtful = [one for one in sightings if one.person.score < self._sure]
        pairs = self._assign(sure, self._tracks, time)
        taken = {id(track) for track, _ in pairs}
        left = [track for track in self.in_view if id(track) not in taken]
        pairs += self._assign(doubtful, left, time)
        known = {id(one) for part in pairs for one in part}
        for track in [track for track in self.in_view if id(track) not in known]:
            track.lose(time)
        self._tracks = [track for track in self._tracks if track.in_view or track.certain]
        for track, one in pairs:
            track.move(np.array(one.person.box), one.reading, time)
            track.score = one.person.score
            track.course = track.box, track.velocity, time
            track.see(one)
            self._make_certain(track)
        new = [one for one in sure if id(one) not in known and _has_pose(one)]
        room = len(new) if self._limit is None else max(self._limit - len(self._tracks), 0)
        new.sort(key=lambda one: -one.person.area)
        others = list(self._tracks)
        begun = [(self._begin(one, time), one) for one in new[:room]]
        for track, one in begun:
            if not others or self._is_clear(one, others):
                self._make_certain(track)
        pairs += begun
        for track, one in pairs:
            self._keep_square(track, one.reading, one.square)
        return [_numbered(one.reading, track) for track, one in pairs if track.certain]

    def followed(self, readings: Sequence[PersonReading], time: float) -> list[PersonReading]:
        """Go on with poses read in the squares of those in view.

        Args:
            readings: Of each track ``in_view``.
            time: Of the frame in s.

        Returns:
            The people with their ids, without those who were lost.
        """
        seen = []
        boxes = np.array([track.box for track in self.in_view]).reshape(-1, 4)
        crossing = ((overlaps(boxes, boxes) > _COVERED).sum(1) > 1).tolist()
        for track, reading, crosses in zip(self.in_view, readings, crossing, strict=True):
            square, unsure = track.square, track.follower.square is None
            joints = reading.pose.joints[:, :2]
            both = np.minimum(track.confidence, reading.pose.confidence) >= self._sure_joint
            box = _moved(track.box, track.joints[both], joints[both])
            track.move((box + track.on_course(time)) / 2 if crosses else box, reading, time)
            self._keep_square(track, reading, square)
            # Who was detected with an unsure pose is not lost by another one.
            track.in_view = unsure or track.follower.square is not None
            if track.in_view:
                seen.append((track, reading))
            else:
                track.lose(time)
        lost = self._doubled([track for track, _ in seen], time)
        lost += [track for track, _ in seen if track.off_course(time) > _OFF_COURSE]
        for track in lost:
            track.lose(time)
        counted = [(track, reading) for track, reading in seen if track.in_view and track.certain]
        return [_numbered(reading, track) for track, reading in counted]

    def _begin(self, one: Sighting, time: float) -> Track:
        pose = one.reading.pose
        track = Track(
            -1,
            PersonFollower(),
            np.array(one.person.box),
            pose.joints[:, :2],
            pose.confidence,
            time,
            np.zeros(2),
            one.person.score,
            one.looks,
            max(one.person.box[3] - one.person.box[1], 1),
            (np.array(one.person.box), np.zeros(2), time),
            certain=False,
        )
        self._tracks.append(track)
        return track

    def _make_certain(self, track: Track) -> None:
        if not track.certain:
            track.number, track.certain = self._begun, True
            self._begun += 1

    def _is_clear(self, one: Sighting, others: Sequence[Track]) -> bool:
        """Whether a new person is no part or double of others at first sight."""
        boxes = np.array([track.box for track in others if track.in_view]).reshape(-1, 4)
        apart = overlaps(np.array([one.person.box]), boxes).max(initial=0) < _BESIDE
        return bool(apart) and one.person.score >= _CLEAR

    def _keep_square(self, track: Track, reading: PersonReading, square: Square) -> None:
        pose = reading.pose
        track.follower.update(
            pose.joints, pose.confidence, reading.spread, square, *self._size, self._sure_joint
        )

    def _assign(
        self, sightings: Sequence[Sighting], tracks: Sequence[Track], time: float
    ) -> list[tuple[Track, Sighting]]:
        """The pairs of tracks and sightings that are most alike in all."""
        if not sightings or not tracks:
            return []
        alike = np.array(
            [
                [likeness(track, one, time, self._sure_joint) for one in sightings]
                for track in tracks
            ]
        )
        return [
            (tracks[row], sightings[column])
            for row, column in assigned(alike)
            if alike[row, column] >= _LEAST_LIKENESS
        ]

    def _doubled(self, tracks: Sequence[Track], time: float) -> list[Track]:
        """Of two tracks that have come to hold one person, the one that has left its course."""
        if len(tracks) < 2:
            return []
        boxes = [(*t.joints.min(0), *t.joints.max(0)) for t in tracks]
        same = np.triu(overlaps(np.array(boxes), np.array(boxes)) > _DOUBLED, 1)
        return [
            max(tracks[a], tracks[b], key=lambda t: (round(t.off_course(time), 1), t.number))
            for a, b in np.argwhere(same)
        ]


def likeness(track: Track, one: Sighting, time: float, sure_joint: float) -> float:
    """How alike a track and a person found are, from 0 to 1.

    Overlap of the boxes and distance of the poses, both after the track has moved on at its
    velocity. A person who was out of view may have gone elsewhere, the farther the longer.

    Args:
        track: As it was last seen.
        one: A person found.
        time: Of the frame in s.
        sure_joint: Confidence from which a joint counts.
    """
    shift = track.shift(time)
    box, found = track.box + np.tile(shift, 2), np.array(one.person.box)
    if not track.in_view:
        reach = track.size * (_FAR_POSE + _DRIFT * (time - track.time))
        apart = np.hypot(*(found[:2] + found[2:] - box[:2] - box[2:])) / 2
        # The place says less of who comes back than the looks.
        return max(0.0, 1 - apart / reach) ** 0.5 * looks_alike(track, one) ** 1.5
    # By the pose, which may have slipped to somebody else, and by the course.
    alike = float(overlaps(np.stack((box, track.on_course(time))), found[None]).mean())
    pose = one.reading.pose
    both = np.minimum(track.confidence, pose.confidence) >= sure_joint
    if both.any():
        off = np.linalg.norm((track.joints + shift - pose.joints[:, :2])[both], axis=1).mean()
        near = max(0.0, 1 - off / (_FAR_POSE * track.size))
        alike = _OVERLAP_SHARE * alike + (1 - _OVERLAP_SHARE) * near
    return alike * looks_alike(track, one)


def looks_alike(track: Track, one: Sighting) -> float:
    """From 0, for other clothes or another size, to 1.

    Poses of people who are partly hidden are too small, and so are boxes, but seldom both.
    """
    apart = np.abs(track.looks - one.looks)
    apart = apart[np.isfinite(apart).all(1)]
    if len(apart) < _LEAST_LIMBS:
        return 1.0
    y0, y1 = one.person.box[1::2]
    colour, size = np.median(apart[:, :3].mean(1)), np.median(apart[:, 3])
    size = min(size, abs(np.log(max(y1 - y0, 1) / track.height)))
    return float(np.exp(-((colour / _OTHER_COLOUR) ** 2) - (size / _OTHER_SIZE) ** 2))


def _moved(box: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """A box after its joints, ``(N, 2)``, have moved: each side goes with the outermost one."""
    if len(before) < 2:
        return box
    edges = [np.concatenate((joints.min(0), joints.max(0))) for joints in (before, now)]
    moved = box + edges[1] - edges[0]
    sizes = moved[2:] - moved[:2], box[2:] - box[:2]
    # Joints that come and go at the edge of the picture say nothing of the size.
    same = (sizes[0] > sizes[1] / _RESIZED).all() and (sizes[0] < sizes[1] * _RESIZED).all()
    return moved if same else box + np.tile(np.median(now - before, axis=0), 2)


def _has_pose(one: Sighting) -> bool:
    return bool(one.reading.pose.confidence.mean() >= _LEAST_POSE)


def _numbered(reading: PersonReading, track: Track) -> PersonReading:
    x0, y0, x1, y1 = track.box.tolist()
    pose = replace(
        reading.pose, person=track.number, person_box=(x0, y0, x1, y1), score=track.score
    )
    return reading._replace(pose=pose)
