"""Confirmation of detected people by the poses read in their boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.detect import SURE_JOINTS, THRESHOLD, Person
from poseact.inference.follow import LIKELY
from poseact.metrics import overlaps, shares_inside
from poseact.runtime.source import person_check

CANDIDATE = 0.14
"""Score of the detector from which a pose can make a person of somebody."""

CONFIRMED = 0.27
"""Score of detector, looks and pose from which a person counts as found."""

CHECK_FROM = 0.06
"""Score of the detector from which people of a photo are checked; others are left out."""

CHECKED = 0.62
"""Probability by the check from which somebody is in a photo."""

CHECKED_BESIDE = 0.5
"""The same for others, where the photo shows somebody: people are rarely alone."""

# A doubtful box that overlaps a surer person so much is a second box of that person.
_ONE_PERSON = 0.55
_LEAST = 0.01

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


def checked(people: Sequence[Person], readings: Sequence[PersonReading]) -> list[Pair]:
    """People of a photo with the probability that they are, highest first.

    Those whom the detector doubts are judged by a logistic regression of :func:`facts_of` and of
    the evidence, which ``tools/fit_person_check.py`` has fitted to other photos. A doubtful box
    that overlaps a surer person or has the same pose is dropped.

    Args:
        people: Found by the detector.
        readings: Their poses, with the probabilities that joints are right.
    """
    pairs = [one for one in zip(people, readings, strict=True) if one[0].score >= CHECK_FROM]
    people, readings = [person for person, _ in pairs], [reading for _, reading in pairs]
    check = person_check()
    doubtful = np.array([person.evidence.size > 0 for person in people], bool)
    evidence = np.array([person.evidence.sum() for person in people])
    logits = facts_of(people, readings) @ check["facts"] + check["bias"] + evidence
    sure = np.array([person.score for person in people])
    scores = np.where(doubtful, 1 / (1 + np.exp(-logits)), sure).tolist()
    boxes = np.array([person.box for person in people]).reshape(-1, 4)
    same = overlaps(boxes, boxes) > _ONE_PERSON
    kept: list[Pair] = []
    numbers: list[int] = []
    for number in np.lexsort((-np.array(scores), doubtful)).tolist():
        person, reading = people[number], readings[number]
        double = same[number, numbers].any() or (
            person.score < THRESHOLD and any(is_same_pose(reading, surer) for surer in kept)
        )
        if not (doubtful[number] and double):
            kept.append((person._replace(score=scores[number]), reading))
            numbers.append(number)
    return sorted(kept, key=lambda pair: -pair[0].score)


def shown(people: Sequence[Person], readings: Sequence[PersonReading]) -> list[Pair]:
    """People who count as found in a photo, see :func:`checked`."""
    pairs = checked(people, readings)
    anybody = any(person.score >= CHECKED for person, _ in pairs)
    return [pair for pair in pairs if anybody and pair[0].score >= CHECKED_BESIDE]


def facts_of(people: Sequence[Person], readings: Sequence[PersonReading]) -> np.ndarray:
    """What tells people of a photo from other things and from parts of people.

    Args:
        people: Found by the detector.
        readings: Their poses.

    Returns:
        ``(N, 6)`` logarithms of the score, the agreement of the looks and the confidence of the
        surest joints; then, over all surer people, the largest overlap, and the largest shares of
        the own box in the other's and of the other's in the own.
    """
    boxes = np.array([person.box for person in people]).reshape(-1, 4)
    own = [
        (one.score, one.agreement, _vouching(pose))
        for one, pose in zip(people, readings, strict=True)
    ]
    own = np.array(own).reshape(-1, 3)
    inside = shares_inside(boxes, boxes)
    score = own[:, 0] * own[:, 2]
    surer = score > score[:, None]
    parts = overlaps(boxes, boxes), inside, inside.T
    covers = [(part * surer).max(1, initial=0) for part in parts]
    return np.column_stack((np.log(own.clip(_LEAST)), *covers))


def _score(person: Person, reading: PersonReading) -> float:
    return person.score ** (1 - 2 * _SHARE) * (person.agreement * _vouching(reading)) ** _SHARE


def _vouching(reading: PersonReading) -> float:
    """Mean confidence of the surest joints."""
    return float(np.sort(reading.pose.confidence)[-SURE_JOINTS:].mean())


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
