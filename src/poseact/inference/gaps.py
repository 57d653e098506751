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
# How long before the first detection a person counts as in view already.
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
    follower: EveryoneFollower, frames: Iterable[Frame], pictures: bool = True
) -> Iterator[tuple[Frame, list[PersonReading]]]:
    """The people in a video, also where they were not seen for a moment.

    Who is detected twice within ``GAP_S`` is taken to have moved straight in between: poses that
    are missing, or have slipped to somebody else, are interpolated. Newcomers count from a moment
    before they are detected. The confidence of such poses is 0, and no joint is visible.

    Args:
        follower: Reads the people in each frame.
        frames: In order.
        pictures: Whether the frames keep their pictures, as planes where they have these; without,
            black ones that take no memory.

    Yields:
        Each frame with its people, up to ``GAP_S`` after it is read.
    """
    held: deque[_Held] = deque()
    for frame in frames:
        people = {reading.pose.person: reading for reading in follower.readings(frame)}
        detected = follower.detected_at == frame.time
        black = np.broadcast_to(np.uint8(0), frame.image.shape)
        whole = pictures and frame.planes is None
        kept = frame if whole else replace(frame, image=black)
        held.append(_Held(kept, people, detected, follower.scene_from))
        if detected:
            for person in people:
                _fill(held, person)
        while frame.time - held[0].frame.time > GAP_S:
            yield _given(held.popleft())
    yield from map(_given, held)


def _given(one: _Held) -> tuple[Frame, list[PersonReading]]:
    return one.frame, list(one.people.values())


def _fill(held: deque[_Held], person: int) -> None:
    """Interpolate a person back from the last frame, a detection, to the detection before."""
    *before, last = held
    end = last.people[person]
    known = [number for number, one in enumerate(before) if one.detected and person in one.people]
    if known:
        first = before[known[-1]]
        start, unknown = first.people[person], before[known[-1] + 1 :]
    else:
        first, start, unknown = last, end, [one for one in before if _just_before(one, last)]
    passed = max(last.frame.time - first.frame.time, _BEFORE_S)
    for one in unknown:
        placed = _placed(one.frame, start, end, (one.frame.time - first.frame.time) / passed)
        if person not in one.people or _overlap(one.people[person], placed) < _SLIPPED:
            one.people[person] = placed


def _just_before(one: _Held, newcomer: _Held) -> bool:
    """Whether who is new in a frame was in view in another one already."""
    soon = newcomer.frame.time - one.frame.time < _BEFORE_S
    return soon and not one.detected and one.begun == newcomer.begun


def _placed(frame: Frame, first: PersonReading, last: PersonReading, share: float) -> PersonReading:
    """A person on the straight way between two sightings."""

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
