"""One person in one frame: the pose, and the features read with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class FramePose:
    """One person in one frame.

    Attributes:
        frame: Number of the frame in its file, from 0.
        time: Seconds since the first frame of the file.
        person: Number of the person, from 0: within the frame, or through a video in which people
            are followed.
        joints: ``(J, 2)`` x and y in px of the source, or ``(J, 3)`` with the depth relative to the
            root joint in the table's unit; NaN where there is no estimate.
        confidence: ``(J,)`` from 0 to 1.
        visible: ``(J,)`` boolean.
        box: x0, y0, x1, y1 in px of the source, the crop the pose was read from.
        person_box: The same tightly around the person; None for who was located without a box.
        score: Confidence of the detector, from 0 to 1.
    """

    frame: int
    time: float
    person: int
    joints: np.ndarray
    confidence: np.ndarray
    visible: np.ndarray
    box: tuple[float, float, float, float]
    person_box: tuple[float, float, float, float] | None = None
    score: float | None = None


class PersonReading(NamedTuple):
    """One person in one frame, with the inputs of an action network.

    Attributes:
        pose: Pose in px of the picture.
        sharpness: ``(J,)`` in (0, 1], the share of a joint's heat map in its densest 2 x 2 cells.
        spread: ``(J, 2)`` standard deviation of a joint's place along x and y, in px.
        appearance: ``(J, C)`` visual features gathered at the joints by their heat maps.
    """

    pose: FramePose
    sharpness: np.ndarray
    spread: np.ndarray
    appearance: np.ndarray
