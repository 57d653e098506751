"""Detection of near-duplicate clips, also mirrored or cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

import cv2
import numpy as np

from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.folder import Clip
from poseact.media import Frame

Item = TypeVar("Item", Clip, PoseSequence)

_RATE = 5.0
"""Thumbnails per second."""

_MOST = 300

_SIDE = 24

# On filmed exercises, copies that were cut, mirrored, shrunk or brightened reach 0.949. Of 11,628
# pairs of different files 9 reach 0.9: takes of one scene by one camera, which leak just as much.
_ALIKE = 0.9

_OVERLAP = 0.5
"""Share of the shorter clip that must match."""


@dataclass(frozen=True)
class Copy:
    """Two near-duplicate clips.

    Attributes:
        first: Name of one.
        second: Name of the other.
        mirrored: Whether one is the mirror image of the other.
        similarity: Mean correlation of the edges in their thumbnails; 1 for identical ones.
    """

    first: str
    second: str
    mirrored: bool
    similarity: float


class Thumbnails:
    """Small grey pictures of at most the first minute of a clip, a few per second.

    Args:
        pictures: ``(N, S, S)`` uint8, those of a clip that was looked at before.
    """

    def __init__(self, pictures: Iterable[np.ndarray] = ()) -> None:
        self._pictures = list(pictures)
        self._next = -np.inf

    def add(self, frame: Frame) -> None:
        if frame.time < self._next or len(self._pictures) == _MOST:
            return
        # A little slack, so that rounding skips no frame.
        self._next = frame.time + 1 / _RATE - 1e-3
        small = cv2.resize(frame.image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        self._pictures.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))

    def array(self) -> np.ndarray:
        """``(N, S, S)`` uint8."""
        return np.reshape(self._pictures, (-1, _SIDE, _SIDE)).astype(np.uint8)


@dataclass
class ClipLook:
    """Facts that the check needs of a clip, collected while its video is decoded.

    Attributes:
        width: Width of the upright pictures in px.
        height: Their height in px.
        times: Times of the frames in seconds since the first frame of the video.
        thumbnails: For the search for copies.
    """

    width: int
    height: int
    times: list[float] = field(default_factory=list[float])
    thumbnails: Thumbnails = field(default_factory=Thumbnails)

    def add(self, frame: Frame) -> None:
        self.times.append(frame.time)
        self.thumbnails.add(frame)


def find_copies(clips: Mapping[str, np.ndarray]) -> list[Copy]:
    """Find pairs of near-duplicate clips, also mirrored ones.

    Two clips are copies if, at some shift in time, the edges in the thumbnails of at least half of
    the shorter one have a mean correlation of 0.9 with the other's. Thumbnails are insensitive to
    size and compression, and the correlation of edges to brightness and contrast; a copy that was
    cropped at the sides is not found.

    Args:
        clips: ``(N, S, S)`` thumbnails of each clip by name.

    Returns:
        In the order of the clips.
    """
    plain = {name: _edges(pictures) for name, pictures in clips.items() if len(pictures)}
    mirrored = {name: _edges(clips[name][:, :, ::-1]) for name in plain}
    found: list[Copy] = []
    for first, second in combinations(plain, 2):
        options = (
            (_similarity(plain[first], plain[second]), False),
            (_similarity(plain[first], mirrored[second]), True),
        )
        best, flipped = max(options, key=lambda option: option[0])
        if best >= _ALIKE:
            found.append(Copy(first, second, flipped, best))
    return found


def join_recordings(items: Sequence[Item], copies: Iterable[Copy]) -> list[Item]:
    """Give clips or sequences that are copies of each other one common recording.

    A split by recording then never tests a copy of a training clip. Copies of clips that are not
    among the items are ignored.
    """
    recordings = {item.name: item.recording or item.name for item in items}
    for copy in copies:
        if {copy.first, copy.second} <= recordings.keys():
            kept, joined = recordings[copy.first], recordings[copy.second]
            recordings = {n: kept if r == joined else r for n, r in recordings.items()}
    return [replace(item, recording=recordings[item.name]) for item in items]


def _edges(pictures: np.ndarray) -> np.ndarray:
    """Normalised edges ``(N, P)`` of mean 0 and length 1; 0 for pictures without contrast."""
    grey = pictures.astype(np.float32)
    edges = [np.diff(grey, axis=axis).reshape(len(grey), -1) for axis in (1, 2)]
    flat = np.concatenate(edges, 1)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)


def _similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The highest mean correlation of two series of pictures over all shifts in time.

    Args:
        first: ``(N, P)`` of mean 0 and length 1.
        second: ``(M, P)``.
    """
    rows, columns = len(first), len(second)
    table = first @ second.T
    shift = np.arange(columns)[None] - np.arange(rows)[:, None] + rows - 1
    sums = np.bincount(shift.ravel(), table.ravel(), rows + columns - 1)
    counts = np.bincount(shift.ravel(), minlength=rows + columns - 1)
    return float((sums / counts)[counts >= _OVERLAP * min(rows, columns)].max())
