"""Video, read upright as RGB in presentation order."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from poseact._utils.errors import PoseActError

# A stream that states no rate at all (some GIFs and screen recordings) is taken to run at this one.
_FALLBACK_RATE = Fraction(25)

_MAX_RATE = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Number of the frame in presentation order, from 0.
        time: Seconds since the first frame.
        image: ``(H, W, 3)`` uint8 RGB, upright.
    """

    index: int
    time: float
    image: np.ndarray


class VideoReader:
    """The frames of a video, upright and in presentation order.

    Each iteration starts at the first frame. That frame is decoded on construction too, so a file
    without any picture is refused at once.

    Attributes:
        path: The file.
        fps: Average frames per second.
        frame_count: Number of frames by the file's own account, or None where it gives none.
        width: Width of the upright pictures in px.
        height: Height of the upright pictures in px.
        rotation: Degrees, clockwise, by which the stored pictures are turned to stand upright:
            0, 90, 180 or 270.
        mirrored: Whether they are then mirrored left to right, as some front cameras ask.

    Raises:
        PoseActError: The file is no video, has sound only, or not one frame can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._running: WeakSet[Generator[Frame, None, None]] = WeakSet()
        with self._open() as container:
            stream = self._stream(container)
            rates = (stream.average_rate, stream.guessed_rate, _FALLBACK_RATE)
            # A file whose frames carry no times claims to play them all at once.
            self.fps = next(rate for rate in rates if rate and rate <= _MAX_RATE)
            self.frame_count = _estimate_count(container, stream, self.fps)
            first = next(self._decode(container, stream), None)
            if first is None:
                raise PoseActError(
                    f"The video {self.path} holds no frame that can be decoded; "
                    f"it may be damaged, so record or export it again."
                )
        self._stored_size = first.width, first.height
        self.rotation, self.mirrored = _orientation(first)
        turned = self.rotation % 180 != 0
        self.width, self.height = self._stored_size[::-1] if turned else self._stored_size

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, ending the iterations under way; a new one opens it again."""
        for frames in list(self._running):
            # Not the container below it: PyAV crashes when one is read after its end.
            frames.close()

    def __iter__(self) -> Iterator[Frame]:
        frames = self._frames()
        self._running.add(frames)
        return frames

    def _frames(self) -> Generator[Frame, None, None]:
        width, height = self._stored_size
        step = 1 / self.fps
        start, time = None, -step
        with self._open() as container:
            frames = self._decode(container, self._stream(container))
            for index, frame in enumerate(frames):
                if frame.pts is None or frame.time_base is None:
                    time += step
                else:
                    stamp = frame.pts * frame.time_base
                    # Where the first frames lack a stamp, the first that has one keeps its place.
                    start = stamp - time - step if start is None else start
                    # Frames that stand still in time are spread at the average rate.
                    time = stamp - start if stamp - start > time else time + step
                # A stream may change its size half way; its result tables and copies cannot.
                # PyAV 15 and 16 make pale pictures unless told that RGB has the full range.
                image = frame.to_ndarray(
                    format="rgb24", width=width, height=height, dst_color_range="JPEG"
                )
                yield Frame(index, float(time), self._upright(image))

    def _upright(self, image: np.ndarray) -> np.ndarray:
        image = np.rot90(image, -self.rotation // 90)
        return np.ascontiguousarray(image[:, ::-1] if self.mirrored else image)

    def _open(self) -> InputContainer:
        if not self.path.is_file():
            raise PoseActError(f"There is no video file {self.path}; check the path.")
        try:
            # The prefix keeps a name with a colon from being taken for a network address.
            return av.open(f"file:{self.path}")
        except FFmpegError as error:
            raise PoseActError(
                f"The file {self.path} is not a video that can be opened ({error.strerror}); "
                f"it may be cut short or of another kind, so export it again, as MP4 for instance."
            ) from error

    def _stream(self, container: InputContainer) -> VideoStream:
        for stream in container.streams.video:
            # The cover picture of a song is a video stream too.
            if not stream.disposition & Disposition.attached_pic:
                stream.thread_type = "AUTO"
                return stream
        raise PoseActError(
            f"The file {self.path} holds no video stream, only sound or other data; "
            f"give a file with pictures."
        )

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        packets = container.demux(stream)
        damaged = 0
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                _log.warning("%s ends early: %s", self.path, error.strerror)
                break
            if packet is None:
                break
            try:
                frames = packet.decode()
            except FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    yield frame
        if damaged:
            _log.warning("%s: %d damaged packets were skipped", self.path, damaged)


class _Orientation(NamedTuple):
    rotation: int
    mirrored: bool


def _orientation(frame: av.VideoFrame) -> _Orientation:
    """How a stored picture is set upright: a clockwise turn in degrees, then a mirroring."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return _Orientation(0, False)
    # Not VideoFrame.rotation: that takes a mirrored picture for one that is upside down.
    # A point (x, y), y down, of the stored picture is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float)
    mirrored = a * d - b * c < 0
    degrees = math.degrees(math.atan2(b, -a if mirrored else a))
    return _Orientation(round(degrees / 90) * 90 % 360, mirrored)


def _estimate_count(container: InputContainer, stream: VideoStream, fps: Fraction) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * fps)
    if container.duration is not None:
        return round(Fraction(container.duration, av.time_base) * fps)
    return None
