"""Video, written atomically as H.264."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.stream import VideoStream

from poseact._utils.errors import PoseActError
from poseact._utils.files import replacing, unwritable
from poseact.media.image import require_picture
from poseact.media.planes import BT709, FORMAT, Colours, Planes, converted

# Ticks per second of a written video, at least: the customary clock of video timing.
_MIN_TICKS = 90_000

# Frames that wait to be encoded while the next ones are made.
_MOST_WAITING = 2

# Fragments of 1,000,000 us, each on disk as soon as it is complete.
_RECOVERABLE = {
    "movflags": "+hybrid_fragmented",
    "frag_duration": "1000000",
    "flush_packets": "1",
}


class VideoWriter:
    """Writes H.264 video (yuv420p) as MP4 for progressive playback.

    The file appears under its name when the ``with`` block ends well; when the block raises, a
    file that was there stays as it was. Pictures of odd width or height are padded by one line,
    a copy of the last, because the format halves the colour resolution.

    Args:
        path: The MP4 to make or replace; folders that are missing are made.
        fps: Frames per second, for frames that are written without a time.
        width: Width of the pictures in px.
        height: Height of the pictures in px.
        recoverable: Write fragments of a second into ``STEM.unfinished-XXXXXXXX.mp4``, which can be
            played at any time and stays if the process is killed; it becomes an ordinary MP4, with
            its index at the end, when the block ends well.
        colours: Of the video; by default BT.709.

    Raises:
        PoseActError: The suffix is not ``.mp4``, or rate or size are not above 0; on entering or
            leaving the block, the file cannot be written or no frame was.
    """

    def __init__(
        self,
        path: Path,
        fps: Fraction | float,
        width: int,
        height: int,
        *,
        recoverable: bool = False,
        colours: Colours = BT709,
    ) -> None:
        self.path, self._recoverable, self._colours = Path(path), recoverable, colours
        if self.path.suffix.lower() != ".mp4":
            raise PoseActError(
                f"A video cannot be written as {self.path.name!r}; give a name that ends in .mp4."
            )
        if not (math.isfinite(fps) and fps > 0 and width > 0 and height > 0):
            raise PoseActError(
                f"A video of {width} x {height} px at {float(fps):g} frames per second cannot be "
                f"written; give a size and a rate above 0."
            )
        self.width, self.height = width, height
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        # A whole number of ticks per frame, so that a constant rate is kept exactly.
        ticks = self._rate.numerator * math.ceil(_MIN_TICKS / self._rate.numerator)
        self._time_base = Fraction(1, ticks)
        self._step = int(ticks / self._rate)
        self._start: float | None = None
        self._last = -self._step
        self._waiting: deque[Future[None]] = deque()
        self._stack = ExitStack()

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            try:
                partial = stack.enter_context(replacing(self.path, keep=self._recoverable))
                options = _RECOVERABLE if self._recoverable else {"movflags": "+faststart"}
                container = av.open(f"file:{partial}", "w", format="mp4", options=options)
            except (OSError, FFmpegError) as error:
                raise unwritable(self.path, error) from error
            self._container = stack.enter_context(container)
            self._stream = self._add_stream()
            self._thread = stack.enter_context(ThreadPoolExecutor(1))
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        try:
            return self._stack.__exit__(*error)
        except OSError as failure:  # FFmpeg's errors of the disk are OSErrors too
            raise unwritable(self.path, failure) from failure

    def write(self, picture: np.ndarray | Planes, time: float | None = None) -> None:
        """Append a frame.

        Args:
            picture: ``(height, width, 3)`` uint8 RGB; or planes with the colours of the video,
                which are not to be changed afterwards.
            time: When it is shown, in seconds on any clock: the first frame written is at 0 in the
                file. A time that is not later than the last frame's is put one tick after it. None
                for one frame's duration after the last.

        Raises:
            PoseActError: The picture has another size or type, the time is not finite, or the file
                cannot be written.
        """
        if isinstance(picture, np.ndarray):
            require_picture(picture)
        height, width = picture.shape[:2]
        if (height, width) != (self.height, self.width):
            raise PoseActError(
                f"A frame of {width} x {height} px was given for {self.path}, which "
                f"has {self.width} x {self.height} px; give frames of that size."
            )
        # RGB is converted here, so that the caller may use its picture again.
        frame = picture.frame if isinstance(picture, Planes) else self._converted(picture)
        frame.pict_type = PictureType.NONE  # else the kind that a decoder met is encoded again
        frame.pts = self._last = self._stamp(time)
        frame.time_base = self._time_base
        frame.duration = self._step
        self._waiting.append(self._thread.submit(self._encode, frame))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft().result()

    def _converted(self, rgb: np.ndarray) -> av.VideoFrame:
        if self.width % 2 or self.height % 2:
            rgb = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        return converted(rgb, self._colours)

    def _stamp(self, time: float | None) -> int:
        if time is None:
            return self._last + self._step
        if not math.isfinite(time):
            raise PoseActError(
                f"The time {time} was given for a frame of {self.path}; give finite seconds."
            )
        if self._start is None:
            self._start = time - float((self._last + self._step) * self._time_base)
        return max(round((time - self._start) / self._time_base), self._last + 1)

    def _add_stream(self) -> VideoStream:
        # It takes 0.6 of the time of "superfast" for as many bytes, and has no B-frames: with
        # them the file's own durations, and so its rate, are off where frames are unevenly spaced.
        # One quantiser for all frames takes three quarters of the time of a rate control ("crf").
        options = {"qp": "21", "preset": "ultrafast"}
        stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        stream.width = self.width + self.width % 2
        stream.height = self.height + self.height % 2
        stream.pix_fmt = FORMAT
        codec = stream.codec_context
        stream.time_base = codec.time_base = self._time_base
        codec.colorspace, codec.color_primaries, codec.color_trc = self._colours
        codec.color_range = 1  # the limited range that players expect
        return stream

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except FFmpegError as error:
            raise unwritable(self.path, error) from error

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        while self._waiting:
            self._waiting.popleft().result()
        if self._last < 0:
            raise PoseActError(
                f"No frame was given for the video {self.path}, so none was made; "
                f"give at least one."
            )
        self._encode(None)
