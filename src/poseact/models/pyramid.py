"""SPNet (TPAMI 2020): pyramids down and up, with pose and action predicted at every level."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseact._utils.errors import PoseActError
from poseact.layers.modules import ModuleList
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
from poseact.models.pyramid_blocks import (
    ActionLevel,
    DownscalingUnit,
    EntryFlow,
    ScaleMaps,
    ScalePredictionBlock,
    UpscalingUnit,
)


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
                f"actions; give at least one pyramid by its number, from 1 to {self.pyramids}."
            )

    def lowest(self) -> dict[str, int]:
        # The lowest level needs 2 x 2 cells, and the pose entry a sixteenth of the action width.
        coarsest = 2 ** min(self.levels - 1, 9) if isinstance(self.levels, int) else 1
        return {"image_size": 2 * MAP_STRIDE * coarsest, "levels": 2, "action_channels": 16}

    @property
    def dims(self) -> int:
        return 3 if self.depth else 2

    def build(self) -> SPNet:
        return SPNet(self)


class LevelOutput(NamedTuple):
    """Outputs of one level of a pyramid; features are ``(N, C, H, W)``.

    Attributes:
        reached: Features that the level's unit brings to its resolution.
        features: Output of its prediction block, for the next level and the next pyramid.
        maps: Of the prediction block.
    """

    reached: Tensor
    features: Tensor
    maps: ScaleMaps


class Level(nn.Module):
    """One level of a pyramid: downscaling or upscaling unit, pose and, perhaps, action prediction.

    Args:
        scale: Its resolution, 0 being the highest.
        unit: Brings the features of the level before to this resolution.
        block: Pose prediction.
        action: Action prediction.
    """

    def __init__(
        self,
        scale: int,
        unit: DownscalingUnit | UpscalingUnit,
        block: ScalePredictionBlock,
        action: ActionLevel | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.unit = unit
        self.block = block
        self.action = action

    def forward(self, x: Tensor, lateral: Tensor | None) -> LevelOutput:
        reached = self.unit(x, lateral)
        features, maps = self.block(reached)
        return LevelOutput(reached, features, maps)


class Pyramid(nn.Module):
    """A sequence of levels, down in resolution or up again, each refining the one before.

    ``forward`` takes the input features and, for each level, the previous pyramid's features at
    that resolution. It runs as many levels as there are of these.
    """

    def __init__(self, levels: Iterable[Level]) -> None:
        super().__init__()
        self.levels: ModuleList[Level] = ModuleList(levels)

    def forward(self, x: Tensor, laterals: Sequence[Tensor | None]) -> list[LevelOutput]:
        outputs: list[LevelOutput] = []
        for level, lateral in zip(self.levels, laterals, strict=False):
            outputs.append(level(x, lateral))
            x = outputs[-1].features
        return outputs


def build_pyramid(config: SPNetConfig, number: int) -> Pyramid:
    """Pyramid ``number``, counted from 1; odd ones go down in resolution, even ones up."""
    widths = [config.channels + scale * config.growth for scale in range(config.levels)]
    scales = list(range(config.levels))
    unit = DownscalingUnit
    if number % 2 == 0:
        scales.reverse()
        unit = UpscalingUnit
    acting = config.num_actions > 0 and number in config.action_pyramids
    levels: list[Level] = []
    for source, scale in pairwise(scales):
        channels = widths[scale]
        first, last = source == scales[0], scale == scales[-1]
        level = Level(
            scale,
            unit(widths[source], channels, config.kernel),
            ScalePredictionBlock(
                config,
                channels,
                decoupled=config.decoupled and acting,
                last=last and number == config.pyramids,
            ),
        )
        if acting:
            level.action = ActionLevel(
                config,
                channels,
                first=first and number == min(config.action_pyramids),
                last=last and number == max(config.action_pyramids),
            )
        levels.append(level)
    return Pyramid(levels)


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


class ActionStep(NamedTuple):
    """Inputs and outputs of an action level.

    Attributes:
        pose: The pose that guides it.
        appearance: ``(B, T, J, C)`` visual features gathered at the joints.
        action: Its answer.
    """

    pose: Pose
    appearance: Tensor
    action: Action


class SPNet(Network):
    """Pose and action at every level of a sequence of pyramids (TPAMI 2020).

    The features of a pyramid's level receive those of the same level of the pyramid before. Poses
    are read frame by frame. At the levels that predict actions, the poses and the appearance at
    their joints guide a second flow of features, from action level to action level. The appearance
    is that of the first pyramid, before its prediction blocks.
    """

    def __init__(self, config: SPNetConfig) -> None:
        super().__init__(config)
        self.config = config
        self.entry = EntryFlow(config.channels)
        self.pyramids: ModuleList[Pyramid] = ModuleList(
            build_pyramid(config, number) for number in range(1, config.pyramids + 1)
        )
        self.register_load_state_dict_pre_hook(_take_earlier_names)

    @property
    def levels(self) -> list[Level]:
        """The levels of all pyramids, in the order in which they run."""
        return [level for pyramid in self.pyramids for level in pyramid.levels]

    @property
    def num_blocks(self) -> int:
        """Number of pose prediction blocks, one per level of every pyramid."""
        return len(self.levels)

    def action_parts(self) -> list[nn.Module]:
        """The action levels, and the replicas of the maps that guide them."""
        parts = [
            part for level in self.levels for part in (level.action, level.block.to_action_maps)
        ]
        return [part for part in parts if part is not None]

    @torch.no_grad()
    def copy_pose_maps(self) -> None:
        """Initialise the replicas as copies of the pose maps, as the authors do before training."""
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
        entry = self.entry(fold_time(frames).contiguous(memory_format=torch.channels_last))
        outputs = self.run_pyramids(entry, count)
        visual = [entry, *(output.reached for output in outputs[: self.config.levels - 1])]
        poses = [read_pose(maps.pose, maps.depth, clip_length) for _, _, maps in outputs]
        features = unfold_time(visual[self.levels[count - 1].scale], clip_length)
        steps = self.run_actions(outputs, poses, visual)
        if not steps:
            return Prediction(poses, {}, features)
        actions = [step.action for step in steps]
        return Prediction(poses, {"fused": actions}, features, steps[-1].pose, steps[-1].appearance)

    def run_pyramids(self, entry: Tensor, count: int) -> list[LevelOutput]:
        """The first ``count`` levels, pyramid after pyramid, on the features of the entry flow."""
        start, laterals = entry, [None] * (self.config.levels - 1)
        outputs: list[LevelOutput] = []
        for pyramid in self.pyramids:
            outputs += pyramid(start, laterals[: count - len(outputs)])
            if len(outputs) == count:
                break
            # The next pyramid goes back the way that this one came.
            *between, end = [output.features for output in outputs[-len(pyramid.levels) :]]
            start, laterals = end, [*reversed(between), start]
        return outputs

    def run_actions(
        self, outputs: list[LevelOutput], poses: list[Pose], visual: list[Tensor]
    ) -> list[ActionStep]:
        """The action levels among those that ran, one after another.

        Args:
            outputs: Of the levels that ran.
            poses: Their poses.
            visual: For each resolution, the features that the appearance is gathered from.
        """
        features: Tensor | None = None
        laterals: dict[int, Tensor | None] = {}
        steps: list[ActionStep] = []
        for level, (_, _, maps), pose in zip(self.levels, outputs, poses, strict=False):
            if level.action is None:
                continue
            clip_length = pose.joints.shape[1]
            guide = pose if maps.action is None else read_pose(maps.action, maps.depth, clip_length)
            at_joints = gather_at_joints(fold_time(guide.heatmaps), visual[level.scale])
            appearance = unfold_time(at_joints, clip_length)
            features, class_maps = level.action(
                guide, appearance, features, laterals.get(level.scale)
            )
            laterals[level.scale] = features
            steps.append(ActionStep(guide, appearance, classify(class_maps)))
        return steps

    def current_name(self, name: str) -> str:
        """Today's name of a tensor; until version 0.1 all levels were numbered in one row."""
        earlier = re.fullmatch(r"levels\.(\d+)\.(\w+)\.(.+)", name)
        if earlier is None:
            return name
        step, part, tensor = earlier.groups()
        pyramid, level = divmod(int(step), self.config.levels - 1)
        return f"pyramids.{pyramid}.levels.{level}.{_EARLIER_PARTS.get(part, part)}.{tensor}"


_EARLIER_PARTS = {
    "transition": "unit",
    "action_transition": "action.transition",
    "action_block": "action.block",
}


def _take_earlier_names(network: SPNet, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        tensor = state.pop(name)
        state[prefix + network.current_name(name.removeprefix(prefix))] = tensor
