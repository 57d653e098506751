"""Scores of predicted poses, as pure functions of arrays.

Validity masks are boolean: a joint counts iff its mask is True. A predicted NaN is a miss where
hits are counted, and an error where distances are averaged. People who cannot be scored are counted
in ``excluded``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.skeleton import MIDPOINTS, Skeleton

TORSO_DIAGONALS = (("right_hip", "left_shoulder"), ("left_hip", "right_shoulder"))

PCKH_LEAVES_OUT = tuple(MIDPOINTS)
"""Joints that PCKh on MPII does not score."""

# A similarity maps any two points onto any two others, so fewer say nothing.
MIN_ALIGNED = 3


class Score(NamedTuple):
    """A metric by joint and over all joints.

    Attributes:
        per_joint: ``(J,)``, or one per limb; NaN where nobody has a label.
        mean: Over all labelled joints of all people together; NaN if there are none.
        people: How many people count.
        excluded: How many do not: without a counted joint, without a scale, or with too few joints
            to be aligned.
    """

    per_joint: np.ndarray
    mean: float
    people: int
    excluded: int


# --- shares of correct joints and parts -----------------------------------------------------------


def pck(
    predicted: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    scale: np.ndarray,
    threshold: float,
) -> Score:
    """Fraction of joints at most ``threshold * scale`` from their label.

    Protocol: a joint counts iff it is valid and its person's scale is a number; distances are
    Euclidean, in the units of the scale, and a distance equal to the limit is a hit; the mean is
    over joints, not over people or over the per-joint fractions. A predicted NaN is a miss.

    With `torso_size` and 0.2 this is the PCK of Leeds Sports Pose (Yang and Ramanan, 2013); with
    millimetres, a scale of one and 150 it is the 3D-PCK of Mehta et al., 2017.

    Args:
        predicted: ``(N, J, D)``.
        target: ``(N, J, D)``; anything where invalid.
        valid: ``(N, J)`` boolean.
        scale: ``(N,)`` size of each person, such as `torso_size`; NaN excludes the person.
        threshold: Such as 0.2.

    Raises:
        PoseActError: The shapes do not belong together, or a valid label is not finite.
    """
    check_poses(predicted, target, valid, scale=scale)
    distance = _distance(predicted, target, valid)
    hits = distance <= threshold * scale[:, None]
    return _averaged(hits, valid & np.isfinite(scale)[:, None])


def pckh(
    predicted: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    head_size: np.ndarray,
    skeleton: Skeleton,
    threshold: float = 0.5,
) -> Score:
    """PCK relative to the head, without pelvis and thorax (Andriluka et al., MPII, 2014).

    Args:
        predicted: ``(N, J, 2)``.
        target: ``(N, J, 2)``.
        valid: ``(N, J)`` boolean.
        head_size: ``(N,)`` 0.6 times the diagonal of the head's box; NaN excludes the person.
        skeleton: Names the J joints.
        threshold: Fraction of the head's size that is still a hit.

    Raises:
        PoseActError: As `pck`.
    """
    scored = valid & scored_in_plane(skeleton)
    return pck(predicted, target, scored, head_size, threshold)


def pck_curve(
    predicted: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    scale: np.ndarray,
    thresholds: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """The mean of `pck` at each of the T thresholds, ``(T,)``."""
    return np.array([pck(predicted, target, valid, scale, float(t)).mean for t in thresholds])


def auc(curve: np.ndarray) -> float:
    """Area under a curve of evenly spaced thresholds, relative to that of a perfect one.

    It is the mean of the curve, as in the 3D evaluation of Mehta et al., 2017 (0 to 150 mm).
    """
    return float(np.mean(curve))


def pcp(
    predicted: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    limbs: Sequence[tuple[int, int]],
    threshold: float = 0.5,
) -> Score:
    """Strict percentage of correct parts (Eichner and Ferrari, 2009; Ferrari et al., 2008).

    A limb is correct if each of its two ends is at most ``threshold`` times the labelled length of
    the limb from its label. The loose variant, which averages the two distances, is not offered.

    Args:
        predicted: ``(N, J, 2)``; NaN is a miss.
        target: ``(N, J, 2)``.
        valid: ``(N, J)`` boolean; a limb counts iff both ends do.
        limbs: L pairs of joint indices.
        threshold: Fraction of the limb's length.

    Returns:
        A score with one fraction per limb, ``(L,)``.

    Raises:
        PoseActError: As `pck`.
    """
    check_poses(predicted, target, valid)
    ends = np.asarray(limbs, int).reshape(-1, 2)
    distance = _distance(predicted, target, valid)[:, ends].max(-1)
    length = np.linalg.norm(target[:, ends[:, 0]] - target[:, ends[:, 1]], axis=-1)
    both = valid[:, ends[:, 0]] & valid[:, ends[:, 1]]
    return _averaged(distance <= threshold * length, both)


def scored_in_plane(skeleton: Skeleton) -> np.ndarray:
    """``(J,)`` boolean: all joints but pelvis and thorax.

    MPII's score leaves these out, and in most other data they are midpoints of labelled joints
    rather than labels.
    """
    return np.array([joint not in PCKH_LEAVES_OUT for joint in skeleton.joints])


def torso_indices(skeleton: Skeleton) -> list[tuple[int, int]]:
    """The ends of the torso's diagonals, hip and shoulder, the preferred one first."""
    return [(skeleton.index(hip), skeleton.index(shoulder)) for hip, shoulder in TORSO_DIAGONALS]


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
    for hip, shoulder in reversed(torso_indices(skeleton)):
        labelled = valid[:, hip] & valid[:, shoulder]
        lengths = np.linalg.norm(joints[:, hip] - joints[:, shoulder], axis=-1)
        size[labelled] = lengths[labelled]
    return size


# --- distances in space ---------------------------------------------------------------------------


def mpjpe(predicted: np.ndarray, target: np.ndarray, valid: np.ndarray) -> Score:
    """Mean per joint position error: the mean distance of joints from their labels.

    Protocol 1 of Human3.6M (Ionescu et al., 2014) when both poses are `root_centred`; the root is
    one of the joints, as there.

    Args:
        predicted: ``(N, J, D)`` mm.
        target: ``(N, J, D)`` mm; anything where invalid.
        valid: ``(N, J)`` boolean.

    Raises:
        PoseActError: The shapes do not belong together, or a counted joint is not finite.
    """
    check_poses(predicted, target, valid)
    distance = _distance(predicted, target, valid)
    require_finite(distance, valid, "predicted")
    return _averaged(distance, valid)


def pa_mpjpe(predicted: np.ndarray, target: np.ndarray, valid: np.ndarray) -> Score:
    """`mpjpe` after each person's prediction was aligned to the label by a similarity.

    Protocol 2 of Human3.6M: the rotation (never a reflection), scale and shift that bring the
    valid joints closest in least squares (Umeyama, 1991). Arguments and errors as `mpjpe`; people
    of fewer than ``MIN_ALIGNED`` valid joints are excluded, because any alignment would fit them.
    """
    check_poses(predicted, target, valid)
    counted = valid & (valid.sum(1) >= MIN_ALIGNED)[:, None]
    require_finite(_distance(predicted, target, counted), counted, "predicted")
    weight = counted[..., None]
    number = np.maximum(weight.sum(1, keepdims=True), 1)
    source, goal = (
        np.where(weight, points - np.where(weight, points, 0).sum(1, keepdims=True) / number, 0)
        for points in (predicted.astype(np.float64), target.astype(np.float64))
    )
    u, singular, vt = np.linalg.svd(source.transpose(0, 2, 1) @ goal)
    # The last direction is turned where the best orthogonal map would be a reflection.
    sign = np.ones_like(singular)
    sign[:, -1] = np.where(np.linalg.det(u @ vt) < 0, -1, 1)
    rotation = (u * sign[:, None]) @ vt
    spread = (source**2).sum((1, 2))
    scale = np.divide((singular * sign).sum(1), spread, out=np.zeros_like(spread), where=spread > 0)
    return mpjpe(scale[:, None, None] * (source @ rotation), goal, counted)


def n_mpjpe(predicted: np.ndarray, target: np.ndarray, valid: np.ndarray) -> Score:
    """`mpjpe` after each person's prediction was scaled to fit the label best in least squares.

    Rhodin et al., 2018; both poses are to be `root_centred`, and the scale is not negative.
    Arguments and errors as `mpjpe`.
    """
    check_poses(predicted, target, valid)
    weight = valid[..., None]
    source, goal = (
        np.where(weight, points, 0).astype(np.float64) for points in (predicted, target)
    )
    along, own = (source * goal).sum((1, 2)), (source**2).sum((1, 2))
    scale = np.divide(along, own, out=np.zeros_like(own), where=own > 0).clip(0)
    return mpjpe(scale[:, None, None] * source, goal, valid)


def depth_error(predicted: np.ndarray, target: np.ndarray, valid: np.ndarray) -> Score:
    """Mean absolute error of depths.

    Args:
        predicted: ``(N, J)`` mm behind the root.
        target: ``(N, J)`` mm behind the root.
        valid: ``(N, J)`` boolean.

    Raises:
        PoseActError: As `mpjpe`.
    """
    return mpjpe(predicted[..., None], target[..., None], valid)


def root_centred(joints: np.ndarray, root: int) -> np.ndarray:
    """``(N, J, D)`` joints relative to the joint of index ``root``."""
    return joints - joints[:, [root]]


# --- common parts ---------------------------------------------------------------------------------


def _averaged(values: np.ndarray, counted: np.ndarray) -> Score:
    """Means of ``(N, J)`` values over the counted ones."""
    counts = counted.sum(0)
    sums = np.where(counted, values, 0).sum(0)
    total = int(counts.sum())
    scored = counted.any(1)
    return Score(
        np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        float(sums.sum() / total) if total else float("nan"),
        int(scored.sum()),
        int((~scored).sum()),
    )


def _distance(predicted: np.ndarray, target: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``(N, J)`` Euclidean distances; NaN, which no limit reaches, where the prediction is."""
    require_finite(target.sum(-1), valid, "labelled")
    return np.linalg.norm(predicted - target, axis=-1)


def require_finite(values: np.ndarray, valid: np.ndarray, what: str) -> None:
    """Raise a PoseActError if a valid one of ``(N, J)`` values is not finite."""
    wrong = int((valid & ~np.isfinite(values)).sum())
    if wrong:
        raise PoseActError(
            f"{wrong} of {int(valid.sum())} {what} joints that count are not finite; "
            "give numbers, or mark these joints as invalid."
        )


def check_poses(
    predicted: np.ndarray, target: np.ndarray, valid: np.ndarray, scale: np.ndarray | None = None
) -> None:
    """Raise a PoseActError unless poses, mask and scale belong together."""
    people = valid.shape[:1] if scale is None else scale.shape
    shape = (*people, *valid.shape[1:])
    if (
        predicted.ndim != 3
        or predicted.shape != target.shape
        or not predicted.shape[:2] == valid.shape == shape
        or valid.dtype != bool
    ):
        sizes = "" if scale is None else f" and sizes {scale.shape}"
        raise PoseActError(
            f"predicted {predicted.shape}, target {target.shape}, valid {valid.shape} of "
            f"{valid.dtype}{sizes} were given; give (N, J, D), (N, J, D), (N, J) of bool and (N,)."
        )
