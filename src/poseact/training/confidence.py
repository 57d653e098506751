"""Calibration of the confidence: of joints with a confidence of 0.8, 80 % are correct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.evaluation.pose_evaluation import predict_samples
from poseact.losses import PoseCriterion
from poseact.metrics import calibration_error, torso_size
from poseact.models.base import Network
from poseact.models.pose import learned_confidence


def calibrate_confidence(network: Network, samples: Sequence[PoseSample]) -> dict[str, float]:
    """Set a network's ``calibration`` on people that it was not trained on (Platt, 1999).

    Args:
        network: With a :class:`~poseact.models.pose.ConfidenceHead`; is changed.
        samples: People in its skeleton; those without a labelled torso do not count.

    Returns:
        ``scale`` and ``shift`` of the logits, ``joints`` counted, and the expected calibration
        error ``before`` and ``after`` on these people.

    Raises:
        PoseActError: The network has no learned confidence, nobody has a labelled torso, or all
            joints are correct or all wrong.
    """
    head = learned_confidence(network)
    if head is None:
        raise PoseActError(
            "calibration: data were given for a network whose confidence is not learned; give a "
            "network with a pyramid stem, or leave calibration out."
        )
    found = predict_samples(network, samples, network.config.image_size)
    target = np.stack([sample.joints[:, :2] for sample in samples])
    valid = np.stack([sample.valid for sample in samples])
    torso = torso_size(target, valid, network.config.skeleton)
    counted = valid & np.isfinite(torso)[:, None] & np.isfinite(found.confidence)
    distance = np.linalg.norm(found.joints - target, axis=-1)
    right = (distance <= PoseCriterion.CORRECT_WITHIN * torso[:, None])[counted]
    if right.all() or not right.any():
        raise PoseActError(
            f"calibration: of {len(right)} joints with a labelled torso, {int(right.sum())} are "
            "correct; give more people in more varied poses."
        )
    probability = found.confidence[counted].clip(1e-6, 1 - 1e-6)
    scale, shift = _fit(np.log(probability / (1 - probability)), right)
    old_scale, old_shift = head.calibration.tolist()
    head.calibration.copy_(torch.tensor((old_scale * scale, old_shift * scale + shift)))
    calibrated = 1 / (1 + ((1 - probability) / probability) ** scale * np.exp(-shift))
    return {
        "scale": scale,
        "shift": shift,
        "joints": len(right),
        "before": calibration_error(probability, right),
        "after": calibration_error(calibrated, right),
    }


def _fit(logits: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Scale and shift of the least cross-entropy."""
    given, target = torch.from_numpy(logits), torch.from_numpy(right).double()
    line = torch.tensor((1.0, 0.0), dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(line[0] * given + line[1], target)
        value.backward()
        return value

    optimiser.step(loss)
    scale, shift = line.tolist()
    return scale, shift
