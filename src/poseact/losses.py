"""Training losses as weighted sums of named terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.metrics import torso_indices
from poseact.models.base import Network
from poseact.models.outputs import Action, Pose, Prediction
from poseact.models.pose import learned_confidence
from poseact.skeleton import Skeleton

# Far below relevant probabilities, far above the precision of float32.
MIN_PROBABILITY = 1e-12


class PoseTargets(NamedTuple):
    """Targets of a pose prediction.

    Attributes:
        joints: ``(B, T, J, 2 or 3)`` in [0, 1] of the crop; anything where invalid.
        valid: ``(B, T, J)`` boolean; labelled and inside the crop.
        known: ``(B, T, J)`` boolean; whether being inside the crop is known at all.
        depth_valid: ``(B, T, J)`` boolean; the depth is labelled.
    """

    joints: Tensor
    valid: Tensor
    known: Tensor
    depth_valid: Tensor

    def to(self, device: torch.device) -> PoseTargets:
        return PoseTargets(*(part.to(device) for part in self))


class PoseCriterion(nn.Module):
    """Loss on the poses of every prediction block, each term summed over the blocks.

    Terms, each a mean over the clips that have anything to compare:

    - ``joints``: elastic net ``|d| + d^2`` per valid coordinate x, y (the authors'
      ``pose_regression_loss``);
    - ``depth``: the same for z, 0 for a 2D network;
    - ``confidence``: binary cross-entropy over the known joints, against "inside the crop" or, with
      a skeleton, against "correct": within ``CORRECT_WITHIN`` of the torso's diagonal, where a
      torso is known;
    - ``heatmap``: cross-entropy of the heat map against a Gaussian around the valid joint. The
      authors have no such term; it tells every cell of the map at once where the joint is, where
      the soft-argmax alone only pulls at the mean, and makes short trainings from scratch better.

    Args:
        weights: Factor of each term; the defaults where a term is not named.
        sigma: Width of the Gaussian in cells of the heat map.
        skeleton: See :func:`calibrated_skeleton`; with it, confidence is trained as a probability.

    Raises:
        PoseActError: A weight's name is unknown or its value negative, or sigma is not positive.
    """

    DEFAULT_WEIGHTS: Mapping[str, float] = {
        "joints": 1.0,
        "depth": 1.0,
        "confidence": 0.05,
        "heatmap": 0.5,
    }

    CORRECT_WITHIN = 0.2
    """Share of the torso's diagonal, as in the PCK of Leeds Sports Pose."""

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        sigma: float = 1.0,
        skeleton: Skeleton | None = None,
    ) -> None:
        super().__init__()
        self.diagonals = [] if skeleton is None else torso_indices(skeleton)
        for name, weight in (weights or {}).items():
            if name not in self.DEFAULT_WEIGHTS or weight < 0:
                raise PoseActError(
                    f"Loss weight {name}={weight} was given; give numbers from 0 for any of "
                    f"{', '.join(self.DEFAULT_WEIGHTS)}."
                )
        if sigma <= 0:
            raise PoseActError(f"sigma={sigma} was given; give a positive width in cells.")
        self.weights = {**self.DEFAULT_WEIGHTS, **(weights or {})}
        self.sigma = sigma

    def forward(self, prediction: Prediction, targets: PoseTargets) -> dict[str, Tensor]:
        """The unweighted terms by name, scalars.

        Raises:
            PoseActError: The targets are for another number of clips, frames or joints.
        """
        totals: dict[str, Tensor] = {}
        for pose in prediction.poses:
            for name, value in self.block_terms(pose, targets).items():
                totals[name] = totals[name] + value if name in totals else value
        return totals

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()

    def block_terms(self, pose: Pose, targets: PoseTargets) -> dict[str, Tensor]:
        """The terms of one prediction block."""
        predicted, expected = pose.joints, targets.joints
        if predicted.shape[:3] != expected.shape[:3]:
            raise PoseActError(
                f"Targets of shape {tuple(expected.shape)} were given for predicted joints of "
                f"shape {tuple(predicted.shape)}; give as many clips, frames and joints."
            )
        valid = targets.valid
        plane = elastic_net(predicted[..., :2], expected[..., :2], valid.unsqueeze(-1))
        if predicted.shape[-1] == 3 and expected.shape[-1] == 3:
            depth = elastic_net(predicted[..., 2], expected[..., 2], targets.depth_valid & valid)
        else:
            depth = torch.zeros_like(plane)
        correct, known = self.correctness(predicted, targets)
        confidence = F.binary_cross_entropy(
            pose.confidence, correct.to(pose.confidence.dtype), reduction="none"
        )
        return {
            "joints": plane,
            "depth": depth,
            "confidence": clip_mean(confidence, known),
            "heatmap": self.heatmap_term(pose.heatmaps, expected, valid),
        }

    def correctness(self, predicted: Tensor, targets: PoseTargets) -> tuple[Tensor, Tensor]:
        """Whether each joint is predicted correctly, and where that is known: ``(B, T, J)``."""
        if not self.diagonals:
            return targets.valid, targets.known
        plane, known = targets.joints[..., :2], targets.known
        torso = torch.full_like(plane[..., 0, 0], torch.nan)  # (B, T)
        for hip, shoulder in reversed(self.diagonals):
            length = (plane[..., hip, :] - plane[..., shoulder, :]).norm(dim=-1)
            torso = torch.where(known[..., hip] & known[..., shoulder], length, torso)
        distance = (predicted.detach()[..., :2] - plane).norm(dim=-1)
        correct = targets.valid & (distance <= self.CORRECT_WITHIN * torso.unsqueeze(-1))
        return correct, known & torso.isfinite().unsqueeze(-1)

    def heatmap_term(self, heatmaps: Tensor, joints: Tensor, valid: Tensor) -> Tensor:
        """Cross-entropy of ``(B, T, J, H, W)`` maps against Gaussians around the joints."""
        height, width = heatmaps.shape[-2:]
        joints = torch.where(valid.unsqueeze(-1), joints, 0.5)
        across = gaussian(joints[..., 0], width, self.sigma)
        down = gaussian(joints[..., 1], height, self.sigma)
        log_maps = heatmaps.clamp_min(MIN_PROBABILITY).log()
        cross_entropy = -torch.einsum("btjhw,btjh,btjw->btj", log_maps, down, across)
        return clip_mean(cross_entropy, valid)


def calibrated_skeleton(network: Network) -> Skeleton | None:
    """The skeleton of a network whose confidence is the probability of being correct, else None."""
    return None if learned_confidence(network) is None else network.config.skeleton


class ActionCriterion(nn.Module):
    """Cross-entropy of every block of every stream and of the fusion (CVPR 2018).

    Args:
        label_smoothing: Share of the target that is spread evenly over all actions.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(
        self, actions: Mapping[str, Sequence[Action]], targets: Tensor
    ) -> dict[str, Tensor]:
        """The terms by stream, scalars; each is the sum over the stream's blocks.

        Args:
            actions: As ``recognise`` returns them. The ``fused`` answer of one stream alone is that
                stream's last block and counts once.
            targets: ``(B,)`` indices of the true actions.
        """
        streams = [name for name in actions if name != "fused"]
        counted = streams if len(streams) == 1 else [*streams, "fused"]
        return {
            name: torch.stack([self.block_term(block, targets) for block in actions[name]]).sum()
            for name in counted
        }

    def block_term(self, action: Action, targets: Tensor) -> Tensor:
        """Cross-entropy of one block, averaged over the clips."""
        # Log-probabilities are logits of themselves.
        return F.cross_entropy(
            action.log_probabilities, targets, label_smoothing=self.label_smoothing
        )

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The sum of the terms: every output weighs the same, as in the paper."""
        return torch.stack(list(terms.values())).sum()


class MultitaskCriterion(nn.Module):
    """The losses of poses and of actions together.

    Terms: those of the pose criterion, and ``action``, the sum of the action criterion's over the
    clips that have an action; 0 for a batch without any.

    Args:
        pose: None where poses are not learned.
        action: None where actions are not learned.
        action_weight: Factor of the term ``action``.
    """

    def __init__(
        self, pose: PoseCriterion | None, action: ActionCriterion | None, action_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.pose = pose
        self.action = action
        self.action_weight = action_weight

    def forward(
        self, prediction: Prediction, targets: PoseTargets, actions: Tensor, has_action: Tensor
    ) -> dict[str, Tensor]:
        """The unweighted terms by name, scalars.

        Args:
            prediction: Of B clips.
            targets: Their poses.
            actions: ``(B,)`` numbers of their actions.
            has_action: ``(B,)`` boolean; the other clips are ignored.
        """
        terms = {} if self.pose is None else self.pose(prediction, targets)
        if self.action is not None:
            terms["action"] = self.action_term(prediction, actions, has_action)
        return terms

    def action_term(self, prediction: Prediction, actions: Tensor, has_action: Tensor) -> Tensor:
        if self.action is None or not has_action.any():
            # From the prediction, so that a batch without actions has a gradient too.
            return 0 * prediction.pose.joints.sum()
        chosen = {
            stream: [Action(*(part[has_action] for part in block)) for block in blocks]
            for stream, blocks in prediction.actions.items()
        }
        return self.action.total(self.action(chosen, actions[has_action]))

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        poses = {name: value for name, value in terms.items() if name != "action"}
        parts = [] if self.pose is None else [self.pose.total(poses)]
        if self.action is not None:
            parts.append(self.action_weight * terms["action"])
        return torch.stack(parts).sum()


def gaussian(position: Tensor, cells: int, sigma: float) -> Tensor:
    """Gaussians over a row of cells, ``(...,)`` to ``(..., cells)``; each sums to one.

    Cell i lies at i / (cells - 1), as in the soft-argmax.
    """
    grid = torch.arange(cells, device=position.device, dtype=position.dtype)
    distance = (position * (cells - 1)).unsqueeze(-1) - grid
    return torch.softmax(-0.5 * (distance / sigma).square(), -1)


def elastic_net(predicted: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
    """``|d| + d^2`` averaged as by `clip_mean`; the mask is broadcast to the coordinates."""
    mask = mask.expand_as(predicted)
    difference = torch.where(mask, predicted - expected, 0.0)
    return clip_mean(difference.abs() + difference.square(), mask)


def clip_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the masked values of each clip, then over the clips that have any; else 0.

    ``(B, ...)`` values and boolean mask of one shape.
    """
    counts = mask.flatten(1).sum(1)
    sums = torch.where(mask, values, 0.0).flatten(1).sum(1)
    return (sums / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)
