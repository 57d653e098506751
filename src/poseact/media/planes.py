"""Pictures of a video as decoders give and encoders take them: YUV 4:2:0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import av
import numpy as np

from poseact.media.crop import Box

FORMAT = "yuv420p"


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


Area = tuple[int, int, int, int]
"""x0, y0, x1, y1 of a part of a picture in whole px, all even."""


class Planes:
    """A picture of even size: brightness in full, two planes of colour in half resolution.

    It takes half the memory of RGB, and what is not drawn on is copied into a new video without
    any conversion.

    Args:
        frame: In the format yuv420p and the limited range of numbers.
        colours: What they mean.
    """

    def __init__(self, frame: av.VideoFrame, colours: Colours) -> None:
        self._frame, self.colours = frame, colours

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the picture as RGB."""
        return self._frame.height, self._frame.width, 3

    def copied(self) -> av.VideoFrame:
        """A frame with the same picture, but without its time."""
        return self._part((0, 0, self._frame.width, self._frame.height))

    def rgb(self, area: Area) -> np.ndarray:
        """A part as uint8 RGB."""
        return self._part(area).to_ndarray(format="rgb24", dst_color_range="JPEG")

    def drawn(self, areas: Sequence[Box], draw: Callable[[np.ndarray], object]) -> Planes:
        """A copy with something drawn on it.

        Args:
            areas: Parts of the picture that hold all of it, at least one.
            draw: Draws it into an RGB picture of the whole size, which is filled in these parts
                only.
        """
        bounds = np.array(areas) / 2
        last = np.array(self.shape[1::-1]) // 2
        low = np.floor(bounds[:, :2].min(0)).clip(0, last - 1)
        high = np.ceil(bounds[:, 2:].max(0)).clip(low + 1, last)
        x0, y0, x1, y1 = area = tuple((2 * np.concatenate((low, high))).astype(int).tolist())
        canvas = np.empty(self.shape, np.uint8)
        canvas[y0:y1, x0:x1] = self.rgb(area)
        draw(canvas)
        result = self.copied()
        part = converted(canvas[y0:y1, x0:x1], self.colours)
        for target, source in zip(_parts(result, area), _parts(part), strict=True):
            target[:] = source
        return Planes(result, self.colours)

    def turned(self, turn: Callable[[np.ndarray], np.ndarray]) -> Planes:
        """The same, each plane turned or mirrored."""
        planes = [turn(plane) for plane in _parts(self._frame)]
        return Planes(_framed(planes, self._frame), self.colours)

    def _part(self, area: Area) -> av.VideoFrame:
        return _framed(_parts(self._frame, area), self._frame)


def converted(rgb: np.ndarray, colours: Colours = BT709) -> av.VideoFrame:
    """A frame in yuv420p and the limited range.

    Args:
        rgb: ``(H, W, 3)`` uint8 RGB.
        colours: How it is to mean colours.
    """
    picture = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(rgb), format="rgb24")
    return picture.reformat(format=FORMAT, dst_colorspace=colours.matrix, dst_color_range="MPEG")


def _parts(frame: av.VideoFrame, area: Area | None = None) -> list[np.ndarray]:
    """The planes of an area, as views."""
    x0, y0, x1, y1 = area or (0, 0, frame.width, frame.height)
    views = []
    for plane, half in zip(frame.planes, (1, 2, 2), strict=True):
        pixels = np.frombuffer(memoryview(plane), np.uint8)  # pyright: ignore[reportArgumentType]
        rows = pixels.reshape(-1, plane.line_size)
        views.append(rows[y0 // half : y1 // half, x0 // half : x1 // half])
    return views


def _framed(planes: list[np.ndarray], like: av.VideoFrame) -> av.VideoFrame:
    """A frame with copies of planes, whose numbers mean what those of another frame do."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, FORMAT)
    for target, source in zip(_parts(frame), planes, strict=True):
        target[:] = source
    frame.colorspace, frame.color_range = like.colorspace, like.color_range
    return frame
