"""Leeds Sports Pose and its extension (Johnson and Everingham, 2010 and 2011), official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from poseact.data.sample import PoseSample, labelled_box
from poseact.errors import PoseActError
from poseact.skeleton import LSP14, PA16, Skeleton


def read_lsp_extended(root: Path, skeleton: Skeleton = PA16) -> list[PoseSample]:
    """Read ``joints.mat`` and ``images/im00001.jpg`` … of the 10,000-image extension.

    In the extension the third row is 1 for a labelled joint. Where it is 0 the coordinates are
    scattered around negative places that mean nothing, so such a joint is unknown, not absent.

    Args:
        root: Folder of ``joints.mat`` and ``images/``.
        skeleton: The skeleton to convert to.

    Returns:
        One sample per image in the order of the file; images without any label are left out.

    Raises:
        PoseActError: ``joints.mat`` is missing or of another shape, or an image is missing.
    """
    file = root / "joints.mat"
    if not file.is_file():
        raise PoseActError(f"{file} does not exist; give the folder that holds LSP's joints.mat.")
    content = loadmat(str(file))
    labels = content.get("joints")
    if labels is None or labels.ndim != 3 or labels.shape[:2] != (len(LSP14), 3):
        found = "no array 'joints'" if labels is None else f"'joints' of shape {labels.shape}"
        raise PoseActError(
            f"{file} holds {found}, but LSP extended has 'joints' of shape (14, 3, N); "
            "give the extension's file, not that of the first LSP, which is (3, 14, N)."
        )
    labels = labels.astype(np.float32).transpose(2, 0, 1)  # (N, 14, 3)
    joints, valid = LSP14.convert(labels[..., :2], labels[..., 2] > 0.5, skeleton)
    samples = []
    for index in np.flatnonzero(valid.any(1)):
        image = root / "images" / f"im{index + 1:05d}.jpg"
        if not image.is_file():
            raise PoseActError(
                f"{file} labels {labels.shape[0]} images, but {image} does not exist; "
                "restore the missing image."
            )
        samples.append(
            PoseSample(
                name=image.name,
                image=image,
                joints=joints[index],
                valid=valid[index],
                visible=valid[index],
                depth_valid=np.zeros_like(valid[index]),
                box=labelled_box(joints[index], valid[index]),
            )
        )
    return samples
