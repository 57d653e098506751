"""Photos with MediaPipe BlazePose landmarks: machine labels with depth."""

from pathlib import Path
from typing import Literal

import numpy as np

from poseact.data.formats.label_files import names_in, read_npz, require_shape
from poseact.data.images import images_inside
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import BLAZEPOSE33, PA16, Skeleton

MIN_VISIBILITY = 0.5
MIN_JOINTS = 4


def read_blazepose(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Literal["all", "train", "held-out"] = "all",
) -> list[PoseSample]:
    """Read ``blazepose.npz`` and ``images/``.

    The archive holds ``names`` (N), ``landmarks`` (N, 33, 4: x px, y px, z, visibility) and
    ``world`` (N, 33, 3: metres about the middle of the hips, z away from the camera), as MediaPipe
    gives them. Joints of visibility below ``MIN_VISIBILITY`` are unknown; so is every depth if a
    hip, to which depths are relative, is.

    Args:
        root: Folder of ``blazepose.npz`` and ``images/``.
        skeleton: The skeleton to convert to.
        part: ``held-out`` are the photos of the last tenth of the exercises, sorted by name:
            ``Squat_0.jpg`` and ``Squat_1.jpg`` are of one exercise. ``train`` are the others.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, in the order of the archive;
        people of fewer than ``MIN_JOINTS`` known joints are left out.

    Raises:
        PoseActError: The archive is missing, damaged or of another shape.
    """
    file = root / "blazepose.npz"
    names, landmarks, world = _read_archive(file)
    pictures = images_inside(root / "images", names)
    known = landmarks[..., 3] >= MIN_VISIBILITY
    hips = [BLAZEPOSE33.index(f"{side}_hip") for side in ("right", "left")]
    depth_mm = (world[..., 2] - world[:, hips, 2].mean(1, keepdims=True)) * 1000
    labels = np.concatenate((landmarks[..., :2], depth_mm[..., None]), -1)
    joints, valid = BLAZEPOSE33.convert(labels, known, skeleton)
    depth_known = valid & known[:, hips].all(1, keepdims=True)
    chosen = _in_part(names, part) & (valid.sum(1) >= MIN_JOINTS)
    return [
        PoseSample(
            name=names[index],
            image=pictures[index],
            skeleton=skeleton,
            joints=joints[index],
            valid=valid[index],
            visible=valid[index],
            depth_valid=depth_known[index],
            # Of all landmarks: the skeletons have no face, and the head belongs in the crop.
            box=labelled_box(labels[index], known[index]),
        )
        for index in np.flatnonzero(chosen).tolist()
        if index in pictures
    ]


def _read_archive(file: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, (N, 33, 4) landmarks and (N, 33, 3) world landmarks."""
    arrays = read_npz(file, ("names", "landmarks", "world"), "blazepose.npz")
    names = names_in(file, arrays, "names", "blazepose.npz")
    for key, width in (("landmarks", 4), ("world", 3)):
        expected = (len(names), len(BLAZEPOSE33), width)
        remedy = "write it with MediaPipe's 33 landmarks"
        require_shape(file, arrays, key, expected, f"{len(names)} names; {remedy}")
    return names, arrays["landmarks"].astype(np.float32), arrays["world"].astype(np.float32)


def _in_part(names: list[str], part: str) -> np.ndarray:
    """(N,) boolean."""
    exercises = [name.rsplit("_", 1)[0] for name in names]
    every = sorted(set(exercises))
    held_out = set(every[len(every) * 9 // 10 :])
    return np.array(
        [part == "all" or (exercise in held_out) == (part == "held-out") for exercise in exercises],
        bool,
    )
