"""A picture of four colours, whose orientation is seen."""

from __future__ import annotations

import numpy as np

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def quarters(width=64, height=48):
    """Red and green above, blue and black below."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = BLUE
    return image


def corners(image):
    """The colours of the four quarters' middles, row by row."""
    height, width = image.shape[:2]
    return [
        tuple(int(round(value / 255) * 255) for value in image[y, x].tolist())
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]
