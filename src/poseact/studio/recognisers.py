"""Recognisers of live pictures: the pose network alone, or trained actions."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import FramePose
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.inference.smoothing import PoseSmoother
from poseact.inference.stream import Stream
from poseact.media import Frame
from poseact.skeleton import Skeleton
from poseact.studio.places import Places
from poseact.weights.checkpoint import load

Choice = Literal["newest", "instant", "trained", "pose"]
"""Which recogniser is wanted; ``pose`` recognises no actions."""


class Seen(NamedTuple):
    """One person in one picture.

    Attributes:
        pose: In px of the picture.
        label: The action; None where none is recognised.
        probability: Of the best action.
        complete: Whether the person has been in view for a whole window.
    """

    pose: FramePose
    label: str | None = None
    probability: float = 0.0
    complete: bool = True


class Reader(Protocol):
    """Reads the pictures of one live page, one after the other."""

    skeleton: Skeleton
    labels: tuple[str, ...]
    name: str
    window_s: float

    def push(self, image: np.ndarray, time: float) -> list[Seen]:
        """The people in the next picture, ``(H, W, 3)`` uint8 RGB, taken at a time in s."""
        ...

    def reset(self) -> None:
        """Forget everything seen."""
        ...


class PoseReader:
    """The poses of all people in view."""

    labels = ()
    name = "pose"
    window_s = 0.0

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self.skeleton = predictor, predictor.skeleton
        self.reset()

    def reset(self) -> None:
        """See :class:`Reader`."""
        self._follow, self._smoother = self._predictor.follower(), PoseSmoother()
        self._count = 0

    def push(self, image: np.ndarray, time: float) -> list[Seen]:
        """See :class:`Reader`."""
        readings = self._follow(Frame(self._count, time, image), late=True)
        self._count += 1
        poses = self._smoother.smooth([reading.pose for reading in readings])
        return [Seen(pose) for pose in poses]


class ActionReader:
    """The actions of all people in view."""

    def __init__(self, weights: Path, name: str) -> None:
        self._stream = Stream(weights)
        self.skeleton = self._stream.predictor.skeleton
        self.labels, self.window_s, self.name = self._stream.labels, self._stream.window_s, name

    def push(self, image: np.ndarray, time: float) -> list[Seen]:
        """See :class:`Reader`."""
        return [
            Seen(answer.pose, answer.label, answer.probability, answer.complete)
            for answer in self._stream.push(image, time, perf_counter())
        ]

    def reset(self) -> None:
        """See :class:`Reader`."""
        self._stream.reset()


class Recognisers:
    """The recognisers of a folder.

    Args:
        places: Of the studio.
    """

    def __init__(self, places: Places) -> None:
        self._files = {"instant": places.instant, "trained": places.trained}
        self._predictor: Predictor | None = None
        self._idle: tuple[tuple[str, float], Reader] | None = None

    def available(self) -> dict[str, float]:
        """When the weights of each recogniser were written, in s since 1970, the newest first."""
        found = {n: file.stat().st_mtime for n, file in self._files.items() if file.is_file()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def weights(self, choice: str) -> Path:
        """The file of a recogniser, or of the newest.

        Raises:
            PoseActError: There is none.
        """
        found = self.available()
        name = next(iter(found), choice) if choice == "newest" else choice
        if name not in found:
            raise PoseActError("There is no such recogniser yet; record clips and train first.")
        return self._files[name]

    def version(self, choice: str) -> tuple[str, float]:
        """Name of what a choice means now, and when it was written."""
        found = self.available()
        name = next(iter(found), "pose") if choice == "newest" else choice
        return (name, found[name]) if name in found else ("pose", 0.0)

    def open(self, choice: str) -> Reader:
        """A reader for one live page; of poses alone where there are no weights.

        Raises:
            PoseActError: The weights cannot be read.
        """
        version = self.version(choice)
        idle, self._idle = self._idle, None
        if idle is not None and idle[0] == version:
            return idle[1]
        if version[0] != "pose":
            return ActionReader(self._files[version[0]], version[0])
        if self._predictor is None:
            # The network itself: what is prepared for it serves the examiner too.
            self._predictor = Predictor(load(DEFAULT_WEIGHTS))
        return PoseReader(self._predictor)

    def close(self, reader: Reader, version: tuple[str, float]) -> None:
        """Keep a reader for the next page, which then need not load its networks."""
        reader.reset()
        self._idle = version, reader


def hello(reader: Reader) -> dict[str, Any]:
    """What a client has to know before the first answer, as JSON values."""
    skeleton = reader.skeleton
    return {
        "type": "hello",
        "recogniser": reader.name,
        "labels": list(reader.labels),
        "window_s": round(reader.window_s, 3),
        "joints": list(skeleton.joints),
        "limbs": [[skeleton.index(a), skeleton.index(b)] for a, b in skeleton.limbs],
    }


def as_json(seen: Seen) -> dict[str, Any]:
    """One person as JSON values: px with one decimal, joints that are unknown as null."""
    pose = seen.pose
    joints = [
        [round(float(x), 1), round(float(y), 1), round(float(c), 2)] if np.isfinite((x, y, c)).all()
        else None
        for (x, y), c in zip(pose.joints[:, :2], pose.confidence, strict=True)
    ]  # fmt: skip
    return {
        "person": pose.person,
        "joints": joints,
        "box": [round(float(side), 1) for side in pose.person_box or pose.box],
        "label": seen.label,
        "probability": round(seen.probability, 4),
        "complete": seen.complete,
    }
