"""Photos with MediaPipe BlazePose landmarks: machine labels with depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseact.data.sample import PoseSample, labelled_box
from poseact.errors import PoseActError
from poseact.skeleton import BLAZEPOSE33, PA16, Skeleton

MIN_VISIBILITY = 0.5
MIN_JOINTS = 4


def read_blazepose(root: Path, skeleton: Skeleton = PA16) -> list[PoseSample]:
    """Read ``blazepose.npz`` and ``images/``.

    The archive holds ``names`` (N), ``landmarks`` (N, 33, 4: x px, y px, z, visibility) and
    ``world`` (N, 33, 3: metres about the middle of the hips, z away from the camera), as MediaPipe
    gives them. Joints of visibility below ``MIN_VISIBILITY`` are unknown; so is every depth if a
    hip, to which depths are relative, is.

    Args:
        root: Folder of ``blazepose.npz`` and ``images/``.
        skeleton: The skeleton to convert to.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, in the order of the archive;
        people of fewer than ``MIN_JOINTS`` known joints are left out.

    Raises:
        PoseActError: The archive is missing or of another shape, or an image is missing.
    """
    file = root / "blazepose.npz"
    if not file.is_file():
        raise PoseActError(f"{file} does not exist; give the folder that holds blazepose.npz.")
    with np.load(file) as archive:
        arrays = {key: archive[key] for key in archive.files}
    count = len(arrays.get("names", ()))
    for key, width in (("landmarks", 4), ("world", 3)):
        expected = (count, len(BLAZEPOSE33), width)
        shape = arrays[key].shape if key in arrays else None
        if shape != expected:
            raise PoseActError(
                f"{file} holds {key!r} of shape {shape}, but {expected} was expected for its "
                f"{count} names; write it with MediaPipe's 33 landmarks."
            )
    landmarks, world = arrays["landmarks"].astype(np.float32), arrays["world"].astype(np.float32)
    known = landmarks[..., 3] >= MIN_VISIBILITY
    hips = [BLAZEPOSE33.index(f"{side}_hip") for side in ("right", "left")]
    depth_mm = (world[..., 2] - world[:, hips, 2].mean(1, keepdims=True)) * 1000
    labels = np.concatenate((landmarks[..., :2], depth_mm[..., None]), -1)
    joints, valid = BLAZEPOSE33.convert(labels, known, skeleton)
    rooted = known[:, hips].all(1)
    samples = []
    for index in np.flatnonzero(valid.sum(1) >= MIN_JOINTS):
        image = root / "images" / str(arrays["names"][index])
        if not image.is_file():
            raise PoseActError(
                f"{file} labels {image.name}, but {image} does not exist; "
                "restore the missing image."
            )
        samples.append(
            PoseSample(
                name=image.name,
                image=image,
                joints=joints[index],
                valid=valid[index],
                visible=valid[index],
                depth_valid=valid[index] & rooted[index],
                # Of all landmarks: the skeletons have no face, and the head belongs in the crop.
                box=labelled_box(labels[index], known[index]),
            )
        )
    return samples
