"""Pictures and video: find them, read them upright as RGB, write them without losing a file."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from weakref import WeakSet

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from poseact.errors import PoseActError
from poseact.files import atomic_write, replacing, unwritable
from poseact.quiet import quiet_opencv

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov"),
        *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    }
)

# How each picture format that `write_image` knows is asked of OpenCV.
_ENCODER_FLAGS = {
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".png": (),
}

# A stream that states no rate at all (some GIFs and screen recordings) is taken to run at this one.
_FALLBACK_RATE = Fraction(25)

_MAX_RATE = 300

# Ticks per second of a written video, at least: the customary clock of video timing.
_MIN_TICKS = 90_000

_log = logging.getLogger(__name__)


def find_media(source: Path, leave_out: Path | None = None) -> list[Path]:
    """The pictures and videos that a path stands for.

    Args:
        source: A file, or a folder that is searched with all folders below it. Hidden files and
            folders are left out: systems keep thumbnails and the like in them.
        leave_out: A folder below ``source`` that is not searched, such as that of the results.

    Returns:
        Paths in natural order, ``frame2.png`` before ``frame10.png``.

    Raises:
        PoseActError: The path is missing, the folder holds no media, or the file's suffix is none
            of the known ones.
    """
    source = Path(source)
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        is_dir, exists = source.is_dir(), source.exists()
    except OSError as error:
        raise PoseActError(
            f"The path {source} cannot be looked up ({error.strerror}); check it."
        ) from error
    if is_dir:
        inner = None if leave_out is None else leave_out.resolve()
        skipped = inner if inner != source.resolve() else None
        found = [
            path
            for path in source.rglob("*")
            if path.suffix.lower() in known
            and not any(part.startswith(".") for part in path.relative_to(source).parts)
            and (skipped is None or skipped not in path.resolve().parents)
            and path.is_file()
        ]
        if not found:
            raise PoseActError(
                f"The folder {source} holds no picture or video; "
                f"put some there, with one of the suffixes {_listed(known)}."
            )
        return sorted(found, key=lambda path: _natural(path.relative_to(source)))
    if not exists:
        raise PoseActError(f"There is no file or folder {source}; check the path.")
    if source.suffix.lower() not in known:
        raise PoseActError(
            f"The file {source} is not known to be a picture or a video; "
            f"give one with a suffix of {_listed(known)}."
        )
    return [source]


def read_image(path: Path) -> np.ndarray:
    """Read a picture upright, its EXIF orientation applied.

    Args:
        path: A file of one of ``IMAGE_SUFFIXES``; grey, transparent and 16-bit ones are converted.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: The file cannot be read or holds no intact picture.
    """
    path = Path(path)
    try:
        # Not cv2.imread: on Windows it cannot open every name.
        content = path.read_bytes()
    except OSError as error:
        raise PoseActError(
            f"The picture {path} could not be read ({error.strerror}); check the path."
        ) from error
    return decode_image(content, f"file {path}")


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the content of a picture file, upright.

    Args:
        content: The encoded picture.
        name: What to call it in messages.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: It is no intact picture.
    """
    data = np.frombuffer(content, np.uint8)
    try:
        with quiet_opencv():
            image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise PoseActError(
            f"The {name} is not a picture that can be decoded; "
            f"it may be damaged, so replace it or leave it out."
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write a picture as PNG or JPEG, by the suffix of its name.

    Args:
        path: Where to; folders that are missing are made.
        rgb: ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: The suffix is another, the array is no picture, or the file cannot be
            written; a file that was there stays.
    """
    path = Path(path)
    flags = _ENCODER_FLAGS.get(path.suffix.lower())
    if flags is None:
        raise PoseActError(
            f"A picture cannot be written as {path.name!r}; "
            f"give a name with a suffix of {_listed(_ENCODER_FLAGS)}."
        )
    require_picture(rgb)
    _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), flags)
    atomic_write(path, lambda partial: partial.write_bytes(data.tobytes()))


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


class VideoWriter:
    """Writes H.264 video (yuv420p, BT.709) into an MP4 that starts playing before it is loaded.

    The file appears under its name when the ``with`` block ends well; when the block raises, a
    file that was there stays as it was. Pictures of odd width or height are padded by one line,
    a copy of the last, because the format halves the colour resolution.

    Args:
        path: The MP4 to make or replace; folders that are missing are made.
        fps: Frames per second, for frames that are written without a time.
        width: Width of the pictures in px.
        height: Height of the pictures in px.

    Raises:
        PoseActError: The suffix is not ``.mp4``, or rate or size are not above 0; on entering or
            leaving the block, the file cannot be written or no frame was.
    """

    def __init__(self, path: Path, fps: Fraction | float, width: int, height: int) -> None:
        self.path = Path(path)
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
        self._stack = ExitStack()

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            try:
                partial = stack.enter_context(replacing(self.path))
                container = av.open(
                    f"file:{partial}", "w", format="mp4", options={"movflags": "+faststart"}
                )
            except (OSError, FFmpegError) as error:
                raise unwritable(self.path, error) from error
            self._container = stack.enter_context(container)
            self._stream = self._add_stream()
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return self._stack.__exit__(kind, error, trace)
        except OSError as failure:  # FFmpeg's errors of the disk are OSErrors too
            raise unwritable(self.path, failure) from failure

    def write(self, rgb: np.ndarray, time: float | None = None) -> None:
        """Append a frame.

        Args:
            rgb: ``(height, width, 3)`` uint8 RGB.
            time: When it is shown, in seconds on any clock: the first frame written is at 0 in the
                file. A time that is not later than the last frame's is put one tick after it. None
                for one frame's duration after the last.

        Raises:
            PoseActError: The picture has another size or type, the time is not finite, or the file
                cannot be written.
        """
        require_picture(rgb)
        if rgb.shape[:2] != (self.height, self.width):
            raise PoseActError(
                f"A frame of {rgb.shape[1]} x {rgb.shape[0]} px was given for {self.path}, which "
                f"has {self.width} x {self.height} px; give frames of that size."
            )
        if self.width % 2 or self.height % 2:
            rgb = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts = self._last = self._stamp(time)
        frame.time_base = self._time_base
        frame.duration = self._step
        self._encode(frame)

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
        # No B-frames: with them the file's own durations, and so its rate, are off where frames
        # are unevenly spaced.
        options = {"crf": "20", "preset": "veryfast", "bf": "0"}
        stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        stream.width = self.width + self.width % 2
        stream.height = self.height + self.height % 2
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        stream.time_base = codec.time_base = self._time_base
        codec.colorspace = codec.color_primaries = codec.color_trc = 1  # BT.709 in all three
        codec.color_range = 1  # the limited range that players expect
        return stream

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except FFmpegError as error:
            raise unwritable(self.path, error) from error

    def _finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,  # noqa: ARG002 - the signature of an exit callback
        trace: TracebackType | None,  # noqa: ARG002
    ) -> None:
        if kind is not None:
            return
        if self._last < 0:
            raise PoseActError(
                f"No frame was given for the video {self.path}, so none was made; "
                f"give at least one."
            )
        self._encode(None)


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


def require_picture(rgb: np.ndarray) -> None:
    """Check that an array is a picture.

    Raises:
        PoseActError: It is not ``(H, W, 3)`` uint8 with at least one pixel.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise PoseActError(
            f"An array of shape {rgb.shape} and type {rgb.dtype} was given as a picture; "
            f"give (height, width, 3) of uint8 RGB."
        )


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which numbers count as numbers; the path itself settles a tie."""
    chunks = re.split(r"(\d+)", path.as_posix().casefold())
    key = [(0, int(chunk), "") if chunk.isdecimal() else (1, 0, chunk) for chunk in chunks]
    return key, path.as_posix()


def _listed(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes))
