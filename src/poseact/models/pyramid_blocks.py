"""Parts of SPNet (TPAMI 2020): entry flow, scaling units, prediction blocks of both tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact.layers.conv import BatchNorm2d, Conv2d, SeparableConv2d, upsample_to
from poseact.layers.modules import ModuleList
from poseact.layers.pooling import max_min_pool, max_pool
from poseact.models.outputs import Pose

if TYPE_CHECKING:
    from poseact.models.pyramid import SPNetConfig


class Residual(nn.Module):
    """Pre-activation residual unit with dense convolutions: 1x1 bottleneck, then ``kernel``.

    Where the number of channels changes, both branches start from the normalised input.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, divisor: int) -> None:
        super().__init__()
        middle = out_channels // divisor
        self.bn1 = BatchNorm2d(in_channels)
        self.conv1 = Conv2d(in_channels, middle, 1)
        self.bn2 = BatchNorm2d(middle)
        self.conv2 = Conv2d(middle, out_channels, kernel)
        self.skip = None if in_channels == out_channels else Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        main = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return main + (x if self.skip is None else self.skip(activated))


class SeparableResidualUnit(nn.Module):
    """Pre-activation residual unit with one separable convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.bn = BatchNorm2d(in_channels)
        self.conv = SeparableConv2d(in_channels, out_channels, kernel)
        self.skip = None if in_channels == out_channels else Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn(x))
        return self.conv(activated) + (x if self.skip is None else self.skip(activated))


class DownscalingUnit(SeparableResidualUnit):
    """Halve the resolution, and add the lateral features of the previous pyramid, if any."""

    def forward(self, x: Tensor, lateral: Tensor | None) -> Tensor:
        x = super().forward(max_pool(x))
        return x if lateral is None else x + lateral


class UpscalingUnit(SeparableResidualUnit):
    """Upsample to the resolution of the previous pyramid's lateral features, and add them."""

    def forward(self, x: Tensor, lateral: Tensor) -> Tensor:
        return super().forward(upsample_to(x, lateral.shape[2:])) + lateral


class EntryFlow(nn.Module):
    """Image ``(N, 3, H, W)`` to features ``(N, C, H / 8, W / 8)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(3, 64, 7, stride=2)
        self.residual0 = Residual(64, 96, 3, divisor=2)
        self.residual1 = Residual(96, 192, 3, divisor=2)
        self.residual2 = Residual(192, 192, 3, divisor=2)
        self.residual3 = Residual(192, channels, 3, divisor=2)
        self.residual4 = Residual(channels, channels, 3, divisor=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual0(self.conv(x))
        x = self.residual2(self.residual1(max_pool(x, kernel=3)))
        return self.residual4(self.residual3(max_pool(x)))


class ScaleMaps(NamedTuple):
    """Maps of one prediction block, logits ``(N, J, H, W)``.

    Attributes:
        pose: Where each joint is.
        depth: Its depth, None in 2D.
        action: The replica of ``pose`` that guides the action prediction, None unless decoupled.
    """

    pose: Tensor
    depth: Tensor | None
    action: Tensor | None


class ScalePredictionBlock(nn.Module):
    """Pose prediction at one level of a pyramid.

    ``(N, C, H, W)`` features to features of the same shape with the maps re-injected, and the maps.
    With ``decoupled``, the action prediction has maps of its own, which are not re-injected. The
    last block of a network has no re-injection, because nothing follows it.
    """

    def __init__(self, config: SPNetConfig, channels: int, decoupled: bool, last: bool) -> None:
        super().__init__()
        joints, depth = config.num_joints, config.depth
        self.residual = SeparableResidualUnit(channels, channels, config.kernel)
        self.bn1 = BatchNorm2d(channels)
        self.conv = SeparableConv2d(channels, channels, config.kernel)
        self.bn2 = BatchNorm2d(channels)
        self.to_maps = Conv2d(channels, joints, 1)
        self.to_action_maps = Conv2d(channels, joints, 1) if decoupled else None
        self.to_depth = Conv2d(channels, joints, 1) if depth else None
        self.forward_maps = None if last else Conv2d(channels, joints, 1)
        self.reinject_maps = None if last else Conv2d(2 * joints, channels, 1)
        self.reinject_depth = Conv2d(joints, channels, 1) if depth and not last else None

    def forward(self, x: Tensor) -> tuple[Tensor, ScaleMaps]:
        x = self.residual(x)
        refined = self.conv(F.relu(self.bn1(x)))
        activated = F.relu(self.bn2(refined))
        pose = self.to_maps(activated)
        depth = None if self.to_depth is None else self.to_depth(activated)
        action = None if self.to_action_maps is None else self.to_action_maps(activated)
        x = x + refined
        if self.forward_maps is not None and self.reinject_maps is not None:
            joined = torch.cat((self.forward_maps(activated), pose), 1)
            x = x + self.reinject_maps(F.relu(joined))
        if self.reinject_depth is not None and depth is not None:
            x = x + self.reinject_depth(depth)
        return x, ScaleMaps(pose, depth, action)


class EarlyFusionBlock(nn.Module):
    """Action prediction at one level: pose and appearance are fused before they are refined.

    ``(B, T, J, D)`` weighted joints, ``(B, T, J, C)`` appearance and the features of the action
    block before (None for the first) to new features and class maps.
    """

    def __init__(self, config: SPNetConfig, visual_channels: int, first: bool, last: bool) -> None:
        super().__init__()
        channels = config.action_channels
        widths = (channels // 16, channels // 8, channels // 4)
        self.pose_entry: ModuleList[Conv2d] = ModuleList(
            Conv2d(config.dims, width, kernel)
            for width, kernel in zip(widths, ((3, 1), (3, 3), (3, 5)), strict=True)
        )
        self.pose_residual = Residual(sum(widths), channels, 3, divisor=2)
        self.appearance_entry = Conv2d(visual_channels, channels, 1)
        self.fuse = Residual((2 if first else 3) * channels, channels, 3, divisor=4)
        self.bn1 = BatchNorm2d(channels)
        self.conv = Conv2d(channels, channels, 3)
        self.bn2 = BatchNorm2d(channels)
        self.to_maps = Conv2d(channels, config.num_actions, 3)
        self.reinjection = None if last else Conv2d(config.num_actions, channels, 3)

    def forward(
        self, joints: Tensor, appearance: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        pose = joints.permute(0, 3, 1, 2)  # (B, D, T, J)
        pose = self.pose_residual(torch.cat([conv(pose) for conv in self.pose_entry], 1))
        visual = self.appearance_entry(appearance.permute(0, 3, 1, 2))
        streams = [pool_clip(pose), pool_clip(visual)]
        if previous is not None:
            streams.append(previous)
        x = self.fuse(torch.cat(streams, 1))
        refined = self.conv(F.relu(self.bn1(x)))
        maps = self.to_maps(F.relu(self.bn2(max_min_pool(refined))))
        x = x + refined
        if self.reinjection is not None:
            x = x + self.reinjection(F.relu(upsample_to(maps, refined.shape[2:])))
        return x, maps


def pool_clip(x: Tensor) -> Tensor:
    """Halve the joints of ``(B, C, T, J)``, and the time as well for clips of 16 frames and more.

    Both are first padded with zeros, so that they halve evenly twice.
    """
    frames, joints = x.shape[2:]
    time_stride = 2 if frames >= 16 else 1
    time_pad, joint_pad = -frames % (2 * time_stride), -joints % 4
    padded = F.pad(
        x,
        (joint_pad // 2, joint_pad - joint_pad // 2, time_pad // 2, time_pad - time_pad // 2),
    )
    return max_pool(padded, kernel=2, stride=(time_stride, 2))


class ActionLevel(nn.Module):
    """Action prediction at one level of a pyramid, on top of its pose prediction."""

    def __init__(self, config: SPNetConfig, visual_channels: int, first: bool, last: bool) -> None:
        super().__init__()
        channels = config.action_channels
        self.transition = None if first else SeparableResidualUnit(channels, channels, 3)
        self.block = EarlyFusionBlock(config, visual_channels, first, last)

    def forward(
        self,
        pose: Pose,
        appearance: Tensor,
        previous: Tensor | None,
        lateral: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """New action features and class maps.

        Args:
            pose: The pose that guides the prediction.
            appearance: ``(B, T, J, C)`` visual features gathered at its joints.
            previous: Features of the action level before, None for the first.
            lateral: Those of the last action level of this resolution, if there was one.
        """
        if self.transition is not None:
            previous = self.transition(previous)
        if previous is not None and lateral is not None:
            previous = previous + lateral
        return self.block(pose.joints * pose.confidence.unsqueeze(-1), appearance, previous)
