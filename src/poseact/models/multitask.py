"""The CVPR'18 network: stem, pose model and action model joined."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from poseact._utils.errors import PoseActError
from poseact.layers.softargmax import gather_at_joints
from poseact.layers.time_folding import fold_time, unfold_time
from poseact.models.action import (
    STREAMS,
    ActionModel,
    AppearanceStream,
    Fusion,
    PoseStream,
    sharpen,
    to_person_square,
)
from poseact.models.base import Network
from poseact.models.config import (
    NetworkConfig,
    check_heads,
    check_streams,
    checked_blocks,
    checked_frames,
)
from poseact.models.outputs import Action, Pose, PosesOnDemand, Prediction
from poseact.models.pose import PeakHead, PoseHead, PoseModel, PredictionBlock
from poseact.models.pyramid_stem import BACKBONE_CHANNELS, PyramidEntry, scaled
from poseact.models.stem import LightStem, MultitaskStem
from poseact.models.window_heads import WindowHeads

STEMS = ("multitask", "light", "pyramid")

N = TypeVar("N", bound=Network)

MAP_STRIDE = 8
"""Pixels of the image per cell of the heat maps."""


@dataclass(frozen=True)
class MultitaskConfig(NetworkConfig):
    """Shape of a :class:`MultitaskNetwork`; without labels it predicts poses only."""

    num_blocks: int = 8
    """K, the number of pose prediction blocks."""
    depth_maps: int = 1
    """Depth maps per joint; 1 gives 2D poses, more give 3D."""
    context_maps: int = 0
    """Context maps per joint."""
    stem: Literal["multitask", "light", "pyramid"] = "multitask"
    stem_width: float = 1.0
    """Factor on the channels of the pyramid's backbone; see :class:`PyramidStem`."""
    channels: int = 576
    """Width of the features."""
    low_channels: int = 288
    """Width at the two lower resolutions of a prediction block."""
    kernel: int = 5
    """Size of the separable convolutions in the prediction blocks."""
    action_blocks: int = 4
    """Prediction blocks in each action stream."""
    pose_filters: int = 8
    """Filters of the pose stream's first, narrowest convolution."""
    pose_width: int = 56
    """Half the width of the pose stream's action blocks."""
    appearance_channels: int = 256
    """Width of the appearance stream's action blocks."""
    streams: tuple[str, ...] = STREAMS
    """What the actions are read from: pose, appearance or both."""
    person_square: bool = False
    """Put a clip's joints into the square of its person before the action streams read them."""
    heads: Literal["blocks", "temporal", "prototypes"] = "blocks"
    """Kind of the action heads."""
    head_width: int = 96
    """Width of temporal heads."""
    appearance_from: Literal["block", "backbone"] = "block"
    """Features that the appearance is gathered from: block 1's, or those of a pyramid's backbone at
    stride 16."""
    background: int = 0
    """Windows of other motion that prototypes of the appearance are compared with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_streams(self.streams)
        check_heads(self.heads)
        if self.appearance_from not in (
            ("block", "backbone") if self.stem == "pyramid" else ("block",)
        ):
            raise PoseActError(
                f"appearance_from={self.appearance_from!r} was given for the stem {self.stem!r}; "
                "give 'block', or 'backbone' for the stem 'pyramid'."
            )
        if self.stem not in STEMS:
            raise PoseActError(f"stem={self.stem!r} was given; give one of {', '.join(STEMS)}.")
        if not isinstance(self.stem_width, int | float) or not 0.25 <= self.stem_width <= 4:
            raise PoseActError(
                f"stem_width={self.stem_width!r} was given; give a number from 0.25 to 4."
            )

    def lowest(self) -> dict[str, int]:
        return {
            "background": 0,
            "context_maps": 0,
            "image_size": 2 * MAP_STRIDE,
            "pose_width": 2,
            "appearance_channels": 2,
        }

    @property
    def dims(self) -> int:
        return 3 if self.depth_maps > 1 else 2

    @property
    def appearance_size(self) -> int:
        """Channels of the features that the appearance is gathered from."""
        if self.appearance_from == "block":
            return self.channels
        return scaled(BACKBONE_CHANNELS, self.stem_width)

    def build(self) -> MultitaskNetwork:
        return MultitaskNetwork(self)


def for_actions(network: N) -> N:
    """The pose network as new actions read it: appearance comes from a pretrained backbone.

    A network with trained actions stays as it is, because they were trained on its features.
    """
    config = network.config
    if not isinstance(config, MultitaskConfig) or config.stem != "pyramid" or config.labels:
        return network
    reader = copy(network)
    reader.config = replace(config, appearance_from="backbone")
    return reader


def build_stem(config: MultitaskConfig) -> MultitaskStem | LightStem | PyramidEntry:
    """The entry flow of a configuration."""
    match config.stem:
        case "multitask":
            return MultitaskStem(config.channels)
        case "light":
            return LightStem(config.channels)
        case "pyramid":
            return PyramidEntry(config.channels, config.stem_width, config.num_joints)


def build_pose_model(config: MultitaskConfig) -> PoseModel:
    """Prediction blocks and heads; on a pretrained stem they start by refining nothing."""
    refining = config.stem == "pyramid"
    if refining:
        head = PeakHead(config.num_joints, config.depth_maps, config.channels)
    else:
        head = PoseHead(config.num_joints, config.depth_maps, config.context_maps)
    blocks = [
        PredictionBlock(
            channels=config.channels,
            low_channels=config.low_channels,
            maps=head.channels,
            kernel=config.kernel,
            last=k == config.num_blocks - 1,
        )
        for k in range(config.num_blocks)
    ]
    if refining:
        for block in blocks:
            nn.init.zeros_(block.to_maps.weight)
    return PoseModel(head, blocks)


def build_action_model(config: MultitaskConfig) -> ActionModel | WindowHeads | None:
    """The action model of a configuration; None without labels."""
    if not config.num_actions:
        return None
    if config.heads != "blocks":
        channels = config.appearance_size if "appearance" in config.streams else None
        return WindowHeads(
            *(config.heads, config.num_joints, config.dims),
            *(channels, config.head_width, config.num_actions, config.background),
        )
    predicts = {"num_actions": config.num_actions, "num_blocks": config.action_blocks}
    pose = appearance = fusion = None
    if "pose" in config.streams:
        pose = PoseStream(
            dims=config.dims, filters=config.pose_filters, width=config.pose_width, **predicts
        )
    if "appearance" in config.streams:
        appearance = AppearanceStream(
            in_channels=config.appearance_size, channels=config.appearance_channels, **predicts
        )
    if pose and appearance:
        fusion = Fusion(config.num_actions)
    return ActionModel(pose, appearance, fusion)


class MultitaskNetwork(Network):
    """Pose and action from one set of features (CVPR 2018).

    Poses are read frame by frame. The last block's poses, weighted by their confidence, feed the
    pose stream; the features after block 1's hourglass, gathered at each joint, feed the
    appearance stream.
    """

    def __init__(self, config: MultitaskConfig) -> None:
        super().__init__(config)
        self.config = config
        self.stem = build_stem(config)
        self.pose_model = build_pose_model(config)
        self.action_model = build_action_model(config)

    @property
    def num_blocks(self) -> int:
        """K, the number of pose prediction blocks."""
        return len(self.pose_model.blocks)

    def action_parts(self) -> list[nn.Module]:
        return [] if self.action_model is None else [self.action_model]

    def forward(self, frames: Tensor, num_blocks: int | None = None) -> Prediction:
        """Predict poses and, if the network has labels, actions.

        Args:
            frames: ``(B, T, 3, H, W)`` RGB in [-1, 1]; a still is a clip of one frame.
            num_blocks: Stop after this many pose prediction blocks, from 1 to K (default K). The
                later ones are not computed, and the actions are read from the last that ran.

        Raises:
            PoseActError: The frames have another shape or type, or ``num_blocks`` is out of range.
        """
        count = checked_blocks(num_blocks, self.num_blocks)
        clip_length = checked_frames(frames).shape[1]
        images = fold_time(frames).contiguous(memory_format=torch.channels_last)
        stem = self.stem(images)
        outputs = self.pose_model(stem.features, count)

        def read(block: int) -> Pose:
            head = self.pose_model.head.read(outputs[block], stem.maps)
            parts = (head.joints, head.peak.sigmoid(), head.heatmaps)
            return Pose(*(unfold_time(part, clip_length) for part in parts))

        poses = PosesOnDemand(read, count) if self.folded else [read(k) for k in range(count)]
        visual = outputs[0].visual
        if self.config.appearance_from == "backbone" and stem.backbone is not None:
            visual = stem.backbone
        features = unfold_time(visual, clip_length)
        if self.action_model is None:
            return Prediction(poses, {}, features)
        last = poses[-1]
        at_joints = gather_at_joints(fold_time(last.heatmaps), visual)
        appearance = unfold_time(at_joints, clip_length)
        action_pose = last._replace(confidence=sharpen(last.confidence, self.config.dims))
        actions = self.recognise(action_pose.joints, action_pose.confidence, appearance)
        return Prediction(poses, actions, features, action_pose, appearance)

    def recognise(
        self, joints: Tensor, confidence: Tensor, appearance: Tensor | None = None
    ) -> dict[str, list[Action]]:
        """Run only the action model, on poses and features read before.

        Args:
            joints: ``(B, T, J, D)``, as :class:`~poseact.Pose` has them; with ``person_square`` x
                and y may be in any common unit.
            confidence: ``(B, T, J)``, sharpened (:func:`~poseact.models.action.sharpen`).
            appearance: ``(B, T, J, C)`` features gathered at the joints.

        Raises:
            PoseActError: The network has no labels, or lacks an appearance that it reads.
        """
        if self.action_model is None:
            raise PoseActError("The network has no labels; train its actions first.")
        if isinstance(self.action_model, WindowHeads):
            return self.action_model(joints, confidence, appearance)
        if self.config.person_square:
            joints = to_person_square(joints, confidence)
        return self.action_model(joints * confidence.unsqueeze(-1), appearance)
