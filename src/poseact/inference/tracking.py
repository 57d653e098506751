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
_LEAST_LIKENESS = 0.25
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
# Mean difference of colours, of 1, at which clothes are others.
_OTHER_COLOUR = 0.08
# Tracks that overlap so much hold one person twice.
_DOUBLED = 0.6


class Sighting(NamedTuple):
    """A person found by the detector, with the pose in the box.

    Attributes:
        person: Box and score.
        reading: Pose in the box.
        square: What the pose was read from.
        colours: ``(P, 3)`` of parts of the person, from 0 to 1; None if they are not known.
    """

    person: Person
    reading: PersonReading
    square: Square
    colours: np.ndarray | None = None


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
        colours: ``(P, 3)`` of parts of the person; None if they are not known.
        course: Box, velocity and time when last detected: poses may come to lie on another person.
        in_view: Whether the person was seen in the last frame.
    """

    number: int
    follower: PersonFollower
    box: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray
    time: float
    velocity: np.ndarray
    score: float
    colours: np.ndarray | None
    course: tuple[np.ndarray, np.ndarray, float]
    in_view: bool = True

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
        """Whether somebody is out of view who may still come back."""
        return any(not track.in_view for track in self._tracks)

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
        gone = {id(track) for track in self._tracks} - {id(track) for track, _ in pairs}
        for track in self._tracks:
            track.in_view = track.in_view and id(track) not in gone
        known = {id(one) for _, one in pairs}
        for track, one in pairs:
            track.move(np.array(one.person.box), one.reading, time)
            track.score = one.person.score
            track.course = track.box, track.velocity, time
            track.colours = _blended(track.colours, one.colours)
        new = [one for one in sure if id(one) not in known and _has_pose(one)]
        room = len(new) if self._limit is None else max(self._limit - len(self._tracks), 0)
        new.sort(key=lambda one: -one.person.area)
        pairs += [(self._begin(one, time), one) for one in new[:room]]
        for track, one in pairs:
            self._keep_square(track, one.reading, one.square)
        return [_numbered(one.reading, track) for track, one in pairs]

    def followed(self, readings: Sequence[PersonReading], time: float) -> list[PersonReading]:
        """Go on with poses read in the squares of those in view.

        Args:
            readings: Of each track ``in_view``.
            time: Of the frame in s.

        Returns:
            The people with their ids, without those who were lost.
        """
        seen = []
        for track, reading in zip(self.in_view, readings, strict=True):
            square, unsure = track.square, track.follower.square is None
            joints = reading.pose.joints[:, :2]
            both = np.minimum(track.confidence, reading.pose.confidence) >= self._sure_joint
            moved = np.median((joints - track.joints)[both], axis=0) if both.any() else np.zeros(2)
            track.move(track.box + np.tile(moved, 2), reading, time)
            self._keep_square(track, reading, square)
            # Who was detected with an unsure pose is not lost by another one.
            track.in_view = unsure or track.follower.square is not None
            if track.in_view:
                seen.append((track, reading))
        lost = self._doubled([track for track, _ in seen], time)
        lost += [track for track, _ in seen if track.off_course(time) > _OFF_COURSE]
        for track in lost:
            track.in_view = False
            track.box, track.velocity = track.on_course(time), track.course[1]
        return [_numbered(reading, track) for track, reading in seen if track.in_view]

    def _begin(self, one: Sighting, time: float) -> Track:
        pose = one.reading.pose
        track = Track(
            self._begun,
            PersonFollower(),
            np.array(one.person.box),
            pose.joints[:, :2],
            pose.confidence,
            time,
            np.zeros(2),
            one.person.score,
            one.colours,
            (np.array(one.person.box), np.zeros(2), time),
        )
        self._begun += 1
        self._tracks.append(track)
        return track

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
    velocity. A person who was out of view may have gone elsewhere, so that the box grows with the
    time since.

    Args:
        track: As it was last seen.
        one: A person found.
        time: Of the frame in s.
        sure_joint: Confidence from which a joint counts.
    """
    shift = track.shift(time)
    box = track.box + np.tile(shift, 2)
    found = np.array(one.person.box)
    room = 0.0 if track.in_view else _DRIFT * (time - track.time) * track.size / 2
    growth = room * np.array([-1, -1, 1, 1])
    overlap = float(overlaps((box + growth)[None], (found + growth)[None])[0, 0])
    pose = one.reading.pose
    both = np.minimum(track.confidence, pose.confidence) >= sure_joint
    if not both.any():
        return overlap
    apart = np.linalg.norm((track.joints + shift - pose.joints[:, :2])[both], axis=1).mean()
    near = max(0.0, 1 - apart / (_FAR_POSE * track.size + 2 * room))
    alike = _OVERLAP_SHARE * overlap + (1 - _OVERLAP_SHARE) * near
    return alike * _colour_likeness(track.colours, one.colours)


def _colour_likeness(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """From a half, for other clothes, to 1."""
    if first is None or second is None:
        return 1.0
    return 0.5 + 0.5 * float(np.exp(-np.abs(first - second).mean() / _OTHER_COLOUR))


def _blended(former: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    return new if former is None or new is None else 0.8 * former + 0.2 * new


def _has_pose(one: Sighting) -> bool:
    return bool(one.reading.pose.confidence.mean() >= _LEAST_POSE)


def _numbered(reading: PersonReading, track: Track) -> PersonReading:
    x0, y0, x1, y1 = track.box.tolist()
    pose = replace(
        reading.pose, person=track.number, person_box=(x0, y0, x1, y1), score=track.score
    )
    return reading._replace(pose=pose)
