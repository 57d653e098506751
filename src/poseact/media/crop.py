"""Square crops: from a picture to the network's input and back.

Coordinates of a picture are continuous: it spans [0, width] x [0, height], pixel centres at .5.
The crop spans [0, 1] x [0, 1] in the same way, so mirroring it is exactly x -> 1 - x.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

PERSON_MARGIN = 1.25
MIN_SIDE_PX = 16.0
DEPTH_RANGE_MM = 2000.0
"""The networks' depth 0 to 1 spans this much, centred on the root."""

# Along each side of a cell.
_PIXELS_OF_CELL = 8

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px of a picture."""

Square = tuple[float, float, float]
"""Square of a picture: centre x, centre y and side in px."""


def to_frames(crops: Tensor) -> Tensor:
    """Crops to network inputs: ``(N, S, S, 3)`` uint8 RGB to ``(N, 1, 3, S, S)`` in [-1, 1].

    The result lies channels last in memory, as the crops do.
    """
    return (crops.permute(0, 3, 1, 2).float() / 127.5 - 1).unsqueeze(1)


def whole_square(width: int, height: int) -> Square:
    """The smallest square that holds the whole picture."""
    return width / 2, height / 2, float(max(width, height))


def person_square(box: Box, margin: float = PERSON_MARGIN) -> Square:
    """Square ``(centre x, centre y, side)`` in px around a box.

    Its side is ``margin`` times the box's longest side, and at least ``MIN_SIDE_PX``.
    """
    x0, y0, x1, y1 = box
    side = max(margin * max(x1 - x0, y1 - y0), MIN_SIDE_PX)
    return (x0 + x1) / 2, (y0 + y1) / 2, side


def crop_matrix(square: Square, rotation_deg: float = 0.0, flip: bool = False) -> np.ndarray:
    """The ``(3, 3)`` map from image px to [0, 1] of a square.

    Args:
        square: Centre x, centre y and side in px.
        rotation_deg: Turns the content clockwise on the screen about the square's centre.
        flip: Mirrors the content after the rotation.
    """
    centre_x, centre_y, side = square
    angle = np.deg2rad(rotation_deg)
    cos, sin = np.cos(angle) / side, np.sin(angle) / side
    linear = np.array([[cos, -sin], [sin, cos]])
    if flip:
        linear[0] *= -1
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = 0.5 - linear @ (centre_x, centre_y)
    return matrix


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map ``(..., 2)`` points by a ``(3, 3)`` affine map, in the map's precision."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def warp_image(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Cut ``(size, size, 3)`` out of ``(H, W, 3)``; what lies outside the image is black.

    Args:
        image: uint8.
        matrix: ``(3, 3)`` map from image px to [0, 1] of the crop.
        size: Side of the result in px.
    """
    # warpAffine reads four pixels however much it shrinks, so halve what shrinks to less than that.
    times = halvings(image, size * np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if times:
        image, matrix = _halved_part(image, matrix, times)
    # OpenCV puts pixel centres at whole numbers, hence the halves on both sides.
    pixels = matrix[:2] * size
    offset = pixels @ (0.5, 0.5, 1.0) - 0.5
    pixels = np.column_stack((pixels[:, :2], offset))
    return cv2.warpAffine(image, pixels, (size, size), flags=cv2.INTER_LINEAR)


def cell_means(image: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Means ``(rows, columns, 3)`` of the cells of an image, of 64 pixels in each.

    To average all pixels of a large image takes milliseconds.
    """
    size = columns * _PIXELS_OF_CELL, rows * _PIXELS_OF_CELL
    some = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(some, (columns, rows), interpolation=cv2.INTER_AREA)


def halvings(image: np.ndarray, scale: float) -> int:
    """How often an image can be halved on the way to a scale."""
    return max(int(min(-np.log2(scale), np.log2(min(image.shape[:2])))), 0)


def halved(image: np.ndarray, times: int) -> np.ndarray:
    """A smaller image of means of 2x2 pixels, so many times over.

    OpenCV takes a third of the time of other means of pixels for it.
    """
    for _ in range(times):
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return image


def _halved_part(
    image: np.ndarray, matrix: np.ndarray, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a crop shows, halved, and the map from its px.

    Args:
        image: ``(H, W, 3)``.
        matrix: ``(3, 3)`` map from image px to [0, 1] of the crop.
        times: How often it is halved.
    """
    factor = 2**times
    corners = transform_points(np.linalg.inv(matrix), np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]))
    # Whole cells, and two more for the interpolation at the edge.
    low = factor * (np.floor(corners.min(0) / factor).astype(int) - 2).clip(0)
    high = factor * (np.ceil(corners.max(0) / factor).astype(int) + 2)
    part = image[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if min(part.shape[:2]) < factor:  # beside the crop
        return np.zeros_like(image[:1, :1]), matrix
    to_image = np.diag((factor, factor, 1.0))
    to_image[:2, 2] = low
    return halved(part, times), matrix @ to_image
