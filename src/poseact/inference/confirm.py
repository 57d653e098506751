"""Confirmation of detected people by the poses read in their boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.detect import SURE_JOINTS, THRESHOLD, Person
from poseact.inference.follow import LIKELY

CANDIDATE = 0.14
"""Score of the detector from which a pose can make a person of somebody."""

CONFIRMED = 0.27
"""Score of detector, looks and pose from which a person counts as found."""

# Share of the pose in the score, and that of the looks at the whole picture.
_SHARE = 0.2
# Median distance of the joints, in sizes of the person, up to which two boxes hold one person.
_SAME_POSE = 0.03
_LEAST_JOINTS = 4

Pair = tuple[Person, PersonReading]


def confirmed(people: Sequence[Person], readings: Sequence[PersonReading]) -> list[Pair]:
    """Rescore people by their poses and the agreement of the looks, highest score first.

    A box of low detector score is dropped if its pose duplicates that of a person with a higher
    score.

    Args:
        people: Found by the detector.
        readings: Their poses, with the probabilities that joints are right.
    """
    scores = [_score(*pair) for pair in zip(people, readings, strict=True)]
    kept: list[Pair] = []
    for number in np.argsort(-np.array(scores), kind="stable"):
        person, reading = people[number], readings[number]
        if person.score >= THRESHOLD or not any(is_same_pose(reading, surer) for surer in kept):
            kept.append((person._replace(score=scores[number]), reading))
    return kept


def _score(person: Person, reading: PersonReading) -> float:
    vouching = float(np.sort(reading.pose.confidence)[-SURE_JOINTS:].mean())
    return person.score ** (1 - 2 * _SHARE) * (person.agreement * vouching) ** _SHARE


def is_same_pose(reading: PersonReading, surer: Pair, within: float = _SAME_POSE) -> bool:
    """Whether a pose duplicates that of a person with a higher score.

    Args:
        reading: The pose.
        surer: The other person.
        within: Median distance of the joints, in sizes of that person, below which it is.
    """
    (x0, y0, x1, y1), other = surer[0].box, surer[1].pose
    both = np.minimum(reading.pose.confidence, other.confidence) >= LIKELY
    apart = np.linalg.norm((reading.pose.joints - other.joints)[both, :2], axis=1)
    near = within * max(x1 - x0, y1 - y0)
    return len(apart) >= _LEAST_JOINTS and float(np.median(apart)) < near
