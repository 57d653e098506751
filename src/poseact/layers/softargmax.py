"""From heat maps to coordinates and confidences, differentiably."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def spatial_softmax(logits: Tensor) -> Tensor:
    """Softmax over height and width together; ``(N, J, H, W)`` in and out."""
    return logits.flatten(2).softmax(-1).unflatten(2, logits.shape[2:])


def soft_argmax_2d(probabilities: Tensor) -> Tensor:
    """Expected position on the map: ``(N, J, H, W)`` to ``(N, J, 2)`` as (x, y) in [0, 1].

    The grid includes both ends: pixel i of N lies at i / (N - 1). CVPR 2018, the soft-argmax
    equations; here with the sums along each axis.
    """
    height, width = probabilities.shape[2:]
    like = {"dtype": probabilities.dtype, "device": probabilities.device}
    # No matrix product: automatic mixed precision would round it to half precision.
    x = (probabilities.sum(2) * torch.linspace(0, 1, width, **like)).sum(-1)
    y = (probabilities.sum(3) * torch.linspace(0, 1, height, **like)).sum(-1)
    return torch.stack((x, y), -1)


def spread_2d(probabilities: Tensor) -> Tensor:
    """Standard deviation of the position: ``(N, J, H, W)`` to ``(N, J, 2)`` along x and y.

    In the unit of :func:`soft_argmax_2d`. Wide where the joint's place is not sure.
    """
    spreads = []
    for marginal in (probabilities.sum(2), probabilities.sum(3)):
        grid = torch.linspace(0, 1, marginal.shape[-1]).to(marginal)
        mean = (marginal * grid).sum(-1, keepdim=True)
        spreads.append((marginal * (grid - mean).square()).sum(-1).sqrt())
    return torch.stack(spreads, -1)


def soft_argmax_1d(logits: Tensor, grid: Tensor) -> Tensor:
    """Expected depth: ``(N, D, J)`` logits and a ``(D,)`` grid to ``(N, J)``."""
    return (logits.softmax(1) * grid.unsqueeze(-1)).sum(1)


def gather_at_joints(heatmaps: Tensor, features: Tensor) -> Tensor:
    """Visual features weighted by each joint's probability map.

    ``(N, J, H, W)`` and ``(N, C, h, w)`` to ``(N, J, C)``: one contraction over the map, without
    the tiled Kronecker product that defines it (CVPR 2018, appearance-based recognition). Finer
    heat maps are first summed over the cells of the features.
    """
    if heatmaps.shape[2:] != features.shape[2:]:
        heatmaps = F.avg_pool2d(heatmaps, 2, ceil_mode=True, divisor_override=1)
    return heatmaps.flatten(2) @ features.flatten(2).transpose(1, 2)


def window_confidence(probabilities: Tensor) -> Tensor:
    """Largest sum of probability in a 2x2 window: ``(N, J, H, W)`` to ``(N, J)`` in (0, 1].

    The joint confidence of SPNet: near one where the map is one sharp peak.
    """
    height, width = probabilities.shape[2:]
    window = (min(2, height), min(2, width))
    sums = F.avg_pool2d(probabilities, window, stride=1, divisor_override=1)
    # Rounding may add up to a little more than one, which a cross-entropy refuses.
    return sums.amax((2, 3)).clamp_max(1)
