"""From heat maps to coordinates and confidences, differentiably."""

import torch
from torch import Tensor
from torch.nn import functional as F


def spatial_softmax(logits: Tensor) -> Tensor:
    """Softmax over height and width together; ``(N, J, H, W)`` in and out."""
    return logits.flatten(2).softmax(-1).unflatten(2, logits.shape[2:])


def marginals(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over height and over width: ``(N, J, H, W)`` to ``(N, J, W)`` and ``(N, J, H)``."""
    return probabilities.sum(2), probabilities.sum(3)


def soft_argmax_2d(probabilities: Tensor) -> Tensor:
    """Expected position on the map: ``(N, J, H, W)`` to ``(N, J, 2)`` as (x, y) in [0, 1].

    The grid includes both ends: pixel i of N lies at i / (N - 1). CVPR 2018, the soft-argmax
    equations; here with the sums along each axis.
    """
    axes = marginals(probabilities)
    # No matrix product: automatic mixed precision would round it to half precision.
    return torch.stack([(marginal * _grid(marginal)).sum(-1) for marginal in axes], -1)


def soft_argmax_at_peak(probabilities: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Expected position within ``cells`` cells of each map's peak, and the share that lies there.

    A second, distant peak cannot move it: a map with two peaks gives one of them, not the point
    between. The share ``(N, J)`` of the map's probability near the peak measures how certain the
    map is.
    """
    height, width = probabilities.shape[2:]
    maps = probabilities.flatten(2)
    # The peak's row, then its column: OpenVINO is slow to search a whole map.
    row = probabilities.amax(3, keepdim=True).argmax(2, keepdim=True)  # (N, J, 1, 1)
    column = probabilities.gather(2, row.expand(-1, -1, 1, width)).argmax(3, keepdim=True)
    offsets = torch.arange(-cells, cells + 1, device=probabilities.device)
    x, y = column + offsets, row + offsets.unsqueeze(-1)  # a row, a column
    inside = ((x >= 0) & (x < width)) & ((y >= 0) & (y < height))
    places = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    near = maps.gather(2, places.flatten(2)).unflatten(2, inside.shape[2:]) * inside
    share = near.sum((2, 3))
    across = (near * x).sum((2, 3)) / (share * (width - 1))
    down = (near * y).sum((2, 3)) / (share * (height - 1))
    return torch.stack((across, down), -1), share


def spread_2d(axes: tuple[Tensor, Tensor]) -> Tensor:
    """Standard deviation of the position along x and y, from the maps' marginals: ``(N, J, 2)``.

    In the unit of :func:`soft_argmax_2d`. Wide where the place of the joint is uncertain.
    """
    spreads: list[Tensor] = []
    for marginal in axes:
        grid = _grid(marginal)
        offset = grid - (marginal * grid).sum(-1, keepdim=True)
        spreads.append((marginal * offset.square()).sum(-1).sqrt())
    return torch.stack(spreads, -1)


def _grid(marginal: Tensor) -> Tensor:
    cells = marginal.shape[-1]
    return torch.linspace(0, 1, cells, dtype=marginal.dtype, device=marginal.device)


def soft_argmax_1d(logits: Tensor, grid: Tensor) -> Tensor:
    """Expected depth: ``(N, D, J)`` logits and a ``(D,)`` grid to ``(N, J)``.

    The soft-argmax of z (CVPR 2018, volumetric heat maps).
    """
    return (logits.softmax(1) * grid.unsqueeze(-1)).sum(1)


def gather_at_joints(heatmaps: Tensor, features: Tensor) -> Tensor:
    """Visual features weighted by each joint's probability map.

    ``(N, J, H, W)`` and ``(N, C, h, w)`` to ``(N, J, C)``: one contraction over the map, without
    the tiled Kronecker product that defines it (CVPR 2018, appearance-based recognition). Finer
    heat maps are first summed over the cells of the features.
    """
    while heatmaps.shape[2] > features.shape[2]:
        heatmaps = sum_cells(heatmaps)
    return heatmaps.flatten(2) @ features.flatten(2).transpose(1, 2)


def sum_cells(maps: Tensor) -> Tensor:
    """Sums over 2x2 cells: ``(N, J, H, W)`` to ``(N, J, ceil(H / 2), ceil(W / 2))``."""
    height, width = maps.shape[2:]
    if height % 2 or width % 2:
        maps = F.pad(maps, (0, width % 2, 0, height % 2))
    # In slices, for pooling is slow where every map is in one piece.
    rows = maps[:, :, ::2] + maps[:, :, 1::2]
    return rows[..., ::2] + rows[..., 1::2]


def window_confidence(probabilities: Tensor) -> Tensor:
    """Largest sum of probability in a 2x2 window: ``(N, J, H, W)`` to ``(N, J)`` in (0, 1].

    The joint confidence of SPNet: near one where the map is one sharp peak.
    """
    height, width = probabilities.shape[2:]
    window = (min(2, height), min(2, width))
    # Not by the pool's own divisor, which other runtimes do not know.
    sums = F.avg_pool2d(probabilities, window, stride=1) * (window[0] * window[1])
    # Rounding may add up to a little more than one, which a cross-entropy refuses.
    return sums.amax((2, 3)).clamp_max(1)
