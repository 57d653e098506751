"""Tracking of everyone in a video: detections are matched to the people seen before.

In the style of ByteTrack (Zhang et al., 2022): confident detections are assigned first, to all
tracks; uncertain ones can only continue a track that is in view. Between detections, each person is
followed by the poses.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.confirm import is_same_pose
from poseact.inference.follow import SURE
from poseact.inference.track import Detection, Track
from poseact.metrics import assigned, overlaps, shares_inside

MAX_GAP_S = 3.0
"""A person who is not found for longer gets a new id.

Who is hidden for 2 s is hidden in part, and seldom found, before and after.
"""

# Detections that fit a track less do not continue it.
_LEAST_AFFINITY = 0.1
# In view: share of the overlap, the rest being that of the poses; distance of joints, in sizes, at
# which it is 0; and what is left of both for who looks different, as people bend and turn.
_OVERLAP_SHARE, _FAR_POSE, _BENT = 0.6, 0.5, 0.25
# For who comes back: affinity relative to that in view, and how far people get, in sizes, at once
# and per second since the last detection.
_BACK, _NEAR, _DRIFT = 0.7, 0.5, 1.5
# How long after a loss the place still counts, less and less.
_FRESH_S = 0.4
# A new person of at least this score, who overlaps others less, counts at once.
_CLEAR, _BESIDE = 0.5, 0.3
# Mean confidence of the joints below which a new person has no pose to follow: it is a part of
# somebody, or a thing. The second is for whom the detector doubts.
_LEAST_POSE, _LEAST_POSE_DOUBTED = 0.43, 0.62
# A new person is somebody's part up to this median distance of the joints, in sizes, or if this
# share of a doubtful box lies in the other.
_PART, _INSIDE = 0.08, 0.9
# A pose that was followed is taken for that of another person so many sizes off the course, or
# below this similarity of looks.
_OFF_COURSE, _SLIPPED = 0.2, 0.1
# Tracks that overlap so much hold one person twice.
_DOUBLED = 0.6


class PeopleTracker:
    """Gives the people in a video ids that stay.

    Args:
        sure: Score from which a person found may begin a track.
        sure_joint: Confidence from which a joint is used to locate the body.
        limit: Largest number of people at a time, None for everyone.
    """

    def __init__(self, sure: float, sure_joint: float = SURE, limit: int | None = None) -> None:
        self._picture = 0, 0
        self._sure, self._sure_joint, self._limit = sure, sure_joint, limit
        self._tracks: list[Track] = []
        self._numbers = itertools.count()

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
        return any(not track.confirmed for track in self._tracks)

    def cut(self, width: int, height: int) -> None:
        """Start a new scene, with pictures of this size in px: all tracks end."""
        self._picture = width, height
        self._tracks.clear()

    def found(self, detections: Sequence[Detection], time: float) -> list[PersonReading]:
        """Update the tracks with the detections of a frame.

        Args:
            detections: All of them, uncertain ones included.
            time: Of the frame in s.

        Returns:
            The people with their ids; uncertain detections that match no track are left out.
        """
        self._tracks = [one for one in self._tracks if time - one.motion.time <= MAX_GAP_S]
        sure = [one for one in detections if one.person.score >= self._sure]
        doubtful = [one for one in detections if one.person.score < self._sure]
        confirmed = [track for track in self._tracks if track.confirmed]
        matched: dict[Track, Detection] = {}
        for tracks, some in (confirmed, sure), (self._tracks, sure), (self.in_view, doubtful):
            left = [track for track in tracks if track not in matched]
            matched |= _matched(left, [one for one in some if one not in matched.values()], time)
        for track in self.in_view:
            if track not in matched:
                track.lose(time)
        for track, detection in matched.items():
            # Newcomers who were lost since the first detection have to be detected once more.
            if track.in_view:
                self._confirm(track)
            track.detected(detection, time)
        self._tracks = [track for track in self._tracks if track.in_view or track.confirmed]
        matched |= self._begun(sure, list(matched.values()), time)
        return [t.numbered(one.reading) for t, one in matched.items() if t.confirmed]

    def followed(
        self, readings: Sequence[PersonReading], time: float, looks: Sequence[np.ndarray]
    ) -> list[PersonReading]:
        """Update the tracks in view with the poses read in their squares.

        Args:
            readings: Of each track ``in_view``.
            time: Of the frame in s.
            looks: Of the poses, see :func:`~poseact.inference.appearance.looks_of`; they tell a
                pose that has come to lie on another person.

        Returns:
            The people with their ids, without those who were lost.
        """
        accompanied = len(self._tracks) > 1  # who is alone may jump
        read = dict(zip(self.in_view, readings, strict=True))
        for (track, reading), own in zip(read.items(), looks, strict=True):
            had_pose = track.follower.square is not None
            track.followed(reading, time)
            # Who was detected with an unsure pose is not lost by another one.
            faded = had_pose and track.follower.square is None
            strayed = accompanied and track.deviation > _OFF_COURSE
            similarity = track.appearance.similarity(own)
            track.strangeness = round(track.deviation, 1) - round(similarity, 1)
            if faded or strayed or similarity < _SLIPPED:
                track.lose(time)
        for track in _doubled(self.in_view):
            track.lose(time)
        return [track.numbered(read[track]) for track in self.in_view if track.confirmed]

    def _confirm(self, track: Track) -> None:
        if not track.confirmed:
            track.number = next(self._numbers)

    def _begun(
        self, detections: Sequence[Detection], known: list[Detection], time: float
    ) -> dict[Track, Detection]:
        """Tracks of those who are no part of others, the largest first if there are too many."""
        new: list[Detection] = []
        for one in sorted(detections, key=lambda one: -one.person.score):
            least = _LEAST_POSE if one.person.score >= _CLEAR else _LEAST_POSE_DOUBTED
            posed = one.reading.pose.confidence.mean() >= least
            if posed and not any(_is_part(one, other) for other in known + new):
                new.append(one)
        new.sort(key=lambda one: -one.person.area)
        room = len(new) if self._limit is None else max(self._limit - len(self._tracks), 0)
        boxes = np.array([track.box for track in self.in_view]).reshape(-1, 4)
        alone = not self._tracks
        begun = {Track(one, time, self._picture, self._sure_joint): one for one in new[:room]}
        for track, one in begun.items():
            beside = overlaps(one.box[None], boxes).max(initial=0) < _BESIDE
            if alone or (beside and one.person.score >= _CLEAR):
                self._confirm(track)
        self._tracks += begun
        return begun


def _matched(
    tracks: Sequence[Track], detections: Sequence[Detection], time: float
) -> dict[Track, Detection]:
    """The pairs with the largest total affinity, by the Hungarian algorithm."""
    gain = [[_affinity(track, one, time) for one in detections] for track in tracks]
    gain = np.array(gain).reshape(len(tracks), len(detections))
    pairs = [pair for pair in assigned(gain) if gain[pair] >= _LEAST_AFFINITY]
    return {tracks[row]: detections[column] for row, column in pairs}


def _affinity(track: Track, detection: Detection, time: float) -> float:
    """How likely a detection continues a track, from 0 to 1.

    Of people who return, and where the pose may have drifted to another person, appearance says
    more than position.
    """
    looks = track.appearance.similarity(detection.looks, detection.height)
    away = time - track.anchor.time
    reach = max(track.size, track.appearance.height) * (_NEAR + _DRIFT * away)
    reachable = max(0.0, 1 - track.anchor.distance(detection.box, time) / reach)
    back = _BACK * reachable**0.5 * looks**1.5
    return max(back, _same_place(track, detection, time) * (_BENT + (1 - _BENT) * looks))


def _same_place(track: Track, detection: Detection, time: float) -> float:
    """Overlap of the predicted and detected box, and nearness of the poses, from 0 to 1."""
    overlap = overlaps(track.anchor.box_at(time)[None], detection.box[None]).item()
    if not track.in_view:
        return overlap * max(0.0, 1 - (time - track.motion.time) / _FRESH_S)
    before, now = track.joint_moves(detection.reading.pose)
    if not len(now):
        return overlap
    off = np.linalg.norm(before - now, axis=1).mean()
    near = max(0.0, 1 - off / (_FAR_POSE * track.size))
    return _OVERLAP_SHARE * overlap + (1 - _OVERLAP_SHARE) * near


def _is_part(one: Detection, other: Detection) -> bool:
    """Whether a new person is a part of somebody, or the same person once more."""
    inside = shares_inside(one.box[None], other.box[None]).item() > _INSIDE
    same = is_same_pose(one.reading, (other.person, other.reading), _PART)
    return one is other or same or (inside and one.person.score < _CLEAR)


def _doubled(tracks: Sequence[Track]) -> list[Track]:
    """Of two tracks that have come to hold one person, the one that is less like before."""
    boxes = np.array([track.extent for track in tracks]).reshape(-1, 4)
    same = np.triu(overlaps(boxes, boxes) > _DOUBLED, 1)
    return [
        max(tracks[a], tracks[b], key=lambda one: (not one.confirmed, one.strangeness, one.number))
        for a, b in np.argwhere(same)
    ]
