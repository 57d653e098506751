"""Live pictures of a camera, an address or a file; late ones may be dropped."""

from __future__ import annotations

import logging
import math
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event
from time import perf_counter, sleep
from typing import Literal, NamedTuple, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact.media import IMAGE_SUFFIXES, VideoReader
from poseact.media.quiet import quiet_opencv
from poseact.media.reader import square_size

Policy = Literal["latest", "all"]

Pictures = Iterator[tuple[float, np.ndarray]]
"""Times in s, rising, and ``(H, W, 3)`` uint8 RGB."""

# A camera of Linux.
_DEVICE = re.compile(r"/dev/video(\d+)")

# Pictures that are read ahead where none is dropped.
_AHEAD = 4
# How often a waiting thread looks whether it is still wanted.
_LOOK_S = 0.1
_NETWORK_TIMEOUT_MS = 10_000
# Arrivals that the rate is measured on.
_ARRIVALS = 100

# What of an address is never printed: passwords, and queries, which may hold tokens.
_SECRETS = (
    (re.compile(r"(?s)^(\w+[:/\\]+[^:/?#@]*:).*@"), r"\1***@"),
    (re.compile(r"(?s)^(\w+[:/\\]+)(?![:/\\])[^:@]*[/?#].*:.*@"), r"\1***@"),
    (re.compile(r"(?s)^([^:/\\@]+:)[^/\\].*@"), r"\1***@"),
    (re.compile(r"(?s)([?#;]).+"), r"\1***"),
)

_log = logging.getLogger(__name__)


class LiveFrame(NamedTuple):
    """A picture of a live source.

    Attributes:
        index: Its number at the source, dropped ones included, from 0.
        time: Seconds since the source was opened, or since the first frame of a file.
        image: ``(H, W, 3)`` uint8 RGB.
        arrived: ``time.perf_counter()`` when it came.
    """

    index: int
    time: float
    image: np.ndarray
    arrived: float


class BackOff(NamedTuple):
    """Waiting times for reopening a lost source.

    Attributes:
        first_s: Wait before the first attempt; each further one waits twice as long.
        longest_s: But no longer than this.
        patience_s: Without a picture for this long, the source is given up.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    patience_s: float = math.inf


class LiveSource:
    """Reads pictures in a separate thread, so that the latest one is available at any time.

    Use it in a ``with`` block, which opens the source, and iterate.

    Args:
        connect: Opens the source; its pictures end when it is lost or over.
        name: For messages.
        policy: ``latest``: a picture that was not taken before the next came is dropped. ``all``:
            none is dropped here, and the source has to wait.
        lasting: Whether an end is a loss, after which it is opened again.
        live: Whether pictures come at their own pace.
        back_off: How a lost source is tried again.

    Attributes:
        dropped: Pictures that were dropped.
        reconnections: How often the source was opened again.

    Raises:
        PoseActError: There is no such policy; on entering, the source cannot be opened.
    """

    def __init__(
        self,
        connect: Callable[[], Pictures],
        name: str,
        *,
        policy: Policy = "latest",
        lasting: bool = True,
        live: bool = True,
        back_off: BackOff | None = None,
    ) -> None:
        if policy not in get_args(Policy):
            raise PoseActError(
                f"The policy {policy!r} was given; give one of {', '.join(get_args(Policy))}."
            )
        self.name, self.policy, self.live = name, policy, live
        self.dropped = self.reconnections = 0
        self._connect, self._lasting = connect, lasting
        self._back_off = back_off or BackOff()
        self._queue: Queue[LiveFrame | None] = Queue(1 if policy == "latest" else _AHEAD)
        self._closed = Event()
        self._arrivals: deque[float] = deque(maxlen=_ARRIVALS)
        self._count = 0

    def __enter__(self) -> LiveSource:
        pictures = self._connect()
        self._thread = ThreadPoolExecutor(1, "poseact-source")
        self._reading = self._thread.submit(self._read, pictures)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.shutdown()

    @property
    def fps(self) -> float | None:
        """Recent pictures per second, dropped ones included; None before the second."""
        arrivals = list(self._arrivals)
        if len(arrivals) < 2:
            return None
        return (len(arrivals) - 1) / max(arrivals[-1] - arrivals[0], 1e-9)

    def __iter__(self) -> Iterator[LiveFrame]:
        return self.frames(lambda: False)

    def frames(self, stop: Callable[[], bool]) -> Iterator[LiveFrame]:
        """The pictures, until the source ends or ``stop`` is true, even while none arrives.

        Raises:
            PoseActError: The source broke, or was lost and not found again.
        """
        while not stop():
            try:
                frame = self._queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            if frame is None:
                self._reading.result()
                return
            yield frame

    def _read(self, pictures: Pictures) -> None:
        try:
            while True:
                for time, image in pictures:
                    self._offer(time, image)
                    if self._closed.is_set():
                        return
                if not self._lasting:
                    return
                found = self._find_again()
                if found is None:
                    return
                pictures = found
        finally:
            self._put(None)

    def _find_again(self) -> Pictures | None:
        """Open a lost source again; None when it is no longer wanted."""
        _log.warning("%s was lost; trying again", self.name)
        lost, wait = perf_counter(), self._back_off.first_s
        while not self._closed.wait(wait):
            try:
                pictures = self._connect()
                first = next(pictures, None)
            except PoseActError:
                first, pictures = None, iter(())
            if first is not None:
                self.reconnections += 1
                return chain((first,), pictures)
            if perf_counter() - lost > self._back_off.patience_s:
                raise PoseActError(
                    f"{self.name} was lost and did not come back within "
                    f"{self._back_off.patience_s:g} s; check it and start again."
                )
            wait = min(2 * wait, self._back_off.longest_s)
        return None

    def _offer(self, time: float, image: np.ndarray) -> None:
        arrived = perf_counter()
        self._arrivals.append(arrived)
        frame = LiveFrame(self._count, time, image, arrived)
        self._count += 1
        if self.policy == "all":
            self._put(frame)
            return
        try:
            self._queue.put_nowait(frame)
        except Full:
            # Taken in the meantime: then nothing is dropped.
            with suppress(Empty):
                self._queue.get_nowait()
                self.dropped += 1
            self._queue.put_nowait(frame)

    def _put(self, frame: LiveFrame | None) -> None:
        """Wait for a place in the queue, unless the source was closed."""
        while not self._closed.is_set():
            with suppress(Full):
                self._queue.put(frame, timeout=_LOOK_S)
                return


def live_source(
    spec: str | int | Path,
    *,
    policy: Policy | None = None,
    realtime: bool = False,
    back_off: BackOff | None = None,
) -> LiveSource:
    """Open a live source.

    Args:
        spec: The number of a camera or its device such as ``/dev/video0``, an address such as
            ``rtsp://…`` or ``http://…``, or a video file, also as ``file://…``.
        policy: What to do with pictures that arrive faster than they are processed: ``latest``
            drops them, ``all`` keeps them; by default ``all`` for a file that is not played in
            real time, else ``latest``.
        realtime: Play a file at its own pace, as a camera would.
        back_off: How a lost camera or address is tried again. An address that ends counts as lost.

    Raises:
        PoseActError: There is no such file, or it is a photo.
    """
    text = _file_of(str(spec))
    device = _DEVICE.fullmatch(os.path.realpath(text))
    if device or text.isdecimal() or "://" in text:
        name = _printable(text) if "://" in text else f"The camera {text}"
        text = device[1] if device else text
        start = perf_counter()
        return LiveSource(
            lambda: _captured(text, name, start), name, policy=policy or "latest", back_off=back_off
        )
    if Path(text).suffix.lower() in IMAGE_SUFFIXES:
        raise PoseActError(
            f"The photo {text} was given; give the number of a camera, the address of a stream or "
            "a video file."
        )
    if "@" in text and not Path(text).exists():
        raise PoseActError(
            f"There is no file {_printable(text)}; an address starts with rtsp:// or http://."
        )
    reader = VideoReader(Path(text))
    return LiveSource(
        lambda: _played(reader, realtime),
        text,
        policy=policy or ("latest" if realtime else "all"),
        lasting=False,
        live=realtime,
    )


def _printable(address: str) -> str:
    for pattern, replacement in _SECRETS:
        address = pattern.sub(replacement, address)
    return address


def _file_of(text: str) -> str:
    """The path in an address ``file://…``; other texts as they are."""
    if not text.lower().startswith("file://"):
        return text
    address = urlsplit(text)
    host = "" if address.netloc == "localhost" else address.netloc
    return url2pathname(host + address.path)


def _captured(text: str, name: str, start: float) -> Pictures:
    """Pictures of a camera or an address, with the times at which they come."""
    # OpenCV reads it when it first needs FFmpeg, whose own words end with it; -8 is AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with quiet_opencv():
        if text.isdecimal():
            capture = cv2.VideoCapture(int(text))
        else:
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            options = [part for limit in limits for part in (limit, _NETWORK_TIMEOUT_MS)]
            capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise PoseActError(
            f"{name} cannot be opened; give the number of a camera that is free, an address that "
            "can be reached, or a video file."
        )
    return _grabbed(capture, start)


def _grabbed(capture: cv2.VideoCapture, start: float) -> Pictures:
    across, down = (int(capture.get(side)) for side in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    aspect = Fraction(across, down) if across > 0 and down > 0 else None
    try:
        while True:
            there, bgr = capture.read()
            if not there:
                return
            height, width = bgr.shape[:2]
            bgr = cv2.resize(bgr, square_size(width, height, aspect))
            yield perf_counter() - start, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _played(reader: VideoReader, realtime: bool) -> Pictures:
    """The frames of a file, as fast as they can be read or at their own pace."""
    start = perf_counter()
    for frame in reader:
        if realtime:
            sleep(max(start + frame.time - perf_counter(), 0))
        yield frame.time, frame.image
