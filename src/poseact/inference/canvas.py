"""Output of drawn frames: a picture or a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from poseact.actions.answers import Segment
from poseact.actions.frame_pose import FramePose
from poseact.actions.timeline import action_colours, draw_strip, strip_height, timeline_picture
from poseact.inference.predictor import Predictor
from poseact.inference.smoothing import PoseSmoother
from poseact.media import Frame, VideoWriter, write_image
from poseact.media.drawing import Colour, Picture, copied, draw_box, draw_pose, side_view_of
from poseact.media.planes import BT709, Planes

_MIN_SIDE_VIEW_PX = 32


class Canvas:
    """Writes drawn frames; a video is complete when the ``with`` block ends without an error.

    Args:
        target: ``.png`` or ``.mp4``; the video is begun with its first frame.
        fps: Of the video; None for a picture.
        recoverable: See :class:`~poseact.media.VideoWriter`.
    """

    def __init__(
        self, target: Path, fps: Fraction | float | None, *, recoverable: bool = False
    ) -> None:
        self._target, self._fps, self._recoverable = target, fps, recoverable
        self._stack = ExitStack()
        self._writer: VideoWriter | None = None

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def write(self, picture: np.ndarray | Planes, time: float) -> None:
        """Write a frame.

        Args:
            picture: ``(H, W, 3)`` uint8 RGB; in a video, one of another size than the first is
                fitted into that. Or planes for all frames of a video, whose colours it then has.
            time: When it is shown, in s.

        Raises:
            PoseActError: It cannot be written.
        """
        if self._fps is None:
            write_image(self._target, cast("np.ndarray", picture))
            return
        if self._writer is None:
            height, width = picture.shape[:2]
            colours = picture.colours if isinstance(picture, Planes) else BT709
            writer = VideoWriter(
                *(self._target, self._fps, width, height),
                recoverable=self._recoverable,
                colours=colours,
            )
            self._writer = self._stack.enter_context(writer)
        if isinstance(picture, np.ndarray):
            picture = _fitted(picture, self._writer.width, self._writer.height)
        self._writer.write(picture, time)


def _fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture scaled to fit a size, centred on black."""
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


def draw_people(
    picture: Picture,
    poses: list[FramePose],
    predictor: Predictor,
    side_view: bool = False,
    names: Mapping[int, str] | None = None,
) -> Picture:
    """Draw every pose into a copy of the picture, with the person's box and number.

    Who was located without a box has neither.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB, or planes.
        poses: Poses in px of it.
        predictor: Names joints and limbs.
        side_view: Put the first person's side view, two metres high, into the upper right corner
            of RGB, unless the picture is too small for it.
        names: What to write behind a person's number.
    """
    copy = copied(picture)
    for pose in poses:
        draw_pose(copy, pose.joints, pose.confidence, predictor.skeleton, in_place=True)
        if pose.person_box is not None:
            name = (names or {}).get(pose.person, "")
            draw_box(copy, pose.person_box, label=f"{pose.person} {name}".rstrip(), in_place=True)
    size = min(copy.shape[:2]) // 3
    if side_view and poses and size >= _MIN_SIDE_VIEW_PX and isinstance(copy, np.ndarray):
        copy[:size, -size:] = side_view_of(poses[0].joints, predictor.skeleton, size)
    return copy


FoundPeople = tuple[Frame, list[FramePose]]
"""A frame and the poses of its people."""


@dataclass
class FileDrawing:
    """Draws the results of one photo or video.

    Attributes:
        target: ``.png`` or ``.mp4`` to write.
        timeline: Picture of a video's actions over time to write.
        predictor: Names joints and limbs.
        side_view: Add the first person's side view.
        smooth: Smooth the poses of those who keep their number over time.
        written: Files that are complete.
    """

    target: Path
    timeline: Path | None
    predictor: Predictor
    side_view: bool = False
    smooth: bool = False
    written: list[Path] = field(default_factory=list)

    def people(self, frame: Frame, poses: list[FramePose]) -> np.ndarray | Planes:
        """A frame with its people drawn."""
        if frame.planes is None:
            return draw_people(frame.image, poses, self.predictor, self.side_view)
        return draw_people(frame.planes, poses, self.predictor, self.side_view)

    def draw(
        self,
        frames: Iterable[FoundPeople],
        fps: Fraction | None,
        picture: Callable[[Frame, list[FramePose]], np.ndarray | Planes] | None = None,
    ) -> Iterator[FoundPeople]:
        """Draw frames and pass them on, with the poses as they came.

        Args:
            frames: Frames with their people.
            fps: Frame rate of the video; None for a photo.
            picture: Draws a frame; by default :meth:`people`.

        Raises:
            PoseActError: The target cannot be written.
        """
        empty, smoother = True, PoseSmoother()
        with Canvas(self.target, fps) as canvas:
            for frame, poses in frames:
                empty = False
                shown = smoother.smooth(poses) if self.smooth else poses
                canvas.write((picture or self.people)(frame, shown), frame.time)
                yield frame, poses
        if not empty:
            self.written.append(self.target)

    def draw_actions(
        self,
        frames: Iterable[FoundPeople],
        fps: Fraction | None,
        segments: Mapping[int, Sequence[Segment]],
        labels: Sequence[str],
    ) -> None:
        """Draw a video with the timeline of its actions, and the timeline as a picture.

        The timeline is that of the person who is longest in view. Where there are several people,
        each has a box with number and action.

        Raises:
            PoseActError: The results cannot be written.
        """
        colours = action_colours(labels)
        main = max(segments.values(), key=lambda own: own[-1].end - own[0].start, default=())
        end = max((own[-1].end for own in segments.values()), default=0.0)

        def picture(frame: Frame, poses: list[FramePose]) -> np.ndarray:
            names = {
                person: next((s.label for s in reversed(own) if s.start <= frame.time), "")
                for person, own in segments.items()
            }
            drawn = draw_people(frame.image, poses, self.predictor, self.side_view, names)
            return with_strip(drawn, main, colours, (0.0, end), frame.time)

        for _ in self.draw(frames, fps, picture):
            pass
        if self.timeline is not None:
            write_image(self.timeline, timeline_picture(main, colours, end))
            self.written.append(self.timeline)
