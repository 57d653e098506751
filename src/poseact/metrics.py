"""Scores of predicted poses, as pure functions of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from poseact.errors import PoseActError
from poseact.skeleton import Skeleton

TORSO_DIAGONALS = (("right_hip", "left_shoulder"), ("left_hip", "right_shoulder"))


class Pck(NamedTuple):
    """Percentage of correct keypoints, as fractions.

    Attributes:
        per_joint: ``(J,)``; NaN for a joint that no image labels.
        mean: Over all labelled joints of all images together; NaN if there are none.
        images: How many images count.
        excluded: How many were left out because their scale is NaN.
    """

    per_joint: np.ndarray
    mean: float
    images: int
    excluded: int


def pck(
    predicted: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    scale: np.ndarray,
    threshold: float,
) -> Pck:
    """Fraction of joints at most ``threshold * scale`` from their label.

    Protocol: a joint counts iff it is valid and its image's scale is a number; distances are
    Euclidean, in the units of the scale, and a distance equal to the limit is a hit; the mean is
    over joints, not over images or over the per-joint fractions. A predicted NaN is a miss.

    Args:
        predicted: ``(N, J, 2)``.
        target: ``(N, J, 2)``; anything where invalid.
        valid: ``(N, J)`` boolean.
        scale: ``(N,)`` size of each person, such as `torso_size`; NaN excludes the image.
        threshold: Such as 0.2.

    Raises:
        PoseActError: The shapes do not belong together.
    """
    shapes = (predicted.shape, target.shape, (*valid.shape, 2), (*scale.shape, *valid.shape[1:], 2))
    if len(set(shapes)) != 1 or len(shapes[0]) != 3:
        raise PoseActError(
            f"predicted {predicted.shape}, target {target.shape}, valid {valid.shape} and scale "
            f"{scale.shape} were given; give (N, J, 2), (N, J, 2), (N, J) and (N,)."
        )
    counted = np.isfinite(scale)
    distance = np.linalg.norm(predicted[counted] - target[counted], axis=-1)
    hits = distance <= threshold * scale[counted, None]
    joint_counts = valid[counted].sum(0)
    joint_hits = (hits & valid[counted]).sum(0)
    total = joint_counts.sum()
    return Pck(
        np.where(joint_counts > 0, joint_hits / np.maximum(joint_counts, 1), np.nan),
        float(joint_hits.sum() / total) if total else float("nan"),
        int(counted.sum()),
        int((~counted).sum()),
    )


def torso_size(joints: np.ndarray, valid: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Length of the torso's diagonal, the scale of PCK on Leeds Sports Pose.

    From the right hip to the left shoulder or, where one of them has no label, from the left hip
    to the right shoulder.

    Args:
        joints: ``(N, J, 2)`` labels.
        valid: ``(N, J)`` boolean.
        skeleton: Names the J joints.

    Returns:
        ``(N,)`` in the units of the joints; NaN where neither diagonal is labelled.
    """
    size = np.full(joints.shape[0], np.nan)
    for ends in reversed(TORSO_DIAGONALS):
        hip, shoulder = (skeleton.index(end) for end in ends)
        labelled = valid[:, hip] & valid[:, shoulder]
        lengths = np.linalg.norm(joints[:, hip] - joints[:, shoulder], axis=-1)
        size[labelled] = lengths[labelled]
    return size
