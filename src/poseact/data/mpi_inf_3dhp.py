"""MPI-INF-3DHP (Mehta et al., 2017) as packed for mmpose.

Pixels are taken as they are; the pinhole cameras of the packaging meet them within 2 px.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import PositiveInt

from poseact.data.mmpose_files import camera_of, name_parts, read_cameras, read_labels, samples_3d
from poseact.data.sample import PoseSample
from poseact.skeleton import MPI3DHP17, PA16, Skeleton

# S4_Seq2_Cam0_001033.jpg of the training set, TS1_002001.jpg of the test set.
_IMAGE = re.compile(r"(?P<camera>S\d+_Seq\d+_Cam\d+|TS\d+)_(?P<frame>\d+)\.\w+")


def read_mpi_inf_3dhp(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "annotations/mpi_inf_3dhp_train.npz",
    cameras: str = "annotations/cameras_train.pkl",
    images: str = "images",
    every: PositiveInt = 1,
) -> list[PoseSample]:
    """Read ``imgname``, ``part`` (N, 17, 3) and ``S`` (N, 17, 4: m in the camera's frame).

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        labels: The archive of labels, in the root.
        cameras: The pickle of cameras, in the root; it is read without running what it may hold.
        images: Folder of the images, in the root.
        every: Frames ``every``, ``2 * every`` … of each sequence, counted from 1.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, and the camera.

    Raises:
        PoseActError: A file is missing, damaged or of another shape, or a name is not of the form
            ``S4_Seq2_Cam0_001033.jpg`` or ``TS1_002001.jpg``.
    """
    found = read_labels(root / labels, MPI3DHP17)
    by_key = read_cameras(root / cameras, extrinsic=True)
    wanted, used, frames = [], [], []
    example = "S4_Seq2_Cam0_001033.jpg or TS1_002001.jpg tell camera and frame"
    matches = name_parts(found.images, _IMAGE, root / labels, example)
    for index, (image, match) in enumerate(zip(found.images, matches, strict=True)):
        if int(match["frame"]) % every == 0:
            wanted.append(index)
            used.append(camera_of(by_key, match["camera"], image))
            frames.append((match["camera"], int(match["frame"])))
    return samples_3d(
        found.chosen(wanted), MPI3DHP17, skeleton, images=root / images, cameras=used, frames=frames
    )
