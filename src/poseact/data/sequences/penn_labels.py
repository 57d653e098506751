"""Labels of Penn Action (Zhang et al., 2013), official layout: one MATLAB file for each video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.label_files import read_mat_variables
from poseact.data.sequences.common import files_below, only_known, read_each, regular_times
from poseact.skeleton import PENN13

_WHAT = "a label file of Penn Action, such as labels/0001.mat"
_VARIABLES = ("x", "y", "visibility", "action", "train")
_PARTS = {1: "train", -1: "test"}


def read_penn(path: Path, *, fps: float = 30.0) -> list[PoseSequence]:
    """Read ``labels/0001.mat`` … with 13 joints by humans and the official parts.

    The README lists the left joint of each pair first, but the columns have the person's right one
    first: where the label ``pose`` says that the person faces the camera, it lies further left in
    the picture in 88 % of the videos, and 96 % of the guitars are strummed with it. So the columns
    are swapped into the order of ``PENN13``, whose names are the person's own sides. A minority of
    the videos is labelled the other way round, as they are here.

    A joint that is hidden has a confidence of 0: a third of them have no place, others a place that
    is off.

    Args:
        path: A label file, or a folder of them; those that cannot be read are left out with a
            warning.
        fps: Frames per second of the videos, which the labels do not tell.

    Returns:
        One sequence for each video, its recording and part being those of the data set.

    Raises:
        PoseActError: There is no file, or all are damaged or of another layout.
    """
    folder = path / "labels"
    files = files_below(folder if folder.is_dir() else path, (".mat",), _WHAT)
    return read_each(path, files, lambda name, file: _read(name, file, fps))


def _read(name: str, file: Path, fps: float) -> PoseSequence:
    x, y, seen, action, train = read_mat_variables(file, _VARIABLES, _WHAT)
    if not x.shape == y.shape == seen.shape == (len(x), len(PENN13)) or not len(x):
        raise PoseActError(
            f"{file} holds x, y and visibility of shapes {x.shape}, {y.shape} and {seen.shape}, "
            f"but (frames, {len(PENN13)}) was expected of each; give {_WHAT}."
        )
    if action.size != 1 or train.size != 1 or int(train.flat[0]) not in _PARTS:
        raise PoseActError(
            f"{file} holds the action {action.tolist()} and the flag train {train.tolist()}, but "
            f"one name and 1 or -1 were expected; give {_WHAT}."
        )
    right_first = np.stack((x, y), -1).astype(np.float64)
    order = list(PENN13.flip_indices)
    joints, confidence = only_known(right_first[:, order], seen[:, order].astype(np.float32))
    return PoseSequence(
        name=name,
        skeleton=PENN13,
        times=regular_times(len(x), fps),
        joints=joints,
        confidence=confidence,
        label=str(action.flat[0]),
        recording=name,
        part=_PARTS[int(train.flat[0])],
    )
