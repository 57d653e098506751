"""Scores of boxes and ids of people."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

# Orders of a few people that are tried one by one.
_MOST_TRIED = 120


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, ``(N, 4)`` and ``(M, 4)`` to ``(N, M)``."""
    common = _common(first, second)
    union = _areas(first)[:, None] + _areas(second) - common
    return common / np.maximum(union, np.finfo(float).tiny)


def shares_inside(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Share of each box of ``(N, 4)`` that lies in each of ``(M, 4)``, to ``(N, M)``."""
    return _common(first, second) / np.maximum(_areas(first), np.finfo(float).tiny)[:, None]


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low = np.maximum(first[:, None, :2], second[:, :2])
    high = np.minimum(first[:, None, 2:], second[:, 2:])
    return np.maximum(high - low, 0).prod(-1)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1)


class TrackScore(NamedTuple):
    """How well people keep their ids in a video.

    Attributes:
        labelled: Number of labelled boxes.
        found: Number of boxes found.
        right: Number of boxes that lie on the person matched to their id, in the one-to-one
            matching of ids to people that maximises this number.
        switches: How often the id of a labelled person changes.
    """

    labelled: int
    found: int
    right: int
    switches: int

    @property
    def idf1(self) -> float:
        """F1 score of the ids (Ristani et al., 2016); NaN without boxes."""
        return 2 * self.right / both if (both := self.labelled + self.found) else float("nan")


Tracked = tuple[np.ndarray, np.ndarray]
"""Ids ``(N,)`` and boxes ``(N, 4)`` of a frame."""


def track_score(
    truth: Sequence[Tracked], found: Sequence[Tracked], least: float = 0.5
) -> TrackScore:
    """Score ids, frame by frame.

    Switches are counted as by Bernardin and Stiefelhagen (2008): a match that continues the
    previous one of a person has priority.

    Args:
        truth: Labelled people.
        found: People found.
        least: Overlap from which a box lies on a person.
    """
    together: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    switches = 0
    for (people, boxes), (ids, places) in zip(truth, found, strict=True):
        same = overlaps(boxes, places) >= least
        together.update((int(people[row]), int(ids[at])) for row, at in np.argwhere(same))
        known = np.array([last.get(int(one), -1) for one in people])
        kept = same & (known[:, None] == ids)
        for row, at in assigned(same + (1 + len(ids)) * kept):
            if same[row, at]:
                one, own = int(people[row]), int(ids[at])
                switches += last.get(one, own) != own
                last[one] = own
    everyone, all_ids = ({pair[side]: None for pair in together} for side in (0, 1))
    counts = np.array([together[one, own] for one in everyone for own in all_ids])
    counts = counts.reshape(len(everyone), len(all_ids))
    right = sum(int(counts[pair]) for pair in assigned(counts))
    labelled, given = (sum(len(ids) for ids, _ in part) for part in (truth, found))
    return TrackScore(labelled, given, right, switches)


def assigned(gain: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of rows and columns of ``(N, M)`` gains with the largest sum."""
    rows, columns = gain.shape
    if rows > columns:
        return sorted((row, column) for column, row in assigned(gain.T))
    if math.perm(columns, rows) <= _MOST_TRIED:
        orders: Iterable[tuple[int, ...]] = itertools.permutations(range(int(columns)), int(rows))

        def total(order: tuple[int, ...]) -> float:
            return sum(float(gain[pair]) for pair in enumerate(order))

        return list(enumerate(max(orders, key=total)))
    # Imported here: the import takes as long as a photo, and 40 MB.
    from scipy.optimize import linear_sum_assignment  # pyright: ignore  # noqa: PLC0415

    pairs = np.column_stack(linear_sum_assignment(gain, maximize=True))  # pyright: ignore
    return [(int(row), int(column)) for row, column in pairs]
