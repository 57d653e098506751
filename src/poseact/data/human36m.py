"""Human3.6M (Ionescu et al., 2014) as packed for mmpose.

Labels and cameras come from ``h36m_*.npz`` and ``cameras.pkl``. Pixels are taken as they are: they
are what the cameras project the joints to. Do not use the COCO-like JSON of the same packaging: it
names the right leg left.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import PositiveInt

from poseact.data.mmpose_files import camera_of, name_parts, read_cameras, read_labels, samples_3d
from poseact.data.sample import PoseSample
from poseact.skeleton import H36M17, PA16, Skeleton

# S1_Directions_1.54138969_000001.jpg: subject, action, camera, frame.
_IMAGE = re.compile(r"(?P<sequence>(?P<subject>S\d+)_[^.]+\.(?P<camera>\d+))_(?P<frame>\d+)\.\w+")


def read_human36m(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "annotation_body3d/fps50/h36m_train.npz",
    cameras: str = "annotation_body3d/cameras.pkl",
    images: str = "images",
    subjects: tuple[str, ...] | None = None,
    every: PositiveInt = 1,
) -> list[PoseSample]:
    """Read ``imgname``, ``part`` (N, 17, 3) and ``S`` (N, 17, 4: m in the camera's frame).

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        labels: The archive of labels, in the root.
        cameras: The pickle of cameras, in the root; it is read without running what it may hold.
        images: Folder of the images, in the root.
        subjects: Such as ``("S9", "S11")``, the usual test set. None for all.
        every: Frames ``every``, ``2 * every`` … of each sequence, counted from 1.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, and the camera.

    Raises:
        PoseActError: A file is missing, damaged or of another shape, or a name is not of the form
            ``S1_Directions_1.54138969_000001.jpg``.
    """
    found = read_labels(root / labels, H36M17)
    by_key = read_cameras(root / cameras)
    wanted, used, frames = [], [], []
    example = "S1_Directions_1.54138969_000001.jpg tell subject, camera and frame"
    matches = name_parts(found.images, _IMAGE, root / labels, example)
    for index, (image, match) in enumerate(zip(found.images, matches, strict=True)):
        subject, number = match["subject"], int(match["frame"])
        if (subjects is None or subject in subjects) and number % every == 0:
            wanted.append(index)
            used.append(camera_of(by_key, (subject, match["camera"]), image))
            frames.append((match["sequence"], number))
    return samples_3d(
        found.chosen(wanted), H36M17, skeleton, images=root / images, cameras=used, frames=frames
    )
