"""Leeds Sports Pose and its extension (Johnson and Everingham, 2010 and 2011), official layout.

Coordinates are taken as they are: whether a pixel's centre is at 1 or at 0.5 is not documented, and
half a pixel is far below the noise of the labels.
"""

from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.formats.label_files import read_mat_numbers
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import LSP14, PA16, Skeleton


def read_lsp(
    root: Path, skeleton: Skeleton = PA16, *, images: tuple[int, int] | None = None
) -> list[PoseSample]:
    """Read ``joints.mat`` and ``images/im0001.jpg`` … of the first data set of 2,000 images.

    Every joint of it is labelled. Its README calls the third row visibility, but it is 1 for a
    joint that is hidden: the opposite sense of the extension's.

    Args:
        root: Folder of ``joints.mat`` and ``images/``.
        skeleton: The skeleton to convert to.
        images: First and last image number, counted from 1, both included. None for all.

    Returns:
        One sample per image in the order of the file.

    Raises:
        PoseActError: ``joints.mat`` is missing, damaged or of another shape, or it has no such
            images.
    """
    file = root / "joints.mat"
    labels = read_mat_numbers(file, "joints", "the joints.mat of LSP")
    if labels.ndim != 3 or labels.shape[:2] != (3, len(LSP14)):
        raise PoseActError(
            f"{file} holds 'joints' of shape {labels.shape}, but LSP has 'joints' of shape "
            "(3, 14, N); give the first data set's file, or read the extension, which is "
            "(14, 3, N), as lsp-extended."
        )
    labels = labels.astype(np.float32).transpose(2, 1, 0)  # (N, 14, 3)
    labelled = np.asarray(np.isfinite(labels).all(-1))
    seen = labelled & (labels[..., 2] < 0.5)
    return _samples(file, labels, labelled, seen, skeleton, images, digits=4)


def read_lsp_extended(
    root: Path, skeleton: Skeleton = PA16, *, images: tuple[int, int] | None = None
) -> list[PoseSample]:
    """Read ``joints.mat`` and ``images/im00001.jpg`` … of the 10,000-image extension.

    In the extension the third row is 1 for a labelled joint. Where it is 0 the coordinates are
    meaningless, so such a joint is unknown, not absent. Images without any label are left out;
    arguments and errors are as for :func:`read_lsp`.
    """
    file = root / "joints.mat"
    labels = read_mat_numbers(file, "joints", "the joints.mat of LSP extended")
    if labels.ndim != 3 or labels.shape[:2] != (len(LSP14), 3):
        raise PoseActError(
            f"{file} holds 'joints' of shape {labels.shape}, but LSP extended has 'joints' of "
            "shape (14, 3, N); give the extension's file, or read the first LSP, which is "
            "(3, 14, N), as lsp."
        )
    labels = labels.astype(np.float32).transpose(2, 0, 1)  # (N, 14, 3)
    labelled = np.isfinite(labels).all(-1) & (labels[..., 2] > 0.5)
    return _samples(file, labels, labelled, labelled, skeleton, images, digits=5)


def _samples(
    file: Path,
    labels: np.ndarray,
    labelled: np.ndarray,
    seen: np.ndarray,
    skeleton: Skeleton,
    images: tuple[int, int] | None,
    *,
    digits: int,
) -> list[PoseSample]:
    """Samples of ``(N, 14, 3)`` labels with ``(N, 14)`` booleans."""
    first, last = images or (1, len(labels))
    if not 1 <= first <= last <= len(labels):
        raise PoseActError(
            f"Images {first} to {last} were asked for, but {file} has images 1 to {len(labels)}; "
            "give the first and the last number, counted from 1."
        )
    joints, valid = LSP14.convert(labels[..., :2], labelled, skeleton)
    _, visible = LSP14.convert(labels[..., :2], seen, skeleton)
    samples: list[PoseSample] = []
    for index in range(first - 1, last):
        if not valid[index].any():
            continue
        image = file.parent / "images" / f"im{index + 1:0{digits}d}.jpg"
        samples.append(
            PoseSample(
                name=image.name,
                image=ImageFile(image),
                skeleton=skeleton,
                joints=joints[index],
                valid=valid[index],
                visible=visible[index],
                depth_valid=np.zeros_like(valid[index]),
                box=labelled_box(labels[index], labelled[index]),
            )
        )
    return samples
