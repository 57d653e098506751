"""Tracking of everyone in a video: detections are matched to the people seen before.

In the style of ByteTrack (Zhang et al., 2022): confident detections are assigned first, to all
tracks; uncertain ones can only continue a track that is in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.confirm import Pair, is_same_pose
from poseact.inference.detect import Person
from poseact.inference.follow import SURE, PersonFollower
from poseact.inference.track import Sighting, Track, moved_box
from poseact.media.crop import Square
from poseact.metrics import assigned, overlaps, shares_inside

MAX_GAP_S = 3.0
"""A person who is not found for longer gets a new id.

Who is hidden for 2 s is hidden in part, and seldom found, before and after.
"""

# Share of the overlap in the likeness of two people; the rest is that of their poses.
_OVERLAP_SHARE = 0.6
_LEAST_LIKENESS = 0.1
# Mean confidence of the joints below which a new person has no pose to follow: it is a part of
# somebody, or a thing. The second is for whom the detector doubts.
_LEAST_POSE, _LEAST_POSE_DOUBTED = 0.43, 0.62
# Distance of joints, as a share of the person's size, at which poses have nothing in common.
_FAR_POSE = 0.5
# People who were out of view may be anywhere near: their size per second of absence.
_DRIFT = 1.5
# Likeness of those who come back, relative to that of those in view, and how long after a loss the
# place says as much as in view.
_BACK = 0.7
_FRESH_S = 0.4
# Sizes from the course, after which a pose is taken for that of another person.
_OFF_COURSE = 0.2
# Difference of the colours of a limb, in CIE L*a*b*, at which clothes are others, and the number of
# limbs that must be seen to say so.
_OTHER_COLOUR = 15.0
_LEAST_LIMBS = 3
_UNKNOWN = 0.5
# Share of the place in the likeness of people in view who look different.
_BENT = 0.25
# Likeness below which a pose that was followed lies on another person.
_SLIPPED = 0.1
# Logarithm of the ratio of the lengths of limbs at which people are others, half as much if their
# boxes differ too.
_OTHER_LENGTH = 0.4
# A new person of at least this score, beside all others, counts at once.
_CLEAR = 0.5
_BESIDE = 0.3
# A new person is somebody's part up to this median distance of the joints, in sizes, or if this
# share of a doubtful box lies in the other.
_PART, _INSIDE = 0.08, 0.9
# Tracks that overlap so much hold one person twice.
_DOUBLED = 0.6
# Poses of people who overlap this much are easily swapped: the motion counts too.
_COVERED = 0.2


class PeopleTracker:
    """Gives the people in a video ids that stay.

    Args:
        sure: Score from which a person found may begin a track.
        sure_joint: Confidence from which a joint is used to locate the body.
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
    def missing(self) -> bool:
        """Whether somebody who was lost may return."""
        return any(not track.in_view for track in self._tracks)

    @property
    def unconfirmed(self) -> bool:
        """Whether a track has to be confirmed by a second detection."""
        return any(not track.certain for track in self._tracks)

    def cut(self, width: int, height: int) -> None:
        """Start a new scene, with pictures of this size in px: all tracks end."""
        self._size = width, height
        self._tracks.clear()

    def found(self, sightings: Sequence[Sighting], time: float) -> list[PersonReading]:
        """Update the tracks with the detections of a frame.

        Args:
            sightings: All detections, uncertain ones included.
            time: Of the frame in s.

        Returns:
            The people with their ids; uncertain detections that match no track are left out.
        """
        self._tracks = [track for track in self._tracks if time - track.time <= MAX_GAP_S]
        sure = [one for one in sightings if one.person.score >= self._sure]
        doubtful = [one for one in sightings if one.person.score < self._sure]
        pairs: list[tuple[Track, Sighting]] = []
        known: set[int] = set()
        certain = [track for track in self._tracks if track.certain]
        for tracks, seen in (certain, sure), (self._tracks, sure), (self.in_view, doubtful):
            left = [track for track in tracks if id(track) not in known]
            pairs += self._assign([one for one in seen if id(one) not in known], left, time)
            known = {id(one) for part in pairs for one in part}
        for track in [track for track in self.in_view if id(track) not in known]:
            track.lose(time)
        for track, one in pairs:
            # Newcomers who were lost since the first detection have to be detected once more.
            if track.in_view:
                self._make_certain(track)
            alike = looks_alike(track, one.looks, one.person)
            track.move(np.array(one.person.box), one.reading, time, self._sure_joint)
            track.score = one.person.score
            track.course = track.box, track.velocity, time
            track.see(one, alike)
        self._tracks = [track for track in self._tracks if track.in_view or track.certain]
        held = [(one.person, one.reading) for _, one in pairs]
        new: list[Sighting] = []
        unknown = [one for one in sure if id(one) not in known and _has_pose(one)]
        for one in sorted(unknown, key=lambda one: -one.person.score):
            if not any(_is_part(one, other) for other in held):
                new.append(one)
                held.append((one.person, one.reading))
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

    def followed(
        self, readings: Sequence[PersonReading], time: float, looks: Sequence[np.ndarray]
    ) -> list[PersonReading]:
        """Update the tracks in view with the poses read in their squares.

        Args:
            readings: Of each track ``in_view``.
            time: Of the frame in s.
            looks: Of the poses, see :class:`Sighting`; they tell a pose that has come to lie on
                another person.

        Returns:
            The people with their ids, without those who were lost.
        """
        tracks = self.in_view
        boxes = np.array([track.box for track in tracks]).reshape(-1, 4)
        crossing = ((overlaps(boxes, boxes) > _COVERED).sum(1) > 1).tolist()
        accompanied = len(self._tracks) > 1  # who is alone may jump
        seen, lost, strange = [], [], {}
        for track, reading, own, crosses in zip(tracks, readings, looks, crossing, strict=True):
            square, unsure = track.square, track.follower.square is None
            joints = reading.pose.joints[:, :2]
            both = np.minimum(track.confidence, reading.pose.confidence) >= self._sure_joint
            box = moved_box(track.box, track.joints[both], joints[both])
            alike = looks_alike(track, own)
            if crosses and alike <= _UNKNOWN:
                box = (box + track.on_course(time)) / 2
            track.move(box, reading, time, self._sure_joint)
            self._keep_square(track, reading, square)
            # Who was detected with an unsure pose is not lost by another one.
            if not unsure and track.follower.square is None:
                track.lose(time)
                continue
            seen.append((track, reading))
            off = track.off_course(time)
            strange[id(track)] = round(off, 1) - round(alike, 1)
            if (off > _OFF_COURSE and accompanied) or alike < _SLIPPED:
                lost.append(track)
        for track in (*self._doubled([track for track, _ in seen], strange), *lost):
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
        """Whether a new person is neither a part nor a duplicate of others."""
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
        """The pairs of tracks and sightings with the largest total similarity."""
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

    def _doubled(self, tracks: Sequence[Track], strange: dict[int, float]) -> list[Track]:
        """Of two tracks that have come to hold one person, the one that is less like before."""
        boxes = np.array([(*t.joints.min(0), *t.joints.max(0)) for t in tracks]).reshape(-1, 4)
        same = np.triu(overlaps(boxes, boxes) > _DOUBLED, 1)
        return [
            max(tracks[a], tracks[b], key=lambda t: (not t.certain, strange[id(t)], t.number))
            for a, b in np.argwhere(same)
        ]


def likeness(track: Track, one: Sighting, time: float, sure_joint: float) -> float:
    """Similarity of a track and a detection, from 0 to 1.

    Of people who return, and where the pose may have drifted to another person, appearance says
    more than position.

    Args:
        track: As it was last seen.
        one: A person found.
        time: Of the frame in s.
        sure_joint: Confidence from which a joint counts.
    """
    looks = looks_alike(track, one.looks, one.person)
    back = _BACK * _reachable(track, one, time) ** 0.5 * looks**1.5
    # People in view bend and turn from one detection to the next.
    place = _same_place(track, one, time, sure_joint) * (_BENT + (1 - _BENT) * looks)
    return max(back, place)


def _reachable(track: Track, one: Sighting, time: float) -> float:
    """From 1 on the course of a person to 0 where nobody gets to since the last detection."""
    reach = max(track.size, track.height) * (_FAR_POSE + _DRIFT * (time - track.course[2]))
    return max(0.0, 1 - track.distance(np.array(one.person.box), time) / reach)


def _same_place(track: Track, one: Sighting, time: float, sure_joint: float) -> float:
    """Overlap of the boxes and nearness of the poses once the track has moved on, from 0 to 1."""
    found, course = np.array(one.person.box)[None], track.on_course(time)
    if not track.in_view:
        fresh = max(0.0, 1 - (time - track.time) / _FRESH_S)
        return fresh * float(overlaps(course[None], found)[0, 0])
    shift = track.shift(time)
    alike = float(overlaps(np.stack((track.box + np.tile(shift, 2), course)), found).mean())
    pose = one.reading.pose
    both = np.minimum(track.confidence, pose.confidence) >= sure_joint
    if not both.any():
        return alike
    off = np.linalg.norm((track.joints + shift - pose.joints[:, :2])[both], axis=1).mean()
    near = max(0.0, 1 - off / (_FAR_POSE * track.size))
    return _OVERLAP_SHARE * alike + (1 - _OVERLAP_SHARE) * near


def looks_alike(track: Track, looks: np.ndarray, person: Person | None = None) -> float:
    """From 0, for other clothes or another size, to 1; ``_UNKNOWN`` where too little is seen.

    Poses of people who are partly hidden are too small, and so are boxes, but seldom both.

    Args:
        track: A person.
        looks: Of somebody, see :class:`Sighting`.
        person: The same person as detected, if so.
    """
    # Some limbs of people who are partly hidden have the colour of whoever hides them: the share of
    # alike limbs says more than a mean or median difference.
    apart = np.abs(track.looks - looks)
    apart = apart[np.isfinite(apart).all(1)]
    if len(apart) < _LEAST_LIMBS:
        return _UNKNOWN
    size = np.median(apart[:, 3])
    if person is not None:
        y0, y1 = person.box[1::2]
        size = 2 * min(size, abs(np.log(max(y1 - y0, 1) / track.height)))
    colour = np.exp(-((apart[:, :3].mean(1) / _OTHER_COLOUR) ** 2)).mean() ** 2
    return float(colour * np.exp(-((size / _OTHER_LENGTH) ** 2)))


def _has_pose(one: Sighting) -> bool:
    least = _LEAST_POSE if one.person.score >= _CLEAR else _LEAST_POSE_DOUBTED
    return bool(one.reading.pose.confidence.mean() >= least)


def _is_part(one: Sighting, other: Pair) -> bool:
    """Whether a new person is a part of somebody, or the same person once more."""
    if is_same_pose(one.reading, other, _PART):
        return True
    boxes = np.array([one.person.box]), np.array([other[0].box])
    return one.person.score < _CLEAR and bool(shares_inside(*boxes)[0, 0] > _INSIDE)


def _numbered(reading: PersonReading, track: Track) -> PersonReading:
    x0, y0, x1, y1 = track.box.tolist()
    pose = replace(
        reading.pose, person=track.number, person_box=(x0, y0, x1, y1), score=track.score
    )
    return reading._replace(pose=pose)
