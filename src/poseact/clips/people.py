"""Search for further people in view with the pose network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.follow import closer_window
from poseact.inference.predictor import Predictor
from poseact.media.crop import Window

# A person is certain if the heat maps are sharp and another crop moves the joints little. Chosen on
# filmed exercises with the shipped weights: two people side by side are found in three of four
# pictures, and one of twenty pictures of a single person is taken for several.
_SHARP = 0.22
_STEADY = 0.1

_STEPS = 3
# Each half of the picture is searched from a window of this share of its longer side.
_PLACES = (0.25, 0.75)
_SIDE = 0.6

_LARGE = 0.4
"""Smallest size of another person, relative to the larger one."""

_APART = 0.35
"""Smallest distance between the centres of two people, relative to the larger one's size."""


class Person(NamedTuple):
    """A person found in a picture.

    Attributes:
        window: Window that the pose was read from.
        centre: ``(2,)`` centre of the joints in px.
        size: Longer side of the joints' box in px.
        prominence: Size in px, reduced by the distance from the centre of the picture.
    """

    window: Window
    centre: np.ndarray
    size: float
    prominence: float


def find_people(predictor: Predictor, image: np.ndarray, window: Window) -> list[Person]:
    """Find people of whom the network is certain, the most prominent first.

    Args:
        predictor: Reads the poses.
        image: ``(H, W, 3)`` uint8 RGB.
        window: Where a person is expected; both halves of the picture are searched too.
    """
    height, width = image.shape[:2]
    side = _SIDE * max(width, height)
    windows = [window, *((place * width, height / 2, side) for place in _PLACES)]
    readings = predictor.read(image, windows)
    earlier = readings
    for _ in range(_STEPS):
        windows = [
            closer_window(
                reading.pose.joints,
                reading.pose.confidence,
                reading.spread,
                window,
                width,
                height,
                predictor.sure,
            )
            or window
            for reading, window in zip(readings, windows, strict=True)
        ]
        earlier, readings = readings, predictor.read(image, windows)
    sure = [
        _person(reading, window, width, height)
        for reading, before, window in zip(readings, earlier, windows, strict=True)
        if _is_sure(reading, before)
    ]
    people: list[Person] = []
    for person in sorted(sure, key=lambda person: -person.size):
        if all(_is_another(person, larger) for larger in people):
            people.append(person)
    return sorted(people, key=lambda person: -person.prominence)


def _is_sure(reading: PersonReading, before: PersonReading) -> bool:
    points, earlier = reading.pose.joints[:, :2], before.pose.joints[:, :2]
    moved = np.linalg.norm(points - earlier, axis=1).mean()
    return bool(reading.sharpness.mean() >= _SHARP and moved <= _STEADY * np.ptp(points, 0).max())


def _person(reading: PersonReading, window: Window, width: int, height: int) -> Person:
    points = reading.pose.joints[:, :2]
    centre = (points.min(0) + points.max(0)) / 2
    size = float(np.ptp(points, 0).max())
    off = float(np.hypot(*(centre - (width / 2, height / 2))) / np.hypot(width / 2, height / 2))
    return Person(window, centre, size, size / (1 + off))


def _is_another(person: Person, larger: Person) -> bool:
    apart = float(np.hypot(*(person.centre - larger.centre)))
    return person.size >= _LARGE * larger.size and apart >= _APART * larger.size
