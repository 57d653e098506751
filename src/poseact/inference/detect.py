"""Finding everyone in a picture: the boxes of people, agreed on by looks at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from poseact.media import require_picture
from poseact.media.crop import (
    Box,
    crop_matrix,
    halved,
    halvings,
    person_square,
    transform_points,
    warp_image,
)
from poseact.metrics import overlaps
from poseact.runtime.choose import TORCH, Choice
from poseact.runtime.interface import Runtime
from poseact.runtime.source import PERSON_STRIDE, PersonSource
from poseact.skeleton import COCO17

if TYPE_CHECKING:
    import torch

THRESHOLD = 0.284
"""Score from which a person counts as found."""

MAX_PEOPLE = 20
"""Largest number of people found in one picture."""

SURE_JOINTS = 8
"""How many of the most confident joints support a detection; a visible part has as many."""

_CELL_PX = 4
# A look counts most for people whose longest side is near this, by a bell curve in octaves.
_BEST_PX = 110.0
_OCTAVES = 0.8
_LEAST_SCORE = 0.02
# How far about the expected cell a joint is looked for.
_JOINT_SEARCH = np.arange(-3, 4)
_COORDINATES = 2 * len(COCO17)
# Boxes that overlap so much are one person; people who embrace still are two.
_SAME_PERSON = 0.7
# From this score on, people are not looked at from near.
_BEYOND_DOUBT = 0.75
_CLOSE_LOOK_PX = 192
_SAME_FROM_NEAR = 0.5


class Looks(NamedTuple):
    """How a picture is searched.

    Attributes:
        sizes: Its longest side in px in each look.
        close: Sizes of the squares, relative to the person, in which doubtful people are looked at
            again.
        doubted_from: Score of a person from which that is done.
        shrink: OpenCV's interpolation for smaller pictures; a linear one finds people of photos
            more precisely than means of pixels, and was not tried in videos.
    """

    sizes: Sequence[int]
    close: Sequence[float] = ()
    doubted_from: float = 0.06
    shrink: int = cv2.INTER_AREA


LOOKS = Looks((256, 320, 480, 640), (1.3, 1.6, 2.2), shrink=cv2.INTER_LINEAR)
"""For photos."""

VIDEO_LOOKS = Looks((256, 480), (1.6,), doubted_from=0.14)
"""For frames of a video, where time counts."""

FAST_LOOKS = Looks((320,))
"""Where the detector's own poses are taken, or time is short."""

NEAR_LOOKS = Looks((256,))
"""Where time is short and everyone in view is large."""


class Person(NamedTuple):
    """A person found in a picture.

    Attributes:
        box: x0, y0, x1, y1 in px, inside the picture.
        score: In (0, 1]; confidence that it is a person.
        joints: ``(17, 3)`` x, y in px and probability of COCO's joints, none where boxes
            alone are known.
        agreement: Mean score in the looks at the whole picture, all counting the same.
        evidence: ``(1,)`` mean over the box, from near, of how much it looks like a part of a
            person; empty for those who were not looked at again.
    """

    box: Box
    score: float
    joints: np.ndarray = np.zeros((0, 3))
    agreement: float = 1.0
    evidence: np.ndarray = np.zeros(0)

    @property
    def area(self) -> float:
        """Of the box in px²."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


class PersonDetector:
    """Finds the boxes of people, with MoveNet MultiPose (Google, Apache-2.0).

    Every look scales the picture to its own size, takes the local maxima of the centre map as
    candidates, and weights them by the confidence of the person's joints. Candidates of several
    looks that are one person are merged into one box; a look's weight depends on the person's size
    in it, and a look without the person lowers the score. Uncertain people are detected again in
    close crops.

    Args:
        device: Where PyTorch runs; by default CUDA if available.
        choice: Runtime and precision; 8-bit numbers stand for 32 bit.
        run: The graph in a runtime, instead of opening the shipped one by these two.

    Attributes:
        device: Where it runs.

    Raises:
        PoseActError: The device does not exist.
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        choice: Choice = TORCH,
        run: Runtime | None = None,
    ) -> None:
        if choice.precision == "int8":
            choice = choice._replace(precision="fp32")
        self._run = run or PersonSource().start(choice, device)
        self.device = self._run.device

    def find(
        self,
        image: np.ndarray,
        threshold: float = THRESHOLD,
        looks: Looks = LOOKS,
    ) -> list[Person]:
        """The people in a picture, the surest first, at most ``MAX_PEOPLE``.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            threshold: Least score.
            looks: How it is searched.

        Raises:
            PoseActError: The array is no picture.
        """
        require_picture(image)
        sides = [side / max(image.shape[:2]) for side in looks.sizes]
        found = merged([self._look(image, scale, looks.shrink) for scale in sides], sides)
        evidence = self._look_closer(image, found, looks)
        order = np.argsort(-found[:, 4], kind="stable").tolist()
        return [_person(found[k], evidence[k]) for k in order if found[k, 4] >= threshold]

    def _look(self, image: np.ndarray, scale: float, shrink: int) -> np.ndarray:
        """Candidates in the picture at a scale, see :func:`candidates`."""
        height, width = image.shape[:2]
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        smoothly = shrink if scale < 1 else cv2.INTER_LINEAR
        image = halved(image, halvings(image, scale))
        padded = np.zeros(
            (*(-(-side // PERSON_STRIDE) * PERSON_STRIDE for side in size[::-1]), 3), np.uint8
        )
        padded[: size[1], : size[0]] = cv2.resize(image, size, interpolation=smoothly)
        (rows,) = candidates(self._run(padded[None]))
        scales = size[0] / width, size[1] / height
        rows[:, :4] /= np.tile(scales, 2)
        rows[:, 5:][:, :_COORDINATES] /= np.tile(scales, len(COCO17))
        rows[:, :4] = rows[:, :4].clip(0, np.tile((width, height), 2))
        return rows[(rows[:, 0] < rows[:, 2]) & (rows[:, 1] < rows[:, 3])]

    def _look_closer(self, image: np.ndarray, found: np.ndarray, looks: Looks) -> list[np.ndarray]:
        """Detect uncertain people again in close and mirrored crops; scores are means of all looks.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            found: ``(N, 5)`` or more, box in px and score, which is changed.
            looks: How the picture is searched.

        Returns:
            The evidence of each, from the closest crops.
        """
        evidence = [np.zeros(0)] * len(found)
        above = found[:, 4] > looks.doubted_from
        doubtful = np.flatnonzero(above & (found[:, 4] < _BEYOND_DOUBT))
        if not len(doubtful):
            return evidence
        scores, boxes = [found[doubtful, 4]], found[doubtful, :4]
        near: list[list[np.ndarray]] = []
        for margin in looks.close:
            squares = [person_square(tuple(box), margin) for box in boxes]
            matrices = [crop_matrix(square) for square in squares]
            crops = [warp_image(image, matrix, _CLOSE_LOOK_PX) for matrix in matrices]
            pictures = np.stack(crops)
            for view, mirrored in ((pictures, False), (pictures[:, :, ::-1], True)):
                maps = self._run(np.ascontiguousarray(view))
                if margin == min(looks.close):
                    cells = maps[-1][..., ::-1] if mirrored else maps[-1]
                    near.append([_inside(*one) for one in zip(cells, matrices, boxes, strict=True)])
                seen = candidates(maps)
                for rows, matrix in zip(seen, matrices, strict=True):
                    rows[:, :4] /= _CLOSE_LOOK_PX
                    if mirrored:
                        rows[:, [0, 2]] = 1 - rows[:, [2, 0]]
                    back = np.linalg.inv(matrix)
                    corners = transform_points(back, rows[:, :4].reshape(-1, 2)).reshape(-1, 4)
                    rows[:, :4] = corners.clip(0, np.tile(image.shape[1::-1], 2))
                scores.append(
                    np.array(
                        [_support(*one, found) for one in zip(doubtful.tolist(), seen, strict=True)]
                    )
                )
        found[doubtful, 4] = np.mean(scores, axis=0)
        for person, views in zip(doubtful.tolist(), zip(*near, strict=True), strict=False):
            evidence[person] = np.mean(views, axis=0)
        return evidence


def _inside(cells: np.ndarray, matrix: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Means ``(E,)`` of a crop's maps ``(E, h, w)`` over a box of the picture."""
    size = cells.shape[:0:-1]
    low, high = transform_points(matrix, box.reshape(2, 2)) * size
    first = np.ceil(low - 0.5).clip(0, np.subtract(size, 1)).astype(int)
    last = np.maximum(np.floor(high + 0.5).astype(int), first + 1)
    return cells[:, first[1] : last[1], first[0] : last[0]].mean((1, 2))


def _support(person: int, seen: np.ndarray, found: np.ndarray) -> float:
    """The score that close crops give to each person found.

    The best score times overlap among the detections that overlap no other person more, so that a
    part of a person gets no support from the whole person.
    """
    same = overlaps(found[:, :4], seen[:, :4])
    own = (same.argmax(0) == person) & (same[person] > _SAME_FROM_NEAR)
    return float((seen[:, 4] * same[person])[own].max(initial=0))


def candidates(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The people of each picture's maps.

    Args:
        maps: Outputs of the person graph, see :class:`~poseact.runtime.graphs.PersonOutputs`.

    Returns:
        ``(N, 56)`` x0, y0, x1, y1 in px of the network's input, score, x and y of COCO's joints in
        px and their probabilities, in no order.
    """
    return [_candidates(*parts) for parts in zip(*maps[:5], strict=True)]


def _candidates(
    peaks: np.ndarray, size: np.ndarray, offset: np.ndarray, reach: np.ndarray, joints: np.ndarray
) -> np.ndarray:
    """The people of one picture's maps."""
    y, x = (peaks > _LEAST_SCORE).nonzero()
    cell = np.stack((y, x)).astype(np.float32)
    middle, half = cell + offset[:, y, x], np.abs(size[:, y, x]) / 2
    low, high = _CELL_PX * (middle - half), _CELL_PX * (middle + half)
    expected = np.moveaxis(cell + reach[..., y, x], 1, -1)
    places = np.rint(expected).astype(int)[..., None] + _JOINT_SEARCH
    rows, columns = (
        places[:, :, axis].clip(0, limit - 1) for axis, limit in enumerate(peaks.shape)
    )
    near = joints[np.arange(len(joints))[:, None, None, None], rows[..., None], columns[:, :, None]]
    vouching = near.max((2, 3))
    score = np.cbrt(peaks[y, x] ** 2 * np.sort(vouching, 0)[-SURE_JOINTS:].mean(0))
    weight = near * near
    weight /= weight.sum((2, 3), keepdims=True) + np.finfo(np.float32).tiny
    spots = [(weight.sum(3) * rows).sum(-1), (weight.sum(2) * columns).sum(-1)]
    spots = _CELL_PX * (np.stack(spots[::-1], -1) + 0.5)
    flat = np.moveaxis(spots, 0, 1).reshape(len(y), _COORDINATES)
    return np.column_stack((*low[::-1], *high[::-1], score, flat, vouching.T))


def _person(row: np.ndarray, evidence: np.ndarray) -> Person:
    x0, y0, x1, y1, score = row[:5].tolist()
    places, probability = np.split(row[5:-1], [_COORDINATES])
    joints = np.column_stack((places.reshape(-1, 2), probability))
    return Person((x0, y0, x1, y1), score, joints, float(row[-1]), evidence)


def merged(looks: list[np.ndarray], scales: list[float]) -> np.ndarray:
    """The people of several looks at one picture.

    Args:
        looks: ``(N, 5)`` or more of each look: box in px of the picture, score, and what else is
            averaged.
        scales: Of the looks, px per px of the picture.

    Returns:
        The same for all looks together and, in a last column, the mean score of the looks; the
        highest score first, at most ``MAX_PEOPLE``.
    """
    rows = np.concatenate(looks)
    look = np.repeat(np.arange(len(looks)), [len(found) for found in looks])
    side = np.maximum(*(rows[:, 2:4] - rows[:, :2]).T)
    octaves = np.log2(side[:, None] * scales / _BEST_PX)
    trust = np.exp(-((octaves / _OCTAVES) ** 2) / 2) + np.finfo(float).tiny
    trust = (trust / trust.sum(1, keepdims=True))[np.arange(len(rows)), look]
    order = np.argsort(-rows[:, 4] * np.maximum(trust, 0.2), kind="stable")
    same = overlaps(rows[:, :4], rows[:, :4]) >= _SAME_PERSON
    people = []
    while len(order):
        alike = same[order[0], order]
        group = order[alike]
        # The best of each look.
        group = group[np.unique(look[group], return_index=True)[1]]
        weights = rows[group, 4] * trust[group]
        person = weights @ rows[group] / weights.sum()
        person[4] = weights.sum()
        people.append((*person, rows[group, 4].sum() / len(looks)))
        order = order[~alike]
    found = np.array(people).reshape(-1, rows.shape[1] + 1)
    return found[np.argsort(-found[:, 4], kind="stable")][:MAX_PEOPLE]
