"""Batch normalisation over the batches of all processes of a distributed training."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose statistics in training are those of all processes together.

    ``torch.nn.SyncBatchNorm`` does the same on GPUs alone. Every process needs a batch of the same
    shape.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> SyncedBatchNorm2d:
        """The same normalisation, synced; parameters and statistics are shared with it."""
        synced = cls(norm.num_features, norm.eps, norm.momentum, norm.affine)
        synced.__dict__.update(norm.__dict__)
        return synced

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if not self.training or not distributed.is_initialized():
            return super().forward(input)
        processes, values = distributed.get_world_size(), input.float()
        sums = torch.stack((values.mean((0, 2, 3)), values.square().mean((0, 2, 3))))
        mean, square = all_reduce(sums) / processes
        variance = square - mean.square()
        self._remember(mean.detach(), variance.detach(), processes * input[:, 0].numel())
        factor = (variance + self.eps).rsqrt()
        if self.weight is not None:
            factor = factor * self.weight
        shift = self.bias - mean * factor
        shaped = (1, -1, 1, 1)
        return (values * factor.view(shaped) + shift.view(shaped)).to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is not None and self.running_var is not None:
            unbiased = variance * count / max(count - 1, 1)
            self.running_mean.lerp_(mean, self.momentum or 0.0)
            self.running_var.lerp_(unbiased, self.momentum or 0.0)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def sync_norms(network: nn.Module) -> None:
    """Let every batch normalisation of a network see the batches of all processes."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SyncedBatchNorm2d.of(child))
