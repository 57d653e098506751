"""People in view of a clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseact.inference.detect import VIDEO_LOOKS, Person, PersonDetector

_SURE = 0.5
_LARGE = 0.4
"""Smallest size of another person, relative to the largest one."""

_AS_LARGE = 0.7
"""The same of a rival, who is followed too."""

_MOST_RIVALS = 2


def find_people(detector: PersonDetector, image: np.ndarray) -> list[Person]:
    """Confidently detected people not much smaller than the largest, most prominent first.

    Args:
        detector: Finds them.
        image: ``(H, W, 3)`` uint8 RGB.
    """
    middle = np.array(image.shape[1::-1]) / 2

    def prominence(person: Person) -> float:
        """Size, reduced with the distance from the middle of the picture."""
        x0, y0, x1, y1 = person.box
        off = np.hypot(*((x0 + x1) / 2, (y0 + y1) / 2) - middle) / np.hypot(*middle)
        return _size(person) / (1 + float(off))

    people = detector.find(image, _SURE, VIDEO_LOOKS)
    largest = max(map(_size, people), default=0.0)
    large = [person for person in people if _size(person) >= _LARGE * largest]
    return sorted(large, key=prominence, reverse=True)


def rivals_among(people: Sequence[Person]) -> list[Person]:
    """The next two who are about as large as the largest, so that a clip may be about them.

    Args:
        people: As :func:`find_people` finds them, at least one.
    """
    largest = max(map(_size, people))
    rivals = [person for person in people[1:] if _size(person) >= _AS_LARGE * largest]
    return rivals[:_MOST_RIVALS]


def _size(person: Person) -> float:
    x0, y0, x1, y1 = person.box
    return max(x1 - x0, y1 - y0)
