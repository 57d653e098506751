"""NTU RGB+D 60 and 120 (Shahroudy et al., 2016; Liu et al., 2019), official layout.

``nturgb+d_skeletons/S001C001P001R001A001.skeleton`` …,
``nturgb+d_rgb/S001C001P001R001A001_rgb.avi`` …, and the authors' lists of samples whose skeletons
are missing or incomplete.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from poseact._utils.boundary import values_allowed
from poseact._utils.errors import PoseActError
from poseact.data.sequences.common import MM_PER_METRE, behind, files_below
from poseact.data.sequences.ntu_skeletons import (
    NTU_FPS,
    NUMBERS_OF_BODY,
    JointNumbers,
    NtuFacts,
    Protocol,
    facts_of,
    main_body,
)
from poseact.data.video import FrameVideo, LabelledVideo, VideoPoses
from poseact.data.video_labels import Part, converted_poses, of_part
from poseact.models.labels import NTU60, NTU120
from poseact.skeleton import NTU25_PAPER, PA16, Skeleton

_SAMPLE = re.compile(r"S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}")

# The names that the list has in the authors' repository, for 60 and for 120 actions.
_MISSING_LISTS = "*samples_with_missing_skeletons*.txt"

_WHAT = "the skeleton files of NTU RGB+D, such as S001C001P001R001A001.skeleton"

_LONGEST_NUMBER = 20

_log = logging.getLogger(__name__)


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
    found = []
    for file in files_below(root / skeletons, (".skeleton",), _WHAT).values():
        facts = facts_of(file.stem, protocol)
        if file.stem not in missing and facts.label in actions and part in (None, facts.part):
            film = root / videos / f"{file.stem}_rgb.avi"
            found.append(_video(file, film, facts, skeleton))
    return of_part(found, part, root)


def _video(file: Path, film: Path, facts: NtuFacts, skeleton: Skeleton) -> LabelledVideo:
    return LabelledVideo(
        name=file.stem,
        frames=FrameVideo(film, _frame_count(file)),
        skeleton=skeleton,
        poses=_KinectPoses(file, skeleton),
        action=facts.label,
        fps=NTU_FPS,
        part=facts.part,
        recording=facts.recording,
    )


@dataclass(frozen=True)
class _KinectPoses:
    """The joints of one skeleton file, read when they are needed."""

    file: Path
    skeleton: Skeleton

    def load(self) -> VideoPoses:
        """See :class:`~poseact.data.video.PoseSource`."""
        body = main_body(self.file)
        if body is None:
            raise PoseActError(
                f"Nobody is in view in {self.file}; put the data set's list of samples with "
                "missing skeletons into its folder."
            )
        numbers = body.in_all_frames()
        state = numbers[..., JointNumbers.STATE]
        pixels = numbers[..., JointNumbers.COLOUR_PX]
        placed = np.all(np.isfinite(pixels), axis=-1, keepdims=True)
        valid = placed[..., 0] & (state > 0)
        root = NTU25_PAPER.index("pelvis")
        metres = behind(numbers[..., JointNumbers.METRES], root)
        depth_mm = metres[..., 2:] * MM_PER_METRE
        joints = np.concatenate((np.where(placed, pixels, 0), depth_mm), -1)
        return converted_poses(
            str(self.file),
            NTU25_PAPER,
            self.skeleton,
            joints,
            valid=valid,
            visible=state == JointNumbers.TRACKED,
            depth_valid=np.broadcast_to(state[:, [root]] > 0, valid.shape),
        )


def _frame_count(file: Path) -> int:
    """The number that a skeleton file begins with."""
    with file.open(encoding="ascii", errors="replace") as lines:
        first = lines.readline(_LONGEST_NUMBER).strip()
    frames = int(first) if first.isdecimal() else 0
    # Labels of a video have every frame, so that they are to be fewer than the file has place for.
    if not 0 < frames * NUMBERS_OF_BODY <= values_allowed(file.stat().st_size):
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
    return set(_SAMPLE.findall(text))
