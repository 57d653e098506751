"""Skeletons of UTD-MHAD (Chen, Jafari and Kehtarnavaz, 2015), official layout."""

import re
from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.label_files import read_mat_numbers
from poseact.data.sequences.common import (
    files_below,
    from_kinect,
    read_each,
    regular_times,
    zero_unknown,
)
from poseact.skeleton import KINECT20

UTD_MHAD = (
    "right arm swipe to the left",
    "right arm swipe to the right",
    "right hand wave",
    "two hand front clap",
    "right arm throw",
    "cross arms in the chest",
    "basketball shoot",
    "right hand draw x",
    "right hand draw circle (clockwise)",
    "right hand draw circle (counter clockwise)",
    "draw triangle",
    "bowling (right hand)",
    "front boxing",
    "baseball swing from right",
    "tennis right hand forehand swing",
    "arm curl (two arms)",
    "tennis serve",
    "two hand push",
    "right hand knock on door",
    "right hand catch an object",
    "right hand pick up and throw",
    "jogging in place",
    "walking in place",
    "sit to stand",
    "stand to sit",
    "forward lunge (left foot forward)",
    "squat (two arms stretch out)",
)
"""Names of the actions a1 to a27."""

_NAME = re.compile(r"a(\d+)_s(\d+)_t(\d+)_skeleton")
_FPS = 30.0
_WHAT = "a skeleton file of UTD-MHAD, such as Skeleton/a1_s1_t1_skeleton.mat"


def read_utd_mhad(path: Path) -> list[PoseSequence]:
    """Read ``Skeleton/a1_s1_t1_skeleton.mat`` …: action, subject and trial; ``d_skel`` in metres.

    The parts are those of the data set's paper: odd subjects train, even ones test. The recording
    is the subject, so that another split never has one person on both sides.

    Args:
        path: A skeleton file, or a folder of them; those that cannot be read are left out with a
            warning.

    Raises:
        PoseActError: There is no file, or all are damaged or of another layout or name.
    """
    folder = path / "Skeleton"
    files = files_below(folder if folder.is_dir() else path, (".mat",), _WHAT)
    return read_each(path, files, _read)


def _read(name: str, file: Path) -> PoseSequence:
    match = _NAME.fullmatch(file.stem)
    if match is None or not 1 <= int(match[1]) <= len(UTD_MHAD):
        raise PoseActError(
            f"{file} is not named by action 1 to {len(UTD_MHAD)}, subject and trial; give {_WHAT}."
        )
    action, subject = int(match[1]), int(match[2])
    metres = read_mat_numbers(file, "d_skel", _WHAT)
    if metres.ndim != 3 or metres.shape[:2] != (len(KINECT20), 3) or not metres.shape[2]:
        raise PoseActError(
            f"{file} holds 'd_skel' of shape {metres.shape}, but ({len(KINECT20)}, 3, frames) was "
            f"expected; give {_WHAT}."
        )
    places = from_kinect(metres.astype(np.float64).transpose(2, 0, 1), KINECT20.index("pelvis"))
    joints, confidence = zero_unknown(places, np.ones(places.shape[:2]))
    return PoseSequence(
        name=name,
        skeleton=KINECT20,
        times=regular_times(len(joints), _FPS),
        joints=joints,
        confidence=confidence,
        label=UTD_MHAD[action - 1],
        recording=f"s{subject}",
        part="train" if subject % 2 else "test",
    )
