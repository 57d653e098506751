"""SPNet (TPAMI 2020): pyramids down and up, with pose and action predicted at every level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.layers.conv import BatchNorm2d, Conv2d, SeparableConv2d, upsample_to
from poseact.layers.modules import ModuleList
from poseact.layers.pooling import max_min_pool, max_pool
from poseact.layers.softargmax import (
    gather_at_joints,
    soft_argmax_2d,
    spatial_softmax,
    window_confidence,
)
from poseact.layers.time_folding import fold_time, unfold_time
from poseact.models.action import classify
from poseact.models.base import Network
from poseact.models.config import NetworkConfig, checked_blocks, checked_frames
from poseact.models.multitask import MAP_STRIDE
from poseact.models.outputs import Action, Pose, Prediction


@dataclass(frozen=True)
class SPNetConfig(NetworkConfig):
    """Shape of an :class:`SPNet`; without labels it predicts poses only."""

    pyramids: int = 2
    """Number of pyramids; odd ones go down in resolution, even ones up."""
    action_pyramids: tuple[int, ...] = ()
    """Which pyramids, counted from 1, also predict actions."""
    depth: bool = False
    """Predict z as well."""
    decoupled: bool = False
    """Give the action streams probability maps of their own (replica)."""
    action_channels: int = 160
    """Width of the action blocks."""
    levels: int = 4
    """Number of resolutions."""
    channels: int = 288
    """Width at the highest resolution."""
    growth: int = 96
    """Added width per level."""
    kernel: int = 5
    """Size of the separable convolutions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels and not (
            self.action_pyramids and set(self.action_pyramids) <= set(range(1, self.pyramids + 1))
        ):
            raise PoseActError(
                f"action_pyramids={self.action_pyramids!r} was given for {self.num_actions} "
                f"actions; give at least one number from 1 to {self.pyramids}, the pyramids."
            )

    def lowest(self) -> dict[str, int]:
        """Smallest value of the numbers whose smallest is not 1."""
        # The lowest level needs 2 x 2 cells, and the pose entry a sixteenth of the action width.
        coarsest = 2 ** min(self.levels - 1, 9) if isinstance(self.levels, int) else 1
        return {"image_size": 2 * MAP_STRIDE * coarsest, "levels": 2, "action_channels": 16}

    @property
    def dims(self) -> int:
        """Coordinates per joint."""
        return 3 if self.depth else 2

    def build(self) -> SPNet:
        """A network of this shape with fresh weights."""
        return SPNet(self)


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


class ScaledMaps(NamedTuple):
    """Maps of one prediction block, ``(N, J, H, W)``; depth only in 3D."""

    pose: Tensor
    action: Tensor
    depth: Tensor | None


def read_pose(logits: Tensor, depth: Tensor | None, clip_length: int) -> Pose:
    """Maps to joints and confidence: soft-argmax, and z as the depth map's expectation."""
    heatmaps = spatial_softmax(logits)
    joints = soft_argmax_2d(heatmaps)
    if depth is not None:
        z = (depth.sigmoid() * heatmaps).sum((2, 3))
        joints = torch.cat((joints, z.unsqueeze(-1)), -1)
    return Pose(
        unfold_time(joints, clip_length),
        unfold_time(window_confidence(heatmaps), clip_length),
        unfold_time(heatmaps, clip_length),
    )


class ScalePredictionBlock(nn.Module):
    """Pose prediction at one level of a pyramid.

    ``(N, C, H, W)`` features to re-injected features of the same shape (None after the last block,
    which nothing follows) and the maps. A decoupled block has a replica of the last convolution,
    whose maps guide the action streams alone.
    """

    def __init__(
        self, channels: int, num_joints: int, kernel: int, depth: bool, decoupled: bool, last: bool
    ) -> None:
        super().__init__()
        self.residual = SeparableResidualUnit(channels, channels, kernel)
        self.bn1 = BatchNorm2d(channels)
        self.conv = SeparableConv2d(channels, channels, kernel)
        self.bn2 = BatchNorm2d(channels)
        self.to_maps = Conv2d(channels, num_joints, 1)
        self.to_action_maps = Conv2d(channels, num_joints, 1) if decoupled else None
        self.to_depth = Conv2d(channels, num_joints, 1) if depth else None
        self.forward_maps = None if last else Conv2d(channels, num_joints, 1)
        self.reinject_maps = None if last else Conv2d(2 * num_joints, channels, 1)
        self.reinject_depth = Conv2d(num_joints, channels, 1) if depth and not last else None

    def forward(self, x: Tensor) -> tuple[Tensor | None, ScaledMaps]:
        x = self.residual(x)
        refined = self.conv(F.relu(self.bn1(x)))
        activated = F.relu(self.bn2(refined))
        pose = self.to_maps(activated)
        action = pose if self.to_action_maps is None else self.to_action_maps(activated)
        depth = None if self.to_depth is None else self.to_depth(activated)
        maps = ScaledMaps(pose, action, depth)
        if self.forward_maps is None or self.reinject_maps is None:
            return None, maps
        joined = torch.cat((self.forward_maps(activated), pose), 1)
        x = x + refined + self.reinject_maps(F.relu(joined))
        if self.reinject_depth is not None and depth is not None:
            x = x + self.reinject_depth(depth)
        return x, maps


class EarlyFusionBlock(nn.Module):
    """Action prediction at one level: pose and appearance are joined before they are refined.

    ``(B, T, J, D)`` weighted joints, ``(B, T, J, C)`` appearance and the action features so far to
    new action features (None after the last block) and class maps.
    """

    def __init__(
        self,
        dims: int,
        visual_channels: int,
        channels: int,
        num_actions: int,
        first: bool,
        last: bool,
    ) -> None:
        super().__init__()
        widths = (channels // 16, channels // 8, channels // 4)
        self.pose_entry: ModuleList[Conv2d] = ModuleList(
            Conv2d(dims, width, kernel)
            for width, kernel in zip(widths, ((3, 1), (3, 3), (3, 5)), strict=True)
        )
        self.pose_residual = Residual(sum(widths), channels, 3, divisor=2)
        self.appearance_entry = Conv2d(visual_channels, channels, 1)
        self.fuse = Residual((2 if first else 3) * channels, channels, 3, divisor=4)
        self.bn1 = BatchNorm2d(channels)
        self.conv = Conv2d(channels, channels, 3)
        self.bn2 = BatchNorm2d(channels)
        self.to_maps = Conv2d(channels, num_actions, 3)
        self.reinjection = None if last else Conv2d(num_actions, channels, 3)

    def forward(
        self, joints: Tensor, appearance: Tensor, previous: Tensor | None
    ) -> tuple[Tensor | None, Tensor]:
        pose = joints.permute(0, 3, 1, 2)  # (B, D, T, J)
        pose = self.pose_residual(torch.cat([conv(pose) for conv in self.pose_entry], 1))
        visual = self.appearance_entry(appearance.permute(0, 3, 1, 2))
        streams = [pool_clip(pose), pool_clip(visual)]
        if previous is not None:
            streams.append(previous)
        x = self.fuse(torch.cat(streams, 1))
        refined = self.conv(F.relu(self.bn1(x)))
        maps = self.to_maps(F.relu(self.bn2(max_min_pool(refined))))
        if self.reinjection is None:
            return None, maps
        again = self.reinjection(F.relu(upsample_to(maps, refined.shape[2:])))
        return x + refined + again, maps


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


class Level(nn.Module):
    """One step of a pyramid: new resolution, pose prediction and, perhaps, action prediction."""

    def __init__(
        self,
        transition: SeparableResidualUnit,
        block: ScalePredictionBlock,
        action_transition: SeparableResidualUnit | None,
        action_block: EarlyFusionBlock | None,
    ) -> None:
        super().__init__()
        self.transition = transition
        self.block = block
        self.action_transition = action_transition
        self.action_block = action_block


class SPNet(Network):
    """Pose and action at every level of a row of pyramids (TPAMI 2020).

    A level's features receive those of the same level from the pyramid before (lateral addition).
    The appearance of a joint is gathered from the features with which its level was first reached.
    """

    def __init__(self, config: SPNetConfig) -> None:
        super().__init__(config)
        self.config = config
        self.entry = EntryFlow(config.channels)
        self.path = [
            level
            for pyramid in range(config.pyramids)
            for level in (
                range(1, config.levels) if pyramid % 2 == 0 else range(config.levels - 2, -1, -1)
            )
        ]
        self.levels: ModuleList[Level] = ModuleList(
            self._level(step) for step in range(len(self.path))
        )

    def _level(self, step: int) -> Level:
        config = self.config
        widths = [config.channels + i * config.growth for i in range(config.levels)]
        steps_per_pyramid = config.levels - 1
        acts = [
            s
            for s in range(len(self.path))
            if config.num_actions and s // steps_per_pyramid + 1 in config.action_pyramids
        ]
        source, level = (0, *self.path)[step], self.path[step]
        acting = step in acts
        return Level(
            SeparableResidualUnit(widths[source], widths[level], config.kernel),
            ScalePredictionBlock(
                widths[level],
                config.num_joints,
                config.kernel,
                config.depth,
                decoupled=config.decoupled and acting,
                last=step == len(self.path) - 1,
            ),
            SeparableResidualUnit(config.action_channels, config.action_channels, 3)
            if acting and step > acts[0]
            else None,
            EarlyFusionBlock(
                config.dims,
                widths[level],
                config.action_channels,
                config.num_actions,
                first=step == acts[0],
                last=step == acts[-1],
            )
            if acting
            else None,
        )

    @property
    def num_blocks(self) -> int:
        """Number of pose prediction blocks, one per level of every pyramid."""
        return len(self.levels)

    def action_parts(self) -> list[nn.Module]:
        """The action blocks, and the replicas of the maps that guide them."""
        parts = [
            part
            for level in self.levels
            for part in (level.action_transition, level.action_block, level.block.to_action_maps)
        ]
        return [part for part in parts if part is not None]

    @torch.no_grad()
    def copy_pose_maps(self) -> None:
        """Let the replicas begin as copies of the pose maps, as the authors do before training."""
        for level in self.levels:
            if level.block.to_action_maps is not None:
                level.block.to_action_maps.load_state_dict(level.block.to_maps.state_dict())

    def forward(self, frames: Tensor, num_blocks: int | None = None) -> Prediction:
        """Predict poses and, if the network has labels, actions.

        Args:
            frames: ``(B, T, 3, H, W)`` RGB in [-1, 1]; a still is a clip of one frame.
            num_blocks: Stop after this many prediction blocks (default all). Actions come from the
                action blocks reached by then, so there may be none.

        Raises:
            PoseActError: The frames have another shape or type, or ``num_blocks`` is out of range.
        """
        count = checked_blocks(num_blocks, self.num_blocks)
        clip_length = checked_frames(frames).shape[1]
        x = self.entry(fold_time(frames).contiguous(memory_format=torch.channels_last))
        first_reached, lateral = {0: x}, {0: x}
        action_lateral: dict[int, Tensor] = {}
        action_features: Tensor | None = None
        action_pose = appearance = None
        visual = x
        poses: list[Pose] = []
        fused: list[Action] = []
        previous = 0
        for step, (index, level) in enumerate(zip(self.path, self.levels, strict=True)):
            if step == count:
                break
            going_down = index > previous
            x = max_pool(x) if going_down else upsample_to(x, first_reached[index].shape[2:])
            x = level.transition(x)
            previous = index
            first_reached.setdefault(index, x)
            if index in lateral:
                x = x + lateral[index]
            x, maps = level.block(x)
            lateral[index] = x
            poses.append(read_pose(maps.pose, maps.depth, clip_length))
            visual = first_reached[index]
            if level.action_block is None:
                continue
            action_pose = (
                read_pose(maps.action, maps.depth, clip_length)
                if maps.action is not maps.pose
                else poses[-1]
            )
            appearance = unfold_time(
                gather_at_joints(fold_time(action_pose.heatmaps), visual), clip_length
            )
            if level.action_transition is not None:
                action_features = level.action_transition(action_features)
            if action_features is not None and index in action_lateral:
                action_features = action_features + action_lateral[index]
            action_features, action_maps = level.action_block(
                action_pose.joints * action_pose.confidence.unsqueeze(-1),
                appearance,
                action_features,
            )
            if action_features is not None:
                action_lateral[index] = action_features
            fused.append(classify(action_maps))
        actions = {"fused": fused} if fused else {}
        return Prediction(poses, actions, unfold_time(visual, clip_length), action_pose, appearance)
