"""Pictures of a video as decoders give and encoders take them: YUV 4:2:0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np

FORMAT = "yuv420p"

SHRINKS = 1, 2, 2
"""How much smaller each plane is than the picture, along a side."""


class Colours(NamedTuple):
    """How the numbers of a video mean colours, by the code points of ITU-T H.273.

    Attributes:
        matrix: From RGB to YUV.
        primaries: The colours of R, G and B.
        transfer: From light to the numbers.
    """

    matrix: int
    primaries: int
    transfer: int


BT709 = Colours(1, 1, 1)


class Planes:
    """A picture of even size: brightness in full, two planes of colour in half resolution.

    It takes half the memory of RGB, and goes into a new video without any conversion.

    Args:
        frame: In the format yuv420p and the limited range of numbers.
        colours: What they mean.

    Attributes:
        frame: The same.
        colours: The same.
        layers: The planes, Y ``(H, W)``, U and V ``(H / 2, W / 2)`` uint8, as views.
    """

    def __init__(self, frame: av.VideoFrame, colours: Colours = BT709) -> None:
        self.frame, self.colours = frame, colours
        self.layers: list[np.ndarray] = []
        for plane in frame.planes:
            pixels = np.frombuffer(memoryview(plane), np.uint8)  # pyright: ignore[reportArgumentType]
            self.layers.append(pixels.reshape(-1, plane.line_size)[: plane.height, : plane.width])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the picture as RGB."""
        return self.frame.height, self.frame.width, 3

    def number(self, plane: int, colour: tuple[int, int, int]) -> int:
        """What an RGB colour is in one of the planes."""
        return _numbers(colour, self.colours)[plane]

    def copied(self, turn: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Planes:
        """A copy, of which each plane may be turned or mirrored."""
        planes = [turn(plane) for plane in self.layers]
        height, width = planes[0].shape
        copy = Planes(av.VideoFrame(width, height, FORMAT), self.colours)
        for target, source in zip(copy.layers, planes, strict=True):
            target[:] = source
        copy.frame.colorspace = self.frame.colorspace
        copy.frame.color_range = self.frame.color_range
        return copy


def converted(rgb: np.ndarray, colours: Colours = BT709) -> av.VideoFrame:
    """A frame in yuv420p and the limited range.

    Args:
        rgb: ``(H, W, 3)`` uint8 RGB.
        colours: What its numbers are to mean.
    """
    picture = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(rgb), format="rgb24")
    return picture.reformat(format=FORMAT, dst_colorspace=colours.matrix, dst_color_range="MPEG")


@lru_cache
def _numbers(colour: Sequence[int], colours: Colours) -> tuple[int, ...]:
    even = np.full((16, 16, 3), colour, np.uint8)
    return tuple(int(plane[0, 0]) for plane in Planes(converted(even, colours)).layers)
