"""Optimisers and schedules of the recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from poseact._utils.errors import PoseActError
from poseact.models.base import Network
from poseact.models.pose import learned_confidence
from poseact.models.pyramid_stem import PyramidEntry
from poseact.training.muon import Muon

if TYPE_CHECKING:
    from poseact.recipe import OptimiserSpec, ScheduleSpec


def make_optimiser(network: nn.Module, spec: OptimiserSpec) -> torch.optim.Optimizer:
    """The optimiser of a recipe, without weight decay for normalisations and biases."""
    if spec.name == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=spec.lr, alpha=0.9, eps=1e-7)
    if spec.name == "sgd":
        return torch.optim.SGD(
            network.parameters(), lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0
        )
    if spec.name == "muon":
        return Muon(network, spec.lr, spec.matrix_lr, weight_decay=spec.weight_decay)
    published = {id(p) for part in published_parts(network) for p in part.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        lr = (spec.stem_lr or spec.lr) if id(parameter) in published else spec.lr
        decay = spec.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": part, "lr": lr, "weight_decay": d} for (lr, d), part in groups.items()]
    )


def freeze_stages(network: nn.Module, count: int) -> None:
    """Freeze the first stages of a pyramid stem.

    Raises:
        PoseActError: The network has no pyramid stem, or not as many stages.
    """
    if count == 0:
        return
    stem = getattr(network, "stem", None)
    if not isinstance(stem, PyramidEntry) or count > len(stem.trunk.stages):
        raise PoseActError(
            f"frozen_stages={count} was given; give 0, or 1 to 7 for a network with a pyramid stem."
        )
    for part in (stem.trunk.conv, *list(stem.trunk.stages)[:count]):
        part.requires_grad_(False)


def learned_parts(network: Network, tasks: Sequence[str]) -> list[nn.Module]:
    """The modules that are trained where poses are not learned.

    Raises:
        PoseActError: The confidence is to be learned, but the network has none that can be.
    """
    parts = network.action_parts() if "action" in tasks else []
    if "confidence" not in tasks:
        return parts
    confidence = learned_confidence(network)
    if confidence is None:
        raise PoseActError(
            "learn: confidence was given for a network whose confidence is not learned; give a "
            "network with a pyramid stem, such as small."
        )
    return [*parts, confidence]


def published_parts(network: nn.Module) -> list[nn.Module]:
    """The modules of a pyramid stem that start from published weights."""
    stem = getattr(network, "stem", None)
    return [stem.trunk, stem.head] if isinstance(stem, PyramidEntry) else []


def rate_factor(step: int, steps: float, spec: ScheduleSpec) -> float:
    """Factor on the learning rate at a step of ``steps``."""
    warm_up = min((step + 1) / spec.warm_up, 1.0) if spec.warm_up else 1.0
    share = min(step / steps, 1.0)
    if spec.name == "steps":
        return warm_up * spec.factor ** sum(share >= milestone for milestone in spec.milestones)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return warm_up * (spec.floor + (1 - spec.floor) * cosine)


def average_into(decay: float, averages: list[Tensor], values: list[Tensor], updates: int) -> None:
    """Update moving averages in place, whose decay grows from 0.1 to ``decay`` over the updates.

    Args:
        decay: The largest one.
        averages: Of one type; those of whole numbers take the values.
        values: The new ones.
        updates: How many there were before.
    """
    if not averages[0].is_floating_point():
        decay = 0.0
    warm = min(decay, (1 + updates) / (10 + updates))
    get_ema_multi_avg_fn(warm)(averages, values, updates)
