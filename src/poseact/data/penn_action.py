"""Penn Action (Zhang et al., 2013), official layout: a folder of frames and labels of each video.

``frames/0001/000001.jpg`` …, ``labels/0001.mat`` ….
"""

import logging
from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.label_files import (
    MATLAB_PIXEL_ORIGIN,
    read_mat_variables,
    require_numbers,
)
from poseact.data.images import ImageFile
from poseact.data.sequences.common import files_below, read_each, regular_times, zero_unknown
from poseact.data.video import FrameImages, LabelledVideo
from poseact.data.video_labels import Part, converted_poses, videos_of_part
from poseact.skeleton import PA16, PENN13, Skeleton

_WHAT = "a label file of Penn Action, such as labels/0001.mat"
_VARIABLES = ("x", "y", "visibility", "action", "train")
_PARTS = {1: "train", -1: "test"}
_FPS = 30.0

_log = logging.getLogger(__name__)


def read_penn(path: Path, *, fps: float = _FPS) -> list[PoseSequence]:
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
        fps: Frames per second of the videos, which the labels do not give.

    Returns:
        One sequence for each video, its recording and part being those of the data set.

    Raises:
        PoseActError: There is no file, or all are damaged or of another layout.
    """
    folder = path / "labels"
    files = files_below(folder if folder.is_dir() else path, (".mat",), _WHAT)
    return read_each(path, files, lambda name, file: _read(name, file, fps))


def read_penn_action(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Part | None = None,
    labels: str = "labels",
    frames: str = "frames",
) -> list[LabelledVideo]:
    """Read the videos with 13 joints by humans and the official parts.

    Joints that the labels call hidden are not valid: a third of them have no place, others a place
    that is off. The boxes are those of the visible joints, as the data set's own are, which have a
    tenth of their size added on each side and are broken in some videos. The labels do not give
    the frames per second; 30 is taken. A video in which no joint is ever visible, such as the
    official 1516, is left out with a warning.

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        part: The videos for training or those for testing alone.
        labels: Folder of the label files, in the root.
        frames: Folder of the folders of frames, in the root.

    Returns:
        Videos in the order of their names.

    Raises:
        PoseActError: The labels are missing, damaged or of another layout.
    """
    videos: list[LabelledVideo] = []
    for sequence in read_penn(Path(root) / labels, fps=_FPS):
        if sequence.confidence.any():
            videos.append(_video(Path(root) / frames, sequence, skeleton))
        else:
            _log.warning("The video %s of %s has no visible joint.", sequence.name, root)
    return videos_of_part(videos, part, Path(root))


def _read(name: str, file: Path, fps: float) -> PoseSequence:
    x, y, seen, action, train = read_mat_variables(file, _VARIABLES, _WHAT)
    require_numbers(file, {"x": x, "y": y, "visibility": seen, "train": train}, _WHAT)
    if not x.shape == y.shape == seen.shape == (len(x), len(PENN13)) or not len(x):
        raise PoseActError(
            f"{file} holds x, y and visibility of shapes {x.shape}, {y.shape} and {seen.shape}, "
            f"but (frames, {len(PENN13)}) was expected of each; give {_WHAT}."
        )
    named = action.size == 1 and action.dtype.kind == "U"
    if not named or train.size != 1 or train.flat[0] not in _PARTS:
        raise PoseActError(
            f"{file} holds the action {action.tolist()} and the flag train {train.tolist()}, but "
            f"one name and 1 or -1 were expected; give {_WHAT}."
        )
    right_first = np.stack((x, y), -1).astype(np.float64)
    order = list(PENN13.flip_indices)
    scores = seen[:, order].astype(np.float32)
    # Nobody is in view in the official 1516.
    joints, confidence = zero_unknown(right_first[:, order], scores, or_nobody=True)
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


def _video(frames: Path, sequence: PoseSequence, skeleton: Skeleton) -> LabelledVideo:
    folder = frames / sequence.name
    images = (ImageFile(folder / f"{number + 1:06d}.jpg") for number in range(len(sequence)))
    return LabelledVideo(
        name=sequence.name,
        frames=FrameImages(str(folder), tuple(images)),
        skeleton=skeleton,
        poses=converted_poses(
            sequence.name,
            PENN13,
            skeleton,
            sequence.joints - MATLAB_PIXEL_ORIGIN,
            valid=sequence.confidence > 0,
        ),
        action=sequence.label,
        fps=_FPS,
        part=sequence.part,
        recording=sequence.recording,
    )
