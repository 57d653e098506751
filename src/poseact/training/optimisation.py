"""Optimisers and schedules of the recipes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from poseact.recipe import OptimiserSpec, ScheduleSpec
from poseact.training.muon import Muon


def make_optimiser(network: nn.Module, spec: OptimiserSpec) -> torch.optim.Optimizer:
    """The optimiser of a recipe; normalisations and biases do not decay."""
    if spec.name == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=spec.lr, alpha=0.9, eps=1e-7)
    if spec.name == "sgd":
        return torch.optim.SGD(
            network.parameters(), lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0
        )
    if spec.name == "muon":
        return Muon(network, spec.lr, spec.matrix_lr, weight_decay=spec.weight_decay)
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": spec.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=spec.lr)


def rate_factor(step: int, steps: int, spec: ScheduleSpec) -> float:
    """What the learning rate is multiplied by at a step of ``steps``."""
    warm_up = min((step + 1) / spec.warm_up, 1.0) if spec.warm_up else 1.0
    share = min(step / steps, 1.0)
    if spec.name == "steps":
        return warm_up * spec.factor ** sum(share >= milestone for milestone in spec.milestones)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return warm_up * (spec.floor + (1 - spec.floor) * cosine)


@torch.no_grad()
def warm_average(decay: float, average: Tensor, value: Tensor, updates: Tensor | int) -> Tensor:
    """Next value of a moving average whose decay grows from 0.1 to ``decay`` over the updates."""
    if not average.is_floating_point():
        return value
    count = int(updates)
    return average.lerp(value, 1 - min(decay, (1 + count) / (10 + count)))
