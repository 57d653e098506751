"""Video, read upright as RGB in presentation order."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from poseact._utils.errors import PoseActError
from poseact.media.image import MAX_PIXELS
from poseact.media.planes import FORMAT, Colours, Planes

# A stream that states no rate at all (some GIFs and screen recordings) is taken to run at this one.
_FALLBACK_RATE = Fraction(25)

# No camera is faster; a file without frame times claims to show all frames at the same time.
_MAX_RATE = 10_000

# Above it a rate is believed only where the pictures' own is not far lower.
_USUAL_RATE = 300

# Pixels that are further from square than film has them are a mistake.
_MAX_PIXEL_ASPECT = 4

# A file that gives fewer of its frames than this was cut short, even if no frame is damaged: what
# it says of their number may be an estimate.
_WHOLE = 0.95

# Decoders hold several frames, so that those of small files are to be smaller than 8K.
_SMALL_PIXELS = 2**24
_PIXELS_PER_BYTE = 32

# FFmpeg also reads lists that name other files, which a video must not.
_CONTAINERS = (
    "mov,avi,matroska,mpegts,mpeg,mpegvideo,m4v,h264,hevc,mjpeg,flv,live_flv,gif,ogg,asf,asf_o,"
    "ivf,dv,mxf,nut,apng"
)

# Clockwise, by degrees.
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Number of the frame in presentation order, from 0.
        time: Seconds since the first frame.
        image: ``(H, W, 3)`` uint8 RGB, upright.
        planes: The same as it was decoded, upright, if that is kept.
    """

    index: int
    time: float
    image: np.ndarray
    planes: Planes | None = None


class VideoReader:
    """The frames of a video, upright and in presentation order.

    Each iteration starts at the first frame. That frame is decoded on construction too, so a file
    without any picture is refused at once. A warning is logged if a file that was read to its end
    gave fewer frames than it should have.

    Args:
        path: The file.
        square_pixels: Stretch pictures whose pixels are not square, so that people keep their
            proportions; else they are as stored.
        planes: Keep the planes of the frames, where they are yuv420p of even size.

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

    def __init__(self, path: Path, *, square_pixels: bool = True, planes: bool = False) -> None:
        self.path = Path(path)
        self._warned = False
        self._running: WeakSet[Generator[Frame, None, None]] = WeakSet()
        with self._open() as container:
            stream = self._stream(container)
            self.fps = _rate(stream)
            self.frame_count = _estimate_count(container, stream, self.fps)
            self._counted = stream.frames > 0
            aspect, codec = stream.sample_aspect_ratio, stream.codec_context
            meaning = codec.color_primaries, codec.color_trc
        with closing(self._decode()) as frames:
            first = next(frames, None)
        if first is None:
            raise PoseActError(
                f"The video {self.path} holds no frame that can be decoded; "
                f"it may be damaged, so record or export it again."
            )
        aspect = aspect if square_pixels else None
        self._decoded_size = square_size(first.width, first.height, aspect)
        self.rotation, self.mirrored = _orientation(first)
        turned = self.rotation % 180 != 0
        self.width, self.height = self._decoded_size[::-1] if turned else self._decoded_size
        self._colours = Colours(first.colorspace, *meaning)
        self._range = first.color_range
        limited = first.format.name == FORMAT and self._range != ColorRange.JPEG
        even = self._decoded_size == (first.width // 2 * 2, first.height // 2 * 2)
        self._keeps_planes = planes and limited and even

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and end running iterations; a new one opens it again."""
        for frames in list(self._running):
            # Not the container below it: PyAV crashes when one is read after its end.
            frames.close()

    def __iter__(self) -> Iterator[Frame]:
        frames = self._frames()
        self._running.add(frames)
        return frames

    def _frames(self) -> Generator[Frame, None, None]:
        width, height = self._decoded_size
        step = 1 / self.fps
        start, time = None, -step
        for index, frame in enumerate(self._decode()):
            if frame.pts is None or frame.time_base is None:
                time += step
            else:
                stamp = frame.pts * frame.time_base
                # Where the first frames lack a stamp, the first that has one keeps its place.
                start = stamp - time - step if start is None else start
                # Frames that stand still in time are spread at the average rate.
                time = stamp - start if stamp - start > time else time + step
            # A stream may change its size half way; its result tables and copies cannot.
            # PyAV 15 and 16 make pale pictures unless the full range of RGB is stated.
            image = frame.to_ndarray(
                format="rgb24", width=width, height=height, dst_color_range="JPEG"
            )
            planes = self._planes(frame) if self._keeps_planes else None
            yield Frame(index, float(time), self._upright(image), planes)

    def _planes(self, frame: av.VideoFrame) -> Planes:
        # The frame itself, unless its size, format or colours change half way.
        width, height = self._decoded_size
        meaning = {"dst_colorspace": self._colours.matrix, "dst_color_range": self._range}
        planes = Planes(frame.reformat(width, height, FORMAT, **meaning), self._colours)
        return planes.copied(self._upright) if self.rotation or self.mirrored else planes

    def _upright(self, image: np.ndarray) -> np.ndarray:
        if self.rotation:
            image = cv2.rotate(image, _TURNS[self.rotation])
        return cv2.flip(image, 1) if self.mirrored else image

    def _open(self) -> InputContainer:
        if not self.path.is_file():
            raise PoseActError(f"There is no video file {self.path}; check the path.")
        try:
            # The prefix keeps a name with a colon from being taken for a network address.
            return av.open(
                f"file:{self.path}",
                options={"format_whitelist": _CONTAINERS},
                # Titles may be in any encoding.
                metadata_errors="replace",
            )
        except FFmpegError as error:
            raise PoseActError(
                f"The file {self.path} is not a video that can be opened ({error.strerror}); "
                f"it may be cut short or of another kind, so export it again, as MP4 for instance."
            ) from error

    def _stream(self, container: InputContainer) -> VideoStream:
        for stream in container.streams.video:
            # The cover picture of a song is a video stream too.
            codec = stream.codec_context
            # A stream of an unknown codec has none.
            if codec is not None and not stream.disposition & Disposition.attached_pic:
                limit = min(MAX_PIXELS, max(_SMALL_PIXELS, _PIXELS_PER_BYTE * container.size))
                if codec.width * codec.height > limit:
                    raise PoseActError(
                        f"The video {self.path} has {codec.width} x {codec.height} px in "
                        f"{container.size:,} bytes, but at most {limit:,} px are decoded; make it "
                        "smaller."
                    )
                # The size may change on the way.
                codec.options = {"max_pixels": str(limit)}
                stream.thread_type = "AUTO"
                return stream
        raise PoseActError(
            f"The file {self.path} holds no video stream, only sound or other data; "
            f"give a file with pictures."
        )

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """The frames, on all cores up to the first damage, and on one from there on.

        What is decoded ahead on several cores when a packet turns out to be damaged is lost, the
        more the more cores there are.
        """
        done, discarded, frame = 0, 0, None
        with suppress(FFmpegError), self._open() as container:
            for packet in container.demux(self._stream(container)):
                if packet.is_corrupt:
                    break
                # A file may have frames that are not to be shown.
                discarded += packet.is_discard
                for frame in _pictures(packet):
                    yield frame
                    done += 1
            else:
                self._warn_incomplete(done + discarded, 0, frame)
                return
        with self._open() as container:
            stream = self._stream(container)
            stream.thread_type = "NONE"
            yield from islice(self._decode_damaged(container, stream), done, None)

    def _decode_damaged(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[av.VideoFrame]:
        done, damaged, frame = 0, 0, None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                _log.warning("%s ends early: %s", self.path, error.strerror)
                damaged += 1
                break
            if packet is None:
                break
            try:
                frames = _pictures(packet)
            except FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                yield frame
                done += 1
        self._warn_incomplete(done, damaged, frame)

    def _warn_incomplete(self, done: int, damaged: int, last: av.VideoFrame | None) -> None:
        """Warn once of missing or damaged frames in a file read to its end."""
        if self._warned:
            return
        self._warned = True
        if damaged:
            _log.warning("%s: %d damaged packets were skipped", self.path, damaged)
        stated = self.frame_count or 0
        # Frames at uneven times may be fewer than an estimate of their number, and yet be all.
        seconds = 0 if self._counted or last is None else last.time or 0
        at_end = not damaged and seconds >= _WHOLE * stated / self.fps
        if done < stated * (1 if damaged else _WHOLE) and not at_end:
            _log.warning(
                "%d of %d frames of %s could be read; it is cut short or damaged",
                *(done, stated, self.path),
            )


def _pictures(packet: av.Packet) -> list[av.VideoFrame]:
    return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]


def _rate(stream: VideoStream) -> Fraction:
    """Average frames per second, if plausible."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if average and guessed and average > _USUAL_RATE and guessed < average / 2:
        average = guessed
    # The guess may count the fields of a picture, which the codec's own rate does not.
    own = None if average else stream.codec_context.framerate
    rates = (average, own, guessed, _FALLBACK_RATE)
    return next(rate for rate in rates if rate and rate <= _MAX_RATE)


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a picture with square pixels; no side becomes shorter.

    Args:
        width: In px.
        height: In px.
        aspect: Width of a pixel over its height; None or a strange one for square pixels.
    """
    if not aspect or not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        return width, height
    return round(width * max(aspect, 1)), round(height / min(aspect, 1))


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
