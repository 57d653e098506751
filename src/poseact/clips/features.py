"""Features of clips for action recognition, and their cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as serialise

from poseact._utils.boundary import one_sentence, parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.actions.frame_pose import PersonReading
from poseact.clips.blanking import Background, read_blanked
from poseact.clips.folder import Stretch
from poseact.clips.people import find_people, rivals_among
from poseact.inference.boxes import square_of
from poseact.inference.detect import PersonDetector
from poseact.inference.follow import PersonFollower
from poseact.inference.predictor import Predictor
from poseact.media import Frame
from poseact.media.crop import Box
from poseact.models.base import Network
from poseact.runtime.interface import DEFAULT_PRECISION

VERSION = 5
"""Version of the extraction; a change invalidates all cached files."""

# A rival is followed rather than the most prominent person from this many times her motion on.
_CLEARLY_MORE = 1.5

# Seconds between the first and the second search for further people.
_SECOND_LOOK = 2.0

_HEADER_KEY = "poseact"
_ARRAYS = ("times", "joints", "confidence", "appearance")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipFeatures:
    """Features of one person over the N frames of a stretch of video.

    Attributes:
        times: ``(N,)`` float64 seconds since the first frame of the video.
        joints: ``(N, J, D)`` float32, x and y in px of the picture, the depth in mm.
        confidence: ``(N, J)`` float32.
        appearance: ``(N, J, C)`` float16, visual features gathered at the joints.
        sharpness: Median over the frames of the joints' mean share of a heat map in its densest
            2 x 2 cells; small where there is nobody.
        people: Median of how many the detector finds in a few pictures.
    """

    times: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray
    appearance: np.ndarray
    sharpness: float
    people: int


def read_features(
    predictor: Predictor,
    frames: Iterable[Frame],
    stretches: Sequence[Stretch],
    background: Background = "keep",
) -> Iterator[tuple[Stretch, ClipFeatures | None]]:
    """Extract one person in each of several stretches of a video, in one pass.

    Args:
        predictor: Reads the poses.
        frames: Frames of the video from the first on; read up to the end of the last stretch.
        stretches: May overlap; the person is followed in each separately.
        background: ``blank`` follows the person in the whole pictures, but takes the features from
            pictures that are grey around the person.

    Yields:
        Each stretch when it has ended, with None if the video has no frame in it.
    """
    detector = predictor.detector or PersonDetector(predictor.device)
    waiting = {
        stretch: _Recorder(predictor, detector, background, stretch.person) for stretch in stretches
    }
    by_id = any(isinstance(stretch.person, int) for stretch in stretches)
    # Ids count from the first frame of the video.
    everyone = predictor.everyone(detector) if by_id else None
    for frame in frames:
        for stretch in [stretch for stretch in waiting if stretch.end <= frame.time]:
            yield stretch, waiting.pop(stretch).features()
        if not waiting:
            return
        readings = everyone.readings(frame) if everyone is not None else []
        seen = {reading.pose.person: reading for reading in readings}
        for stretch, recorder in waiting.items():
            if stretch.start > frame.time:
                continue
            if not isinstance(stretch.person, int):
                recorder.add(frame)
            elif stretch.person in seen:
                recorder.keep(frame, seen[stretch.person])
    for stretch, recorder in waiting.items():
        yield stretch, recorder.features()


@dataclass
class _Track:
    """A tracked person and the features of the frames."""

    predictor: Predictor
    background: Background
    follower: PersonFollower = field(default_factory=PersonFollower)
    times: list[float] = field(default_factory=list[float])
    readings: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(
        default_factory=list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    )
    sharpness: list[float] = field(default_factory=list[float])

    def add(self, frame: Frame) -> None:
        self.keep(frame, self.predictor.follow_frame(frame, self.follower))

    def keep(self, frame: Frame, reading: PersonReading) -> None:
        self.times.append(frame.time)
        self.sharpness.append(float(reading.sharpness.mean()))
        if self.background == "blank":
            reading = read_blanked(self.predictor, frame, reading)
        appearance = reading.appearance.astype(np.float16)
        self.readings.append((reading.pose.joints, reading.pose.confidence, appearance))

    def motion(self) -> float:
        joints, confidence, _ = map(np.stack, zip(*self.readings, strict=True))
        return motion_of(np.asarray(self.times), joints, confidence)

    def features(self, people: int) -> ClipFeatures:
        joints, confidence, appearance = map(np.stack, zip(*self.readings, strict=True))
        sharpness = float(np.median(self.sharpness))
        return ClipFeatures(
            np.asarray(self.times), joints, confidence, appearance, sharpness, people
        )


@dataclass
class _Recorder:
    """Follows the person of a stretch; all candidates, until one of them moves most."""

    predictor: Predictor
    detector: PersonDetector
    background: Background
    person: int | Box | None = None
    tracks: list[_Track] = field(default_factory=list[_Track])
    people: list[int] = field(default_factory=list[int])
    next_look: float = 0.0

    def add(self, frame: Frame) -> None:
        begins = not self.tracks
        if begins:
            self._follow(frame, self.person if isinstance(self.person, tuple) else None)
        else:
            for track in self.tracks:
                track.add(frame)
        first = self.tracks[0]
        square = first.follower.square
        # Two people in view may make the first pose so unsure that there is no square.
        if begins or (square is not None and frame.time - first.times[0] >= self.next_look):
            people = find_people(self.detector, frame.image)
            if people and begins and self.person is None:
                x0, y0, x1, y1 = people[0].box
                if square is None or not (x0 <= square[0] <= x1 and y0 <= square[1] <= y1):
                    self.tracks = []
                    self._follow(frame, people[0].box)
                for rival in rivals_among(people):
                    self._follow(frame, rival.box)
            if square is None and not people:
                return  # nobody yet: the first search is still to come
            self.people.append(len(people))
            # At doubling distances, so that long videos need only a few searches.
            self.next_look = 2 * self.next_look + _SECOND_LOOK

    def keep(self, frame: Frame, reading: PersonReading) -> None:
        if not self.tracks:
            self.tracks = [_Track(self.predictor, self.background)]
        self.tracks[0].keep(frame, reading)

    def features(self) -> ClipFeatures | None:
        if not self.tracks:
            return None
        # Whoever is named by an id was found by the detector.
        people = int(np.median(self.people)) if self.people else int(isinstance(self.person, int))
        first, *rivals = self.tracks
        chosen = max(self.tracks, key=_Track.motion) if rivals else first
        if rivals and chosen.motion() < _CLEARLY_MORE * first.motion():
            chosen = first
        return chosen.features(people)

    def _follow(self, frame: Frame, box: Box | None) -> None:
        track = _Track(self.predictor, self.background)
        if box is not None:
            track.follower.begin(square_of(box), *frame.image.shape[1::-1])
        track.add(frame)
        self.tracks.append(track)


def motion_of(times: np.ndarray, joints: np.ndarray, confidence: np.ndarray) -> float:
    """How far a body's joints move within half a second, in body sizes.

    The median over time, so that a jump of the follower to another person hardly counts.

    Args:
        times: ``(N,)`` rising seconds.
        joints: ``(N, J, 2)`` or ``(N, J, 3)``, x and y in px.
        confidence: ``(N, J)``.
    """
    if len(times) < 2:
        return 0.0
    plane = joints[..., :2]
    lag = int(np.clip(round(0.5 / np.median(np.diff(times))), 1, len(times) - 1))
    moved = np.linalg.norm(plane[lag:] - plane[:-lag], axis=-1)
    weight = np.minimum(confidence[lag:], confidence[:-lag]) + 1e-6
    size = np.median(np.ptp(plane, axis=1).max(-1))
    return float(np.median((weight * moved).sum(1) / weight.sum(1)) / max(size, 1.0))


class FeatureCache:
    """Files of features, one for each stretch, video and network.

    A file is named by the content of the video, the network's weights, the stretch, what becomes of
    the background and :data:`VERSION`, so the features of a video that was moved, renamed or
    relabelled are found again.

    Args:
        folder: Folder of the files.
        network: Network that reads the poses.
        background: How the background is treated.
        precision: In which the network computes.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        background: Background = "keep",
        precision: str = DEFAULT_PRECISION,
    ) -> None:
        self.folder = folder
        self._network = digest_of(network)
        self._options = [] if background == "keep" else [background]
        self._options += [] if precision == DEFAULT_PRECISION else [precision]

    def path_of(self, video: str, stretch: Stretch) -> Path:
        """The file of a stretch."""
        named = stretch if stretch.person is not None else stretch[:2]
        key = json.dumps([VERSION, self._network, video, *named, *self._options])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def digest_of(network: Network) -> str:
    """Digest of the parts of a network that read pictures, without the action model."""
    config = network.config
    facts = (config.skeleton.joints, config.image_size, getattr(config, "appearance_from", "block"))
    total = hashlib.sha256(repr(facts).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if not name.startswith("action_model."):
            total.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().numpy().tobytes())
    return total.hexdigest()


def write_features(path: Path, features: ClipFeatures) -> None:
    """Write features, atomically.

    Raises:
        PoseActError: The file cannot be written.
    """
    arrays = {name: getattr(features, name) for name in _ARRAYS}
    header = {
        "sharpness": features.sharpness,
        "people": features.people,
        "digest": _digest(arrays),
    }
    content = serialise(arrays, {_HEADER_KEY: json.dumps(header)})
    atomic_write(path, lambda partial: partial.write_bytes(content))


def read_kept(path: Path) -> ClipFeatures | None:
    """Read cached features; None if there are none or, with a warning, if they are damaged."""
    if not path.is_file():
        return None
    try:
        with one_sentence("{error}"), safe_open(path, "np") as file:
            header = parse_json(file.metadata()[_HEADER_KEY])
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
            shape = arrays["joints"].shape[:2]
            fits = arrays["times"].shape == shape[:1] and arrays["confidence"].shape == shape
            if fits and header["digest"] == _digest(arrays):
                sharpness, people = float(header["sharpness"]), int(header["people"])
                return ClipFeatures(**arrays, sharpness=sharpness, people=people)
    except PoseActError as error:
        _log.debug("%s: %s", path, error)
    _log.warning("The cached features %s are damaged and are extracted again.", path)
    return None


def _digest(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in _ARRAYS:
        total.update(arrays[name].tobytes())
    return total.hexdigest()
