"""Where drawn frames go: a picture, or a video that grows frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from poseact.actions.answers import Segment
from poseact.actions.timeline import draw_strip, strip_height
from poseact.media import VideoWriter, write_image
from poseact.media.drawing import Colour


class Canvas:
    """Writes drawn frames; a video is complete when the ``with`` block ends well.

    Args:
        target: ``.png`` or ``.mp4``; the video is begun with its first frame.
        fps: Of the video; None for a picture.
    """

    def __init__(self, target: Path, fps: Fraction | float | None) -> None:
        self._target, self._fps = target, fps
        self._stack = ExitStack()
        self._writer: VideoWriter | None = None

    def __enter__(self) -> Canvas:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def write(self, picture: np.ndarray, time: float) -> None:
        """Write a frame.

        Args:
            picture: ``(H, W, 3)`` uint8 RGB; in a video, one of another size than the first is
                fitted into that.
            time: When it is shown, in s.

        Raises:
            PoseActError: It cannot be written.
        """
        if self._fps is None:
            write_image(self._target, picture)
            return
        if self._writer is None:
            height, width = picture.shape[:2]
            writer = VideoWriter(self._target, self._fps, width, height)
            self._writer = self._stack.enter_context(writer)
        self._writer.write(_fitted(picture, self._writer.width, self._writer.height), time)


def _fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture scaled to a size as far as it keeps its shape, in the middle of black."""
    found_height, found_width = picture.shape[:2]
    if (found_width, found_height) == (width, height):
        return picture
    scale = min(width / found_width, height / found_height)
    margins = (width - scale * found_width) / 2, (height - scale * found_height) / 2
    matrix = np.array([[scale, 0, margins[0]], [0, scale, margins[1]]])
    return cv2.warpAffine(picture, matrix, (width, height))


def with_strip(
    image: np.ndarray,
    segments: Sequence[Segment],
    colours: dict[str, Colour],
    span: tuple[float, float],
    now: float,
) -> np.ndarray:
    """A frame with the strip of :func:`~poseact.actions.timeline.draw_strip` under it."""
    height, width = image.shape[:2]
    size = (width, strip_height(height))
    return np.vstack((image, draw_strip(segments, colours, span=span, now=now, size=size)))
