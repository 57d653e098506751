"""Scores by all metrics that the labels of a data set allow, with their protocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from poseact import metrics
from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.evaluation.oks import oks_ap, oks_sigmas
from poseact.evaluation.pose_results import Curve, Metric, PosePredictions, PoseScores
from poseact.skeleton import Skeleton

TORSO_THRESHOLD = 0.2
HEAD_THRESHOLD = 0.5
SPACE_THRESHOLD_MM = 150.0
_CURVE_STEPS = 30

PARTS = (
    ("pelvis", "thorax"),
    ("neck", "head"),
    *(
        (f"{side}_{start}", f"{side}_{end}")
        for start, end in (
            *(("shoulder", "elbow"), ("elbow", "wrist")),
            *(("hip", "knee"), ("knee", "ankle")),
        )
        for side in ("right", "left")
    ),
)
"""The ten parts of PCP: torso, head, upper and lower arms and legs."""


LIMB_JOINTS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("right", "left")
)
"""The joints that nearly all data sets label alike."""


def score_poses(
    predictions: PosePredictions, samples: Sequence[PoseSample], *, data: str, testing: str
) -> PoseScores:
    """Score predictions by all metrics that the labels allow.

    Args:
        predictions: Of the samples, in their order.
        samples: N people, all in one skeleton.
        data: What the samples are, for the protocol.
        testing: How the predictions were made, for the protocol.

    Raises:
        PoseActError: No metric fits the labels, or all pictures are unreadable.
    """
    labels = _Labels.of(predictions, samples)
    found: dict[str, Metric] = {}
    for scorer in (_torso, _head, _parts, _similarity, _space, _depth):
        found |= scorer(labels)
    if not found:
        raise PoseActError(
            f"None of the metrics fits the labels of {data}: they have neither hips and shoulders, "
            "nor head sizes, areas or depths; give data with one of these."
        )
    left_out = f", {len(predictions.unreadable)} unreadable pictures left out"
    people = len(labels.target)
    head = f"{data}: {people} people{left_out if predictions.unreadable else ''}; {testing}"
    protocol = "; ".join([head, *dict.fromkeys(metric.protocol for metric in found.values())])
    return PoseScores(data, protocol, people, predictions.unreadable, found)


def person_errors(predictions: PosePredictions, samples: Sequence[PoseSample]) -> np.ndarray:
    """``(N,)`` mean distance of the joints as a fraction of the box's longest side.

    NaN where no joint is labelled or the picture was not read.
    """
    errors = np.full(len(samples), np.nan)
    for index, sample in enumerate(samples):
        scored = sample.valid & metrics.scored_in_plane(sample.skeleton)
        if sample.name in predictions.unreadable or not scored.any():
            continue
        x0, y0, x1, y1 = sample.box
        distance = np.linalg.norm(predictions.joints[index] - sample.joints[:, :2], axis=-1)
        errors[index] = distance[scored].mean() / max(x1 - x0, y1 - y0, 1.0)
    return errors


class _Labels(NamedTuple):
    """Labels and predictions of the people who can be scored, as arrays."""

    places: list[int]
    samples: list[PoseSample]
    skeleton: Skeleton
    predicted: np.ndarray  # (N, J, 2) px
    depth_mm: np.ndarray  # (N, J)
    confidence: np.ndarray  # (N, J)
    target: np.ndarray  # (N, J, 2) px
    valid: np.ndarray  # (N, J)
    target_depth: np.ndarray  # (N, J) mm
    depth_valid: np.ndarray  # (N, J)

    @classmethod
    def of(cls, predictions: PosePredictions, samples: Sequence[PoseSample]) -> _Labels:
        read = [i for i, s in enumerate(samples) if s.name not in predictions.unreadable]
        if not read:
            raise PoseActError(
                f"None of {len(samples)} people can be scored; give data with pictures."
            )
        chosen = [samples[i] for i in read]
        valid = np.stack([sample.valid for sample in chosen])
        return cls(
            read,
            chosen,
            chosen[0].skeleton,
            predictions.joints[read],
            predictions.depth_mm[read],
            predictions.confidence[read],
            np.stack([sample.joints[:, :2] for sample in chosen]).astype(np.float64),
            valid,
            np.stack([_depth_of(sample) for sample in chosen]),
            np.stack([sample.depth_valid for sample in chosen]) & valid,
        )

    def column(self, attribute: str) -> np.ndarray:
        """``(N,)`` optional numbers of the samples, NaN where they are None."""
        values = [getattr(sample, attribute) for sample in self.samples]
        return np.array([np.nan if value is None else value for value in values], float)


def _torso(labels: _Labels) -> dict[str, Metric]:
    skeleton = labels.skeleton
    ends = {end for diagonal in metrics.TORSO_DIAGONALS for end in diagonal}
    if not ends <= set(skeleton.joints):
        return {}
    scale = metrics.torso_size(labels.target, labels.valid, skeleton)
    if not np.isfinite(scale).any():
        return {}
    scored = labels.valid & metrics.scored_in_plane(skeleton)
    arrays = (labels.predicted, labels.target, scored, scale)
    score = metrics.pck(*arrays, TORSO_THRESHOLD)
    protocol = (
        f"PCK@{TORSO_THRESHOLD} of the torso (right hip to left shoulder, else left hip to right "
        f"shoulder; {score.excluded} people without either are left out, {score.people} are "
        f"scored), mean over all labelled joints of {_named(skeleton, scored)}"
    )
    metric = _metric("PCK@0.2 torso", "fraction", score, skeleton, protocol)
    found = _with_area("pck", metric, "torso", TORSO_THRESHOLD, arrays)
    limbs = scored & np.array([joint in LIMB_JOINTS for joint in skeleton.joints])
    score = metrics.pck(labels.predicted, labels.target, limbs, scale, TORSO_THRESHOLD)
    protocol = (
        f"PCK@{TORSO_THRESHOLD} of the torso over shoulders, elbows, wrists, hips, knees, ankles"
    )
    found["pck_limbs"] = _metric("PCK@0.2 torso, limbs", "fraction", score, skeleton, protocol)
    return found | _confidence(labels, scored & np.isfinite(scale)[:, None], scale)


def _confidence(labels: _Labels, scored: np.ndarray, scale: np.ndarray) -> dict[str, Metric]:
    """How well the confidence predicts correct joints; ``scored`` is ``(N, J)`` boolean."""
    distance = np.linalg.norm(labels.predicted - labels.target, axis=-1)
    right = (distance <= TORSO_THRESHOLD * scale[:, None])[scored]
    confidence = labels.confidence[scored]
    people = int(scored.any(1).sum())
    protocol = f"of the confidence against being within {TORSO_THRESHOLD} of the torso, all joints"
    found = {
        f"confidence_{key}": Metric(
            f"confidence {key.upper()}",
            "fraction",
            function(confidence, right),
            {},
            people,
            len(scored) - people,
            f"{text} {protocol}",
        )
        for key, function, text in (
            ("ece", metrics.calibration_error, "expected calibration error, 15 bins,"),
            ("auroc", metrics.auroc, "area under the ROC curve"),
        )
    }
    # Undefined if all joints are correct, or none.
    return {key: metric for key, metric in found.items() if np.isfinite(metric.mean)}


def _head(labels: _Labels) -> dict[str, Metric]:
    scale = labels.column("head_px")
    if not np.isfinite(scale).any():
        return {}
    scored = labels.valid & metrics.scored_in_plane(labels.skeleton)
    arrays = (labels.predicted, labels.target, scored, scale)
    score = metrics.pckh(*arrays, labels.skeleton, HEAD_THRESHOLD)
    protocol = (
        f"PCKh@{HEAD_THRESHOLD} of the labelled head size, without pelvis and thorax, joints "
        f"outside of the crop included ({score.people} people, {score.excluded} without a head "
        "size left out)"
    )
    metric = _metric("PCKh@0.5", "fraction", score, labels.skeleton, protocol)
    return _with_area("pckh", metric, "head", HEAD_THRESHOLD, arrays)


def _parts(labels: _Labels) -> dict[str, Metric]:
    skeleton = labels.skeleton
    parts = [part for part in PARTS if set(part) <= set(skeleton.joints)]
    limbs = [(skeleton.index(start), skeleton.index(end)) for start, end in parts]
    score = metrics.pcp(labels.predicted, labels.target, labels.valid, limbs)
    if not score.people:
        return {}
    protocol = (
        f"strict PCP@0.5 of {np.isfinite(score.per_joint).sum()} parts: both ends within half of "
        f"the labelled length ({score.people} people, {score.excluded} without a labelled part)"
    )
    names = [
        f"{start} to {end.removeprefix('right_').removeprefix('left_')}" for start, end in parts
    ]
    return {"pcp": _metric("PCP, strict", "fraction", score, names, protocol)}


def _similarity(labels: _Labels) -> dict[str, Metric]:
    area, sigmas = labels.column("area_px"), oks_sigmas(labels.skeleton)
    if not np.isfinite(area).any() or not np.isfinite(sigmas).any():
        return {}
    result = oks_ap(
        labels.predicted,
        labels.confidence.mean(1),
        labels.target,
        labels.valid,
        area,
        [str(sample.image) for sample in labels.samples],
        sigmas,
    )
    protocol = (
        f"OKS-AP by pycocotools over {np.isfinite(sigmas).sum()} of COCO's 17 joints, in labelled "
        f"boxes, ranked by mean confidence ({result.people} people, {result.excluded} without "
        "joints or area left out)"
    )
    counts = (result.people, result.excluded)
    values = result._asdict()
    return {
        f"oks_{key}": Metric(f"OKS-{key.upper()}", "fraction", values[key], {}, *counts, protocol)
        for key in ("ap", "ap50", "ap75", "ar")
    }


class SpatialPoses(NamedTuple):
    """Poses of n people in mm relative to the pelvis.

    Attributes:
        people: Places of the people among those that were given.
        predicted: ``(n, J, 3)``.
        target: ``(n, J, 3)``.
        valid: ``(n, J)`` boolean; the joint is labelled in space.
    """

    people: list[int]
    predicted: np.ndarray
    target: np.ndarray
    valid: np.ndarray


def spatial_poses(
    predictions: PosePredictions, samples: Sequence[PoseSample]
) -> SpatialPoses | None:
    """Predictions and labels in mm: px and depths go through the camera.

    The depth of a prediction is the labelled one of the root plus the predicted one behind it. None
    where the skeleton has no pelvis, the predictions no depth, or nobody camera and root depth;
    people who lack one of these, or whose picture could not be read, are left out.
    """
    return _spatial(_Labels.of(predictions, samples))


def _spatial(labels: _Labels) -> SpatialPoses | None:
    skeleton, root_depth = labels.skeleton, labels.column("root_depth_mm")
    if "pelvis" not in skeleton.joints or not np.isfinite(labels.depth_mm).all():
        return None
    root = skeleton.index("pelvis")
    known = [
        index
        for index, sample in enumerate(labels.samples)
        if sample.camera is not None
        and np.isfinite(root_depth[index])
        and labels.depth_valid[index, root]
    ]
    if not known:
        return None
    predicted, target = (
        metrics.root_centred(_in_mm(labels, known, root_depth, pixels, depth), root)
        for pixels, depth in (
            (labels.predicted, labels.depth_mm),
            (labels.target, labels.target_depth),
        )
    )
    return SpatialPoses(
        [labels.places[index] for index in known], predicted, target, labels.depth_valid[known]
    )


def _space(labels: _Labels) -> dict[str, Metric]:
    poses, skeleton = _spatial(labels), labels.skeleton
    if poses is None:
        return {}
    left_out = len(labels.samples) - len(poses.people)
    common = (
        "; joints in mm by the camera, from px and the labelled depth of the root plus the "
        f"predicted depth ({len(poses.people)} people, {left_out} without camera, root depth or "
        f"pelvis left out), mean over all labelled joints of {skeleton.name}, pelvis included"
    )
    same = ", of the same joints"
    arrays = (poses.predicted, poses.target, poses.valid)
    found = {}
    for key, label, function, text in (
        ("mpjpe", "MPJPE", metrics.mpjpe, f"both poses relative to the pelvis{common}"),
        ("pa_mpjpe", "PA-MPJPE", metrics.pa_mpjpe, f"aligned by rotation, scale and shift{same}"),
        ("n_mpjpe", "N-MPJPE", metrics.n_mpjpe, f"relative to the pelvis, scaled to fit{same}"),
    ):
        score = function(*arrays)
        found[key] = _metric(label, "mm", score, skeleton, f"{label}: {text}", left_out)
    scaled = (*arrays, np.ones(len(poses.people)))
    score = metrics.pck(*scaled, SPACE_THRESHOLD_MM)
    protocol = f"3D-PCK@150 mm relative to the pelvis{same}"
    metric = _metric("3D-PCK@150 mm", "fraction", score, skeleton, protocol, left_out)
    return found | _with_area("pck3d", metric, "mm", SPACE_THRESHOLD_MM, scaled)


def _in_mm(
    labels: _Labels, known: list[int], root_depth: np.ndarray, pixels: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """``(n, J, 3)`` mm of the people of whom camera and root depth are known."""
    points = []
    for index in known:
        camera = labels.samples[index].camera
        if camera is not None:
            points.append(camera.unproject(pixels[index], root_depth[index] + depth[index]))
    return np.stack(points)


def _depth(labels: _Labels) -> dict[str, Metric]:
    if not labels.depth_valid.any() or not np.isfinite(labels.depth_mm).all():
        return {}
    score = metrics.depth_error(labels.depth_mm, labels.target_depth, labels.depth_valid)
    protocol = (
        "mean absolute error of the depth behind the pelvis, over all joints with a labelled "
        f"depth ({score.people} people, {score.excluded} without)"
    )
    return {"depth": _metric("depth error", "mm", score, labels.skeleton, protocol)}


def _depth_of(sample: PoseSample) -> np.ndarray:
    if sample.joints.shape[1] == 3:
        return sample.joints[:, 2].astype(np.float64)
    return np.full(len(sample.skeleton), np.nan)


def _named(skeleton: Skeleton, scored: np.ndarray) -> str:
    return f"the {int(scored.any(0).sum())} scored joints of {skeleton.name}"


def _metric(
    label: str,
    unit: str,
    score: metrics.Score,
    names: Skeleton | Sequence[str],
    protocol: str,
    left_out: int = 0,
) -> Metric:
    joints = names.joints if isinstance(names, Skeleton) else names
    per_joint = {
        name: float(value)
        for name, value in zip(joints, score.per_joint, strict=True)
        if np.isfinite(value)
    }
    excluded = score.excluded + left_out
    return Metric(label, unit, score.mean, per_joint, score.people, excluded, protocol)


def _with_area(
    key: str,
    metric: Metric,
    unit: str,
    limit: float,
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> dict[str, Metric]:
    """A share of correct joints with its curve up to the threshold, and the area under that."""
    thresholds = np.linspace(0, limit, _CURVE_STEPS + 1)
    values = metrics.pck_curve(*arrays, thresholds)
    area = replace(
        metric,
        label=f"AUC of {metric.label}",
        mean=metrics.auc(values),
        per_joint={},
        protocol=f"AUC of {metric.label}: mean at {len(thresholds)} thresholds from 0 to {limit:g}",
    )
    curve = Curve(unit, thresholds.tolist(), values.tolist())
    return {key: replace(metric, curve=curve), f"{key}_auc": area}
