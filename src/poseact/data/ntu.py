"""NTU RGB+D 60 and 120 (Shahroudy et al., 2016; Liu et al., 2019), official layout.

``nturgb+d_skeletons/S001C001P001R001A001.skeleton`` …,
``nturgb+d_rgb/S001C001P001R001A001_rgb.avi`` …, and the authors' lists of samples whose skeletons
are missing or incomplete.

A skeleton file is the text that the authors' ``read_skeleton_file.m`` reads: the number of frames,
and for each the number of bodies, and for each body ten numbers of its own, the number of joints,
and twelve numbers for each joint.
"""

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from poseact._utils.boundary import one_sentence, values_allowed
from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.sequences.common import (
    MM_PER_METRE,
    depth_from_root,
    files_below,
    frame_times,
    from_kinect,
    movement,
    read_each,
    zero_unknown,
)
from poseact.data.video import FrameVideo, LabelledVideo, VideoPoses
from poseact.data.video_labels import Part, converted_poses, videos_of_part
from poseact.models.labels import NTU60, NTU120
from poseact.skeleton import NTU25, NTU25_PAPER, PA16, Skeleton

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
_FPS = 30.0
_BODY_NUMBERS = 10
# Kinect's range is 8 m; coordinates far beyond it are errors.
_FARTHEST_M = 100.0
# C libraries also write NaN as -nan(ind) or 1.#QNAN.
_NOT_A_NUMBER = re.compile(r"nan|#", re.IGNORECASE)
_JOINT_NUMBERS = 12
# Numbers in a file for the joints of one body in one frame.
_NUMBERS_OF_BODY = len(NTU25) * _JOINT_NUMBERS

_WHAT = "a skeleton file of NTU RGB+D, such as S001C001P001R001A001.skeleton"

# The names that the list has in the authors' repository, for 60 and for 120 actions.
_MISSING_LISTS = "*samples_with_missing_skeletons*.txt"

_LONGEST_NUMBER = 20

_log = logging.getLogger(__name__)


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


def read_ntu_videos(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Part | None = None,
    protocol: Protocol = "xsub",
    classes: Literal[60, 120] = 120,
    skeletons: str = "nturgb+d_skeletons",
    videos: str = "nturgb+d_rgb",
) -> list[LabelledVideo]:
    """Read the videos with the joints that Kinect 2 found in their pictures.

    The pictures are mirrored: Kinect's x, which grows to the sensor's left (Kinect for Windows SDK,
    "Coordinate mapping"), grows with the column of the picture. So the joints are named as they
    look there, the person's left hand as the right one of the mirrored person, as the authors of
    the published network do. Joints that Kinect inferred are valid, but not visible. Of several
    bodies the one that moves most is taken.

    Samples on the authors' lists of missing skeletons, ``*samples_with_missing_skeletons*.txt`` in
    the root, are left out. Labels are read when they are needed.

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        part: The videos for training or those for testing alone.
        protocol: What divides them: performer, camera or setup.
        classes: The first 60 actions, which are the first data set, or all.
        skeletons: Folder of the skeleton files, in the root.
        videos: Folder of the videos, in the root.

    Returns:
        Videos in the order of their names, with depths in mm behind the pelvis.

    Raises:
        PoseActError: The skeletons are missing, one is empty, or nothing is left.
    """
    root = Path(root)
    missing = _missing_samples(root)
    actions = NTU120 if classes == len(NTU120) else NTU60
    found: list[LabelledVideo] = []
    for file in files_below(root / skeletons, (".skeleton",), _WHAT).values():
        facts = _facts_of(file.stem, protocol)
        if file.stem not in missing and facts.label in actions and part in (None, facts.part):
            film = root / videos / f"{file.stem}_rgb.avi"
            found.append(_video(file, film, facts, skeleton))
    return videos_of_part(found, part, root)


class _JointNumbers:
    """Where the twelve numbers of a joint are, as in ``read_skeleton_file.m``."""

    METRES = slice(0, 3)
    COLOUR_PX = slice(5, 7)
    STATE = 11
    TRACKED = 2.0
    """The state of a joint in view; 1 where it is inferred, 0 where it is not tracked."""


class _Body(NamedTuple):
    """One person in a skeleton file.

    Attributes:
        length: Frames of the file.
        frames: ``(N,)`` those in which the body is in view.
        numbers: ``(N, 25, 12)`` numbers of each joint there, in the order of
            :class:`_JointNumbers`.
    """

    length: int
    frames: np.ndarray
    numbers: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """``(N, 25)`` boolean; the joint has a place."""
        # Comparing is false for NaN.
        placed = (abs(self.numbers[..., _JointNumbers.METRES]) < _FARTHEST_M).all(-1)
        return placed & (self.numbers[..., _JointNumbers.STATE] > 0)

    def in_all_frames(self) -> np.ndarray:
        """``(length, 25, 12)`` numbers, 0 in the frames in which the body is not in view."""
        numbers = np.zeros((self.length, *self.numbers.shape[1:]))
        numbers[self.frames] = self.numbers
        return numbers


def _main_body(file: Path) -> _Body | None:
    """The body that moves most; None if no body is in view."""
    with one_sentence(
        f"{file} is missing, cut short or of another layout ({{error}}); give {_WHAT}."
    ):
        text = file.read_text(encoding="ascii")
        words = text.split()
        if _NOT_A_NUMBER.search(text):
            words = ["nan" if _NOT_A_NUMBER.search(word) else word for word in words]
        bodies = _bodies(words)
    best = max(
        bodies,
        key=lambda body: movement(body.numbers[..., _JointNumbers.METRES], body.known),
        default=None,
    )
    return best if best is not None and best.known.any() else None


def _read(name: str, file: Path, protocol: Protocol) -> PoseSequence:
    body = _main_body(file)
    if body is None:
        raise PoseActError(f"Nobody is in view in {file}; leave it out.")
    scores = body.numbers[..., _JointNumbers.STATE] / _JointNumbers.TRACKED
    scores = np.where(body.known, scores, 0)
    seen = scores.any(-1)
    places = body.numbers[seen, :, _JointNumbers.METRES]
    joints, confidence = zero_unknown(from_kinect(places, NTU25.index("pelvis")), scores[seen])
    facts = _facts_of(file.stem, protocol)
    return PoseSequence(
        name=name,
        skeleton=NTU25,
        times=frame_times(body.frames[seen].tolist(), _FPS),
        joints=joints,
        confidence=confidence,
        label=facts.label,
        recording=facts.recording,
        part=facts.part,
    )


def _bodies(words: list[str]) -> list[_Body]:
    """The people in a skeleton file."""
    bodies: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    place = 1
    frames = int(words[0])
    for frame in range(frames):
        count, place = int(words[place]), place + 1
        for _ in range(count):
            identity, joints = words[place], int(words[place + _BODY_NUMBERS])
            if joints != len(NTU25):
                raise ValueError(f"a body of {joints} joints")
            while frame in bodies[identity]:  # another body of the same number
                identity += "'"
            place += _BODY_NUMBERS + 1
            end = place + joints * _JOINT_NUMBERS
            numbers = np.array(words[place:end], np.float64)
            bodies[identity][frame] = numbers.reshape(joints, _JOINT_NUMBERS)
            place = end
    if place != len(words):
        raise ValueError("numbers after the last frame")
    return [
        _Body(frames, np.array(list(body)), np.stack(list(body.values())))
        for body in bodies.values()
    ]


class _Facts(NamedTuple):
    """Facts from a file name; all None if it has another form.

    Attributes:
        label: Its action.
        recording: Setup and performer.
        part: ``train`` or ``test``.
    """

    label: str | None = None
    recording: str | None = None
    part: str | None = None


def _facts_of(name: str, protocol: Protocol) -> _Facts:
    """Facts from a name such as ``S001C001P001R001A001``."""
    if protocol not in ("xsub", "xview", "xset"):
        raise PoseActError(f"protocol: {protocol!r} was given; give xsub, xview or xset.")
    match = _NAME.fullmatch(name)
    if match is None:
        return _Facts()
    setup, camera, performer, _, action = (int(number) for number in match.groups())
    training = {
        "xsub": performer in _TRAINING_SUBJECTS,
        "xview": camera in _TRAINING_CAMERAS,
        "xset": setup % 2 == 0,
    }[protocol]
    return _Facts(
        NTU120[action - 1] if 1 <= action <= len(NTU120) else f"A{action:03d}",
        f"S{setup:03d}P{performer:03d}",
        "train" if training else "test",
    )


def _video(file: Path, film: Path, facts: _Facts, skeleton: Skeleton) -> LabelledVideo:
    return LabelledVideo(
        name=file.stem,
        frames=FrameVideo(film, _frame_count(file)),
        skeleton=skeleton,
        poses=_KinectPoses(file, skeleton),
        action=facts.label,
        fps=_FPS,
        part=facts.part,
        recording=facts.recording,
    )


@dataclass(frozen=True)
class _KinectPoses:
    """The joints of one skeleton file, read when they are needed."""

    file: Path
    skeleton: Skeleton

    def load(self) -> VideoPoses:
        body = _main_body(self.file)
        if body is None:
            raise PoseActError(
                f"Nobody is in view in {self.file}; put the data set's list of samples with "
                "missing skeletons into its folder."
            )
        numbers = body.in_all_frames()
        state = numbers[..., _JointNumbers.STATE]
        pixels = numbers[..., _JointNumbers.COLOUR_PX]
        placed = np.all(np.isfinite(pixels), axis=-1, keepdims=True)
        valid = placed[..., 0] & (state > 0)
        root = NTU25_PAPER.index("pelvis")
        metres = depth_from_root(numbers[..., _JointNumbers.METRES], root)
        depth_mm = metres[..., 2:] * MM_PER_METRE
        joints = np.concatenate((np.where(placed, pixels, 0), depth_mm), -1)
        return converted_poses(
            str(self.file),
            NTU25_PAPER,
            self.skeleton,
            joints,
            valid=valid,
            visible=state == _JointNumbers.TRACKED,
            depth_valid=np.broadcast_to(state[:, [root]] > 0, valid.shape),
        )


def _frame_count(file: Path) -> int:
    """Number of frames, from the first line of a skeleton file."""
    with file.open(encoding="ascii", errors="replace") as lines:
        first = lines.readline(_LONGEST_NUMBER).strip()
    frames = int(first) if first.isdecimal() else 0
    # Labels are allocated for every frame, so the number must be plausible for the file size.
    if not 0 < frames * _NUMBERS_OF_BODY <= values_allowed(file.stat().st_size):
        raise PoseActError(
            f"{file} begins with {first[:20]!r}, but its number of frames was expected; "
            "fetch the file again."
        )
    return frames


def _missing_samples(root: Path) -> set[str]:
    """The names on the authors' lists, below their heading."""
    lists = sorted(root.glob(_MISSING_LISTS))
    if not lists:
        _log.warning(
            "%s has no list %s, so samples without a skeleton are not left out.",
            root,
            _MISSING_LISTS,
        )
    text = "\n".join(file.read_text("utf-8", errors="replace") for file in lists)
    return {match.group() for match in _NAME.finditer(text)}
