"""Poses of people who keep still, which are not read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.follow import Read
from poseact.media import Frame
from poseact.media.crop import Square, cell_means

# The picture of a person is compared in so many cells along a side. Noise hardly changes their
# means; a limb that moves by a hundredth of the side changes those at its edges by more than this.
_CELLS = 32
_SAME = 4


class _Known(NamedTuple):
    square: Square
    picture: np.ndarray
    reading: PersonReading


class StillReader:
    """Reads poses, those of people whose picture has not changed only once.

    Args:
        read: Reads the poses.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[int, _Known] = {}

    def forget(self) -> None:
        """Read all poses again."""
        self._known.clear()

    def __call__(self, frame: Frame, squares: Mapping[int, Square]) -> list[PersonReading]:
        """The people in squares of a picture, by a number of each person."""
        image, number, time = frame.image, frame.index, frame.time
        known = {
            who: one for who, one in self._known.items() if who in squares and _is_same(one, image)
        }
        new = {who: square for who, square in squares.items() if who not in known}
        readings = self._read(image, list(new.values()), number, time)
        for (who, square), reading in zip(new.items(), readings, strict=True):
            known[who] = _Known(square, _small(image, square), reading)
        self._known = {who: known[who] for who in squares}
        people = (self._known[who].reading for who in squares)
        return [
            one._replace(pose=replace(one.pose, person=person, frame=number, time=time))
            for person, one in enumerate(people)
        ]


def _is_same(one: _Known, image: np.ndarray) -> bool:
    return int(cv2.absdiff(_small(image, one.square), one.picture).max()) <= _SAME


def _small(image: np.ndarray, square: Square) -> np.ndarray:
    x, y, side = square
    height, width = image.shape[:2]
    left, right = np.clip((x - side / 2, x + side / 2), 0, width - 1).astype(int).tolist()
    top, bottom = np.clip((y - side / 2, y + side / 2), 0, height - 1).astype(int).tolist()
    return cell_means(image[top : bottom + 1, left : right + 1], _CELLS, _CELLS)
