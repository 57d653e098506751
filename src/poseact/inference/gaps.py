"""Short gaps in the tracks of a video, filled once it is known how they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.everyone import EveryoneFollower
from poseact.media import Frame
from poseact.metrics import overlaps

GAP_S = 0.54
"""Longest gap that is filled, and how far results lag behind the frames that are read."""

# Between two detections, a box that overlaps less with the straight way has slipped to somebody.
_SLIPPED = 0.6
# How long before the first of two detections a person counts as in view already.
_BEFORE_S = 0.07


class _Held(NamedTuple):
    """A frame that may still change.

    Attributes:
        frame: The frame.
        people: Who is in it, by id.
        detected: Whether the people were detected, not followed.
        begun: Time of the first frame of the scene.
    """

    frame: Frame
    people: dict[int, PersonReading]
    detected: bool
    begun: float


def without_gaps(
    follower: EveryoneFollower, frames: Iterable[Frame]
) -> Iterator[tuple[Frame, list[PersonReading]]]:
    """The people in a video, also where they were not seen for a moment.

    Who is detected twice within ``GAP_S`` is taken to have moved straight in between: poses that
    are missing, or have slipped to somebody else, are interpolated. Their confidence is 0, and no
    joint is visible.

    Args:
        follower: Reads the people in each frame.
        frames: In order.

    Yields:
        Each frame with its people.
    """
    held: deque[_Held] = deque()
    for frame in frames:
        people = {reading.pose.person: reading for reading in follower.readings(frame)}
        detected = follower.detected_at == frame.time
        held.append(_Held(frame, people, detected, follower.scene_from))
        while frame.time - held[0].frame.time > GAP_S:
            yield _given(held.popleft())
        if detected:
            for person in people:
                _fill(held, person)
    yield from map(_given, held)


def _given(one: _Held) -> tuple[Frame, list[PersonReading]]:
    return one.frame, list(one.people.values())


def _fill(held: deque[_Held], person: int) -> None:
    """Interpolate a person back from the last frame, a detection, to the detection before."""
    *before, last = held
    known = [number for number, one in enumerate(before) if one.detected and person in one.people]
    if not known:
        return
    first = held[known[-1]]
    ends = first.people[person], last.people[person]
    came = not any(person in one.people for one in before[: known[-1]])
    for number, one in enumerate(before):
        ago = first.frame.time - one.frame.time
        between = number > known[-1]
        earlier = came and 0 < ago < _BEFORE_S and not one.detected and one.begun == last.begun
        if between or earlier:
            share = -ago / (last.frame.time - first.frame.time)
            placed = _placed(one.frame, *ends, share)
            if person not in one.people or _overlap(one.people[person], placed) < _SLIPPED:
                one.people[person] = placed


def _placed(frame: Frame, first: PersonReading, last: PersonReading, share: float) -> PersonReading:
    """A person on the straight way between two sightings, or before the first."""

    def mixed(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        return start + share * (end - start)

    pose, end = first.pose, last.pose
    limits = np.tile(frame.image.shape[1::-1], 2)
    whole = mixed(np.array(pose.person_box), np.array(end.person_box)).clip(0, limits)
    unseen = replace(
        pose,
        frame=frame.index,
        time=frame.time,
        joints=mixed(pose.joints, end.joints),
        confidence=np.zeros_like(pose.confidence),
        visible=np.zeros_like(pose.visible),
        box=tuple(mixed(np.array(pose.box), np.array(end.box)).tolist()),
        person_box=tuple(whole.tolist()),
    )
    return first._replace(pose=unseen)


def _overlap(one: PersonReading, other: PersonReading) -> float:
    boxes = (np.array([reading.pose.person_box]) for reading in (one, other))
    return float(overlaps(*boxes)[0, 0])
