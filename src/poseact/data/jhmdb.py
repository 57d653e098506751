"""J-HMDB (Jhuang et al., 2013), official layout: pictures, joints and three splits.

``Rename_Images/ACTION/VIDEO/00001.png`` …, ``joint_positions/ACTION/VIDEO/joint_positions.mat`` …,
``splits/ACTION_test_split1.txt`` ….
"""

from pathlib import Path
from typing import Literal

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.formats.label_files import MATLAB_PIXEL_ORIGIN, read_mat_numbers
from poseact.data.images import ImageFile
from poseact.data.sequences.common import files_below
from poseact.data.video import FrameImages, LabelledVideo
from poseact.data.video_labels import Part, converted_poses, videos_of_part
from poseact.skeleton import JHMDB15, PA16, Skeleton

# Of HMDB51, from which the videos are cut (Kuehne et al., 2011).
_FPS = 30.0

_PARTS = {"1": "train", "2": "test"}
_WHAT = "a label file of J-HMDB, such as joint_positions/catch/VIDEO/joint_positions.mat"


def read_jhmdb(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Part | None = None,
    split: Literal[1, 2, 3] = 1,
    labels: str = "joint_positions",
    images: str = "Rename_Images",
    splits: str = "splits",
) -> list[LabelledVideo]:
    """Read the videos with 15 joints of a puppet that humans laid over the person.

    The puppet has all joints in every frame, those that are hidden or out of the picture too, and
    the labels do not distinguish them.

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        part: The videos for training or those for testing alone.
        split: Which of the three official splits says so.
        labels: Folder of the label files, in the root.
        images: Folder of the pictures, in the root.
        splits: Folder of the splits, in the root; without it no part is known.

    Returns:
        Videos in the order of action and name.

    Raises:
        PoseActError: The labels are missing, damaged or of another layout.
    """
    root = Path(root)
    parts = _parts(root / splits, split)
    files = files_below(root / labels, (".mat",), _WHAT)
    videos = [_video(file, root / images, skeleton, parts) for file in files.values()]
    return videos_of_part(videos, part, root)


def _video(
    file: Path, images: Path, skeleton: Skeleton, parts: dict[tuple[str, str], str]
) -> LabelledVideo:
    action, name = file.parts[-3:-1]
    pixels = read_mat_numbers(file, "pos_img", _WHAT)
    if pixels.ndim != 3 or pixels.shape[:2] != (2, len(JHMDB15)):
        raise PoseActError(
            f"{file} holds pos_img of shape {pixels.shape}, but (2, {len(JHMDB15)}, frames) was "
            f"expected; give {_WHAT}."
        )
    joints = pixels.transpose(2, 1, 0).astype(np.float64) - MATLAB_PIXEL_ORIGIN
    placed = np.all(np.isfinite(joints), axis=-1, keepdims=True)
    folder = images / action / name
    pictures = (ImageFile(folder / f"{number + 1:05d}.png") for number in range(len(joints)))
    return LabelledVideo(
        name=f"{action}/{name}",
        frames=FrameImages(str(folder), tuple(pictures)),
        skeleton=skeleton,
        poses=converted_poses(
            str(file), JHMDB15, skeleton, np.where(placed, joints, 0), valid=placed[..., 0]
        ),
        action=action,
        fps=_FPS,
        part=parts.get((action, name)),
        recording=_recording(name, action),
    )


def _recording(name: str, action: str) -> str:
    """The source video: what the name has before the action and the tags of HMDB51."""
    return name.rpartition(f"_{action}_")[0] or name


def _parts(folder: Path, split: int) -> dict[tuple[str, str], str]:
    """Part by action and name of the video."""
    ending = f"_test_split{split}"
    parts: dict[tuple[str, str], str] = {}
    for file in sorted(folder.glob(f"*{ending}.txt")):
        action = file.stem.removesuffix(ending)
        for line in file.read_text("utf-8", errors="replace").splitlines():
            video, _, flag = line.strip().rpartition(" ")
            if flag in _PARTS:
                parts[action, video.strip().removesuffix(".avi")] = _PARTS[flag]
    return parts
