"""Skeletons of NTU RGB+D (Shahroudy et al., 2016; Liu et al., 2019): the text files of Kinect 2.

The layout is that of the authors' ``read_skeleton_file.m``: the number of frames, and for each the
number of bodies, and for each body ten numbers of its own, the number of joints, and twelve numbers
for each joint.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.sequences.common import (
    files_below,
    frame_times,
    from_kinect,
    movement,
    only_known,
    read_each,
)
from poseact.models.labels import NTU120
from poseact.skeleton import NTU25

Protocol = Literal["xsub", "xview", "xset"]

# The papers' training subjects; those from 45 on are of the extension to 120 actions.
_TRAINING_SUBJECTS = frozenset(
    (
        *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
        *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83),
        *(84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
    )
)
_TRAINING_CAMERAS = (2, 3)

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
NTU_FPS = 30.0
_BODY_NUMBERS = 10
_JOINT_NUMBERS = 12
NUMBERS_OF_BODY = len(NTU25) * _JOINT_NUMBERS
"""Numbers that a file has of the joints of a body in a frame."""

_WHAT = "a skeleton file of NTU RGB+D, such as S001C001P001R001A001.skeleton"


class JointNumbers:
    """Where the twelve numbers of a joint are, as in ``read_skeleton_file.m``."""

    METRES = slice(0, 3)
    COLOUR_PX = slice(5, 7)
    STATE = 11
    TRACKED = 2.0
    """The state of a joint in view; 1 where it is inferred, 0 where it is not tracked."""


def read_ntu(path: Path, *, protocol: Protocol = "xsub") -> list[PoseSequence]:
    """Read ``.skeleton`` files.

    Of several bodies the one that moves most is taken, in the frames in which it is in view. The
    confidence is 1 for a tracked joint and 0.5 for an inferred one. A file named by setup, camera,
    performer, replication and action gives the label and the part. Setup and performer are its
    recording, so that the views of three cameras stay together in a split of one's own.

    Args:
        path: A file, or a folder of them; in a folder, files that cannot be read or have no body,
            of which the data set has a few hundred, are left out with a warning.
        protocol: The papers' parts: by performer, by camera or by setup.

    Raises:
        PoseActError: No file can be read and has somebody in it, or the protocol is unknown.
    """
    files = files_below(path, (".skeleton",), _WHAT)
    return read_each(path, files, lambda name, file: _read(name, file, protocol))


class Body(NamedTuple):
    """What a file says of one body.

    Attributes:
        length: Frames of the file.
        frames: ``(N,)`` those in which the body is in view.
        numbers: ``(N, 25, 12)`` numbers of each joint there, in the order of
            :class:`JointNumbers`.
    """

    length: int
    frames: np.ndarray
    numbers: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """``(N, 25)`` boolean; the joint has a place."""
        placed = np.isfinite(self.numbers[..., JointNumbers.METRES]).all(-1)
        return placed & (self.numbers[..., JointNumbers.STATE] > 0)

    def in_all_frames(self) -> np.ndarray:
        """``(length, 25, 12)`` numbers, 0 in the frames in which the body is not in view."""
        numbers = np.zeros((self.length, *self.numbers.shape[1:]))
        numbers[self.frames] = self.numbers
        return numbers


def main_body(file: Path) -> Body | None:
    """The body that moves most; None where nobody is in view.

    Raises:
        PoseActError: The file is missing, cut short or of another layout.
    """
    with one_sentence(
        f"{file} is missing, cut short or of another layout ({{error}}); give {_WHAT}."
    ):
        bodies = _bodies(file.read_text(encoding="ascii").split())
    best = max(
        bodies,
        key=lambda body: movement(body.numbers[..., JointNumbers.METRES], body.known),
        default=None,
    )
    return best if best is not None and best.known.any() else None


def _read(name: str, file: Path, protocol: Protocol) -> PoseSequence:
    body = main_body(file)
    if body is None:
        raise PoseActError(f"Nobody is in view in {file}; leave it out.")
    scores = body.numbers[..., JointNumbers.STATE] / JointNumbers.TRACKED
    scores = np.where(body.known, scores, 0)
    seen = scores.any(-1)
    places = body.numbers[seen, :, JointNumbers.METRES]
    joints, confidence = only_known(from_kinect(places, NTU25.index("pelvis")), scores[seen])
    facts = facts_of(file.stem, protocol)
    return PoseSequence(
        name=name,
        skeleton=NTU25,
        times=frame_times(body.frames[seen].tolist(), NTU_FPS),
        joints=joints,
        confidence=confidence,
        label=facts.label,
        recording=facts.recording,
        part=facts.part,
    )


def _bodies(words: list[str]) -> list[Body]:
    """What the words of a file say of each body.

    Raises:
        ValueError: A number is none, or there are too few or too many of them.
        IndexError: There are too few numbers.
    """
    bodies: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    place = 1
    frames = int(words[0])
    for frame in range(frames):
        count, place = int(words[place]), place + 1
        for _ in range(count):
            identity, joints = words[place], int(words[place + _BODY_NUMBERS])
            if joints != len(NTU25):
                raise ValueError(f"a body of {joints} joints")
            place += _BODY_NUMBERS + 1
            end = place + joints * _JOINT_NUMBERS
            numbers = np.array(words[place:end], np.float64)
            bodies[identity][frame] = numbers.reshape(joints, _JOINT_NUMBERS)
            place = end
    if place != len(words):
        raise ValueError("numbers after the last frame")
    return [
        Body(frames, np.array(list(body)), np.stack(list(body.values())))
        for body in bodies.values()
    ]


class NtuFacts(NamedTuple):
    """What the name of a file tells; nothing where it is another.

    Attributes:
        label: Its action.
        recording: Setup and performer.
        part: ``train`` or ``test``.
    """

    label: str | None = None
    recording: str | None = None
    part: str | None = None


def facts_of(name: str, protocol: Protocol) -> NtuFacts:
    """What a name such as ``S001C001P001R001A001`` tells.

    Raises:
        PoseActError: The protocol is unknown.
    """
    if protocol not in ("xsub", "xview", "xset"):
        raise PoseActError(f"protocol: {protocol!r} was given; give xsub, xview or xset.")
    match = _NAME.fullmatch(name)
    if match is None:
        return NtuFacts()
    setup, camera, performer, _, action = (int(number) for number in match.groups())
    training = {
        "xsub": performer in _TRAINING_SUBJECTS,
        "xview": camera in _TRAINING_CAMERAS,
        "xset": setup % 2 == 0,
    }[protocol]
    return NtuFacts(
        NTU120[action - 1] if 1 <= action <= len(NTU120) else f"A{action:03d}",
        f"S{setup:03d}P{performer:03d}",
        "train" if training else "test",
    )
