"""Background processing of new clips: facts, thumbnails, notes, instant training."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.check_clips import judge_clips
from poseact.clips.copies import ClipLook, Thumbnails
from poseact.clips.extract import Extraction, extract
from poseact.clips.findings import Finding
from poseact.clips.folder import Clip
from poseact.data.pixel_windows import read_frames
from poseact.inference.follow import PersonFollower
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.media import VideoReader, write_image
from poseact.media.drawing import draw_pose
from poseact.models.base import Network
from poseact.studio.clip_edits import ClipEdits, ConflictError, Listing
from poseact.studio.places import Places
from poseact.weights.checkpoint import load

_THUMBNAIL_WIDTH = 320
_SAMPLES_PER_S = 4.0
_ROOM_S = 0.25
"""Time kept before the first and after the last sight of the person."""

_END_S = 20.0

WATCH_S = 3.0
"""How often the folder is looked through for changes that were not made here."""

ReadClips = Callable[[], tuple[list[PoseSequence], Network] | None]
"""Reads the features of all clips, with the network that gave them; None where it was stopped."""

_log = logging.getLogger(__name__)


class Examiner(Thread):
    """Examines clips that are new or were changed, here or elsewhere, one video after the other.

    Args:
        edits: The clips.
        places: Where results are kept; later starts find them there.
        on_change: Called from this thread when there is something new to show.
        pictures: Whether thumbnails show pictures; else the skeleton alone.
        learn: Called when all clips are examined, for the instant training: with name, label and
            a digest of the content of every clip, and with a function that reads their features.
    """

    def __init__(
        self,
        edits: ClipEdits,
        places: Places,
        on_change: Callable[[], None],
        *,
        pictures: bool = True,
        learn: Callable[[list[list[str]], ReadClips], None] | None = None,
    ) -> None:
        super().__init__(name="examiner", daemon=True)
        self._edits, self._places, self._on_change = edits, places, on_change
        self._pictures, self._learn = pictures, learn
        self._wanted, self._end_request = Event(), StopRequest()
        self._trims: dict[str, None] = {}
        self._known: dict[str, dict[str, np.ndarray]] = {}
        self.notes: list[Finding] = []
        self.waiting = 0

    def wake(self) -> None:
        """Look for new clips."""
        self._wanted.set()

    def end(self) -> None:
        """Stop after the current picture."""
        self._end_request.request()
        self._wanted.set()
        if self.is_alive():
            self.join(_END_S)

    def trim(self, name: str) -> None:
        """Trim a clip to where the person is seen, before it is examined."""
        self._trims[name] = None
        self.wake()

    def thumbnail(self, clip: Clip) -> Path:
        """The thumbnail of a clip, which is there once it was examined."""
        return self._path(clip).with_suffix(".jpg")

    def last_frame(self, clip: Clip) -> float | None:
        """When the last frame of a clip is shown, in s; None before it was examined."""
        facts = self._facts(clip)
        return None if facts is None else float(facts["times"].max(initial=0.0))

    def run(self) -> None:
        known: Listing | str | None = None
        while True:
            is_woken = self._wanted.wait(WATCH_S)
            self._wanted.clear()
            if self._end_request:
                return
            found = self._listed()
            if found == known and not is_woken:
                continue
            known = found
            try:
                self._round()
            except PoseActError as error:
                _log.warning("%s", error)
            self._on_change()

    def _listed(self) -> Listing | str:
        """What is in the folder, or why it cannot be read."""
        try:
            return self._edits.listing()
        except PoseActError as error:
            return str(error)

    def _round(self) -> None:
        """Examine what is new, one video after the other, then judge and learn from all."""
        for name in list(self._trims):
            del self._trims[name]
            self._trim(name)
        clips = self._edits.listing().clips
        new = [clip for clip in clips if self._facts(clip) is None]
        self.waiting = len(new)
        if new:
            # All clips of one video, which is decoded once.
            self._examine([clip for clip in new if clip.path == new[0].path])
            self.wake()
        else:
            current = {self._path(clip).name for clip in clips}
            self._known = {name: kept for name, kept in self._known.items() if name in current}
            self.notes = judge_clips(self._edits.folder, clips, self._all_looks(clips)).findings
            if self._learn is not None and clips:
                contents = [[clip.name, clip.label, _key(clip)] for clip in clips]
                self._learn(contents, lambda: self._features(clips))

    def _features(self, clips: Sequence[Clip]) -> tuple[list[PoseSequence], Network] | None:
        network = self._pose_network
        read = extract(clips, network, self._places.cache, stop=self._end_request)
        return None if read.interrupted else (read.sequences, network)

    @cached_property
    def _pose_network(self) -> Network:
        return load(DEFAULT_WEIGHTS)

    @cached_property
    def _finder(self) -> Predictor:
        return Predictor(self._pose_network, people="one")

    def _trim(self, name: str) -> None:
        try:
            clip = self._edits.find(name)
            span = seen_span(self._finder, clip.path)
            if span is not None:
                self._edits.change(name, start=span[0], end=span[1])
        except ConflictError:
            # It was deleted or trimmed by hand in the meantime, such as for a retake.
            return
        except PoseActError as error:
            _log.warning("%s", error)

    def _examine(self, clips: Sequence[Clip]) -> None:
        network, cache = self._pose_network, self._places.cache
        found = extract(clips, network, cache, look=True, stop=self._end_request)
        if found.interrupted:
            return
        sequences = {sequence.name: sequence for sequence in found.sequences}
        for clip in clips:
            look = found.looks.get(clip)
            sequence = sequences.get(clip.name)
            if sequence is not None and len(sequence):
                self._draw(clip, sequence)
            findings = [asdict(f) for f in found.findings if f.clip == clip.name]
            if look is not None and not self._pictures:
                look.thumbnails = Thumbnails()
            _write_facts(self._path(clip), look, findings)

    def _draw(self, clip: Clip, sequence: PoseSequence) -> None:
        middle = len(sequence) // 2
        (picture,) = read_frames(clip.path, sequence.times[[middle]])
        if not self._pictures:
            picture = np.zeros_like(picture)
        drawn = draw_pose(
            picture, sequence.joints[middle], sequence.confidence[middle], sequence.skeleton
        )
        height = round(drawn.shape[0] * _THUMBNAIL_WIDTH / drawn.shape[1])
        small = cv2.resize(drawn, (_THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
        write_image(self.thumbnail(clip), small)

    def _path(self, clip: Clip) -> Path:
        kind = "" if self._pictures else "-skeleton"
        return self._places.looks / f"{_key(clip)}{kind}.npz"

    def _facts(self, clip: Clip) -> dict[str, np.ndarray] | None:
        path = self._path(clip)
        if path.name not in self._known:
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    self._known[path.name] = dict(arrays)
            except (OSError, ValueError):
                return None
        return self._known[path.name]

    def _all_looks(self, clips: Sequence[Clip]) -> Extraction:
        read = Extraction()
        for clip in clips:
            facts = self._facts(clip)
            if facts is None:
                continue
            findings = json.loads(str(facts["findings"]))
            read.findings += [Finding(**finding | {"clip": clip.name}) for finding in findings]
            if len(facts["times"]):
                width, height = facts["size"].tolist()
                times, thumbnails = facts["times"].tolist(), Thumbnails(facts["thumbnails"])
                read.looks[clip] = ClipLook(width, height, times, thumbnails)
        return read


def seen_span(predictor: Predictor, video: Path) -> tuple[float, float] | None:
    """The stretch of a video in which a person is seen.

    Args:
        predictor: Reads the poses.
        video: The file.

    Returns:
        Start and end in s, with a little room; None where there is nothing to trim.

    Raises:
        PoseActError: The video cannot be read.
    """
    follower, times, seen = PersonFollower(), [], []
    last = 0.0
    with VideoReader(video) as reader:
        for frame in reader:
            last = frame.time
            if times and frame.time < times[-1] + 1 / _SAMPLES_PER_S:
                continue
            predictor.follow_frame(frame, follower)
            times.append(frame.time)
            seen.append(follower.square is not None)
    if all(seen) or sum(seen) < 2:
        return None
    inside = np.array(times)[seen]
    start, end = max(inside[0] - _ROOM_S, 0.0), min(inside[-1] + _ROOM_S, last)
    return float(start), float(end)


def _key(clip: Clip) -> str:
    """Digest that changes when the clip's file is written again or its stretch changes."""
    try:
        facts = clip.path.stat()
    except OSError:
        return "missing"
    text = f"{clip.path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}|{clip.start}|{clip.end}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _write_facts(path: Path, look: ClipLook | None, findings: list[dict[str, object]]) -> None:
    look = look or ClipLook(0, 0)
    arrays = {
        "times": np.array(look.times, np.float64),
        "size": np.array([look.width, look.height]),
        "thumbnails": look.thumbnails.array(),
        "findings": np.array(json.dumps(findings)),
    }

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    atomic_write(path, write)
