"""Sequences as NumPy archives, for poses from any source."""

from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.label_files import read_npz
from poseact.data.sequences.common import (
    files_below,
    read_each,
    regular_times,
    skeleton_named,
    zero_unknown,
)
from poseact.skeleton import Skeleton

_OPTIONAL = ("confidence", "times", "fps", "skeleton", "label", "recording", "part")
_WHAT = "an NPZ file with 'joints' of shape (frames, joints, 2 or 3)"


def read_arrays(path: Path, *, fps: float | None = None) -> list[PoseSequence]:
    """Read ``.npz`` files of one sequence each.

    ``joints`` (N, J, D): x to the right and y down in any common unit, and the depth in mm behind
    the root for D = 3; NaN where a joint is not known. Optional are ``confidence`` (N, J),
    ``times`` (N) in seconds or ``fps``, ``skeleton`` (the name of a layout, or the J names of the
    joints), ``label``, ``recording`` and ``part`` (``train`` or ``test``).

    Args:
        path: A file, or a folder of them; those that cannot be read are left out with a warning.
        fps: Frames per second of files that have neither ``times`` nor ``fps``.

    Raises:
        PoseActError: There is no file, or all are damaged, their arrays do not fit one another, or
            their times are not known.
    """
    files = files_below(path, (".npz",), _WHAT)
    return read_each(path, files, lambda name, file: _read(name, file, fps))


def _read(name: str, file: Path, fps: float | None) -> PoseSequence:
    given = read_npz(file, ("joints",), _WHAT, optional=_OPTIONAL)
    joints = given["joints"]
    if joints.dtype.kind not in "fiu" or joints.ndim != 3 or joints.shape[2] not in (2, 3):
        raise PoseActError(f"{file} holds 'joints' of shape {joints.shape}; give {_WHAT}.")
    confidence = given.get("confidence", np.ones(joints.shape[:2]))
    if confidence.shape != joints.shape[:2] or confidence.dtype.kind not in "fiub":
        raise PoseActError(
            f"{file} holds 'confidence' of shape {confidence.shape}, but {joints.shape[:2]} was "
            "expected for its joints; correct it or leave it out."
        )
    places, scores = zero_unknown(joints.astype(np.float64), confidence.astype(np.float64))
    label, recording, part = (_text(file, given, key) for key in ("label", "recording", "part"))
    return PoseSequence(
        name=name,
        skeleton=_skeleton(given.get("skeleton"), joints.shape[1]),
        times=_times(file, given, len(joints), fps),
        joints=places,
        confidence=scores,
        label=label,
        recording=recording,
        part=part,
    )


def _text(file: Path, given: dict[str, Any], key: str) -> str | None:
    if key in given and (given[key].shape or given[key].dtype.kind not in "Uiu"):
        raise PoseActError(f"{file} holds {key!r} as {given[key]!r}; give one text.")
    return str(given[key]) if key in given else None


def _times(file: Path, given: dict[str, Any], frames: int, fps: float | None) -> np.ndarray:
    for key, shape in (("times", (frames,)), ("fps", ())):
        if key in given and (given[key].shape != shape or given[key].dtype.kind not in "fiu"):
            raise PoseActError(
                f"{file} holds {key!r} of shape {given[key].shape}, but numbers of shape {shape} "
                "were expected for its joints; correct it."
            )
    if "times" in given:
        return given["times"].astype(np.float64)
    rate = float(given["fps"]) if "fps" in given else fps
    if rate is None:
        raise PoseActError(
            f"{file} has neither 'times' nor 'fps'; add one of them, or give the option fps."
        )
    return regular_times(frames, rate)


def _skeleton(names: np.ndarray | None, count: int) -> Skeleton:
    if names is None:
        return Skeleton.generic(count)
    if names.ndim == 0:
        return skeleton_named(str(names))
    return Skeleton("own", tuple(map(str, names.tolist())))
