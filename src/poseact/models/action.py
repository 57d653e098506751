"""The action model of CVPR'18: pose stream, appearance stream and their fusion.

A clip is an image here: rows are time, columns are joints.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.layers.conv import (
    ActConvBN,
    Conv2d,
    ConvBN,
    ConvBNAct,
    SeparableConv2d,
    upsample_to,
)
from poseact.layers.modules import ModuleList
from poseact.layers.pooling import global_max_min_pool, max_min_pool, max_pool
from poseact.models.outputs import Action

STREAMS = ("pose", "appearance")
"""What an action model may look at."""

SEEN = 0.5
"""Confidence from which a joint counts as seen."""

MARGIN = 1.25
"""How much larger than the person's box its square is."""


SHARPENING = {2: 4, 3: 2}
"""Factor on the logit of a joint's confidence, by the joint's coordinates."""


def sharpen(confidence: Tensor, dims: int) -> Tensor:
    """Confidence for the action streams: its logit times ``SHARPENING[dims]``."""
    power = SHARPENING[dims]
    seen, unseen = confidence**power, (1 - confidence) ** power
    return seen / (seen + unseen)


def to_person_square(joints: Tensor, confidence: Tensor) -> Tensor:
    """Shift and scale x and y of a clip so that its person fills the unit square.

    The square is centred on the mean of the frames' joint boxes, and its side is ``MARGIN`` times
    the mean of their longer sides; it stays the same within a clip, so that movement across the
    picture is kept. Frames in which fewer than two joints are seen are ignored.

    Args:
        joints: ``(B, T, J, D)``; x to the right and y down in any common unit, a third coordinate
            is left as it is.
        confidence: ``(B, T, J)``; joints from ``SEEN`` on count.
    """
    seen = (confidence >= SEEN).unsqueeze(-1)
    plane = joints[..., :2]
    low = torch.where(seen, plane, torch.inf).amin(2)  # (B, T, 2)
    high = torch.where(seen, plane, -torch.inf).amax(2)
    counted = (seen.sum(2) >= 2).squeeze(-1)  # (B, T)
    frames = counted.sum(1).clamp_min(1)
    middle, side = (low + high) / 2, (high - low).amax(-1)
    centre = torch.where(counted.unsqueeze(-1), middle, 0).sum(1) / frames.unsqueeze(-1)
    mean_side = torch.where(counted, side, 0).sum(1) / frames
    scale = torch.where(mean_side > 0, MARGIN * mean_side, 1)
    square = (plane - centre[:, None, None]) / scale[:, None, None, None] + 0.5
    return torch.cat((square, joints[..., 2:]), -1)


def classify(maps: Tensor) -> Action:
    """Class activation maps ``(B, A, t, j)`` to log-probabilities by max-plus-min pooling."""
    return Action(global_max_min_pool(maps).log_softmax(-1), maps)


class ActionBlock(nn.Module):
    """One action prediction block; its class maps are re-injected into the next block.

    ``(B, C, T, J)`` features to features of the same shape and ``(B, A, T / 2, J / 2)`` maps.
    """

    def __init__(self, channels: int, num_actions: int, last: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ActConvBN(channels, channels // 2, 1), ActConvBN(channels // 2, channels, 3)
        )
        self.refine = ActConvBN(channels, channels, 3)
        self.to_maps = Conv2d(channels, num_actions, 3)
        self.reinjection = nn.Identity() if last else ActConvBN(num_actions, channels, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.residual(x)
        refined = self.refine(x)
        maps = self.to_maps(F.relu(max_min_pool(refined)))
        return x + refined, maps

    def reinject(self, features: Tensor, maps: Tensor) -> Tensor:
        """Input of the next block."""
        return features + self.reinjection(upsample_to(maps, features.shape[2:]))


class ActionBlocks(nn.Module):
    """K action blocks in a row: ``(B, C, T, J)`` features to the class maps of every block."""

    def __init__(self, channels: int, num_actions: int, num_blocks: int) -> None:
        super().__init__()
        self.blocks: ModuleList[ActionBlock] = ModuleList(
            ActionBlock(channels, num_actions, last=k == num_blocks - 1) for k in range(num_blocks)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        blocks = list(self.blocks)
        features, maps = blocks[0](x)
        outputs = [maps]
        for previous, block in pairwise(blocks):
            features, maps = block(previous.reinject(features, maps))
            outputs.append(maps)
        return outputs


class PoseStream(nn.Module):
    """Actions from the movement of the joints (CVPR 2018, pose-based recognition).

    ``(B, T, J, D)`` joints, each weighted by its confidence, to class maps block by block. Joints
    are neighbours in time at first (3x1), then in time and body (3x3, 3x5).
    """

    def __init__(
        self, dims: int, filters: int, width: int, num_actions: int, num_blocks: int
    ) -> None:
        super().__init__()
        entry, bottleneck = 6 * filters, 4 * width // 7
        self.entry: ModuleList[ConvBNAct] = ModuleList(
            ConvBNAct(dims, n * filters, kernel)
            for n, kernel in zip((1, 2, 3), ((3, 1), (3, 3), (3, 5)), strict=True)
        )
        self.short = ConvBN(entry, width, 3)
        self.long = nn.Sequential(ConvBN(entry, bottleneck, 1), ConvBN(bottleneck, width, 3))
        self.blocks = ActionBlocks(2 * width, num_actions, num_blocks)

    def forward(self, joints: Tensor) -> list[Tensor]:
        x = joints.permute(0, 3, 1, 2)  # (B, D, T, J)
        x = torch.cat([conv(x) for conv in self.entry], 1)
        x = torch.cat((self.short(x), self.long(x)), 1)
        return self.blocks(max_min_pool(x))


class AppearanceStream(nn.Module):
    """Actions from features at the joints: ``(B, T, J, C)`` to class maps of every block.

    CVPR 2018, appearance-based recognition.
    """

    def __init__(self, in_channels: int, channels: int, num_actions: int, num_blocks: int) -> None:
        super().__init__()
        self.entry = ConvBN(in_channels, channels, 1)
        self.blocks = ActionBlocks(channels, num_actions, num_blocks)

    def forward(self, appearance: Tensor) -> list[Tensor]:
        x = self.entry(appearance.permute(0, 3, 1, 2))  # (B, C, T, J)
        return self.blocks(max_pool(x))


class Fusion(nn.Module):
    """Adds the two streams' last class maps, each re-weighted across classes.

    CVPR 2018, aggregation of the two recognitions. Starts as a plain sum: the weights are trained
    from the identity.
    """

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.pose = SeparableConv2d(num_actions, num_actions, 1)
        self.appearance = SeparableConv2d(num_actions, num_actions, 1)
        for stream in (self.pose, self.appearance):
            nn.init.ones_(stream.depthwise.weight)
            nn.init.dirac_(stream.pointwise.weight)

    def forward(self, pose_maps: Tensor, appearance_maps: Tensor) -> Tensor:
        return self.pose(pose_maps) + self.appearance(appearance_maps)


class ActionModel(nn.Module):
    """Both streams and their fusion, or one stream alone.

    ``forward`` takes confidence-weighted joints ``(B, T, J, D)`` and appearance ``(B, T, J, C)``,
    which a pose stream alone does not read. The final answer is always called ``fused``.
    """

    def __init__(
        self,
        pose_stream: PoseStream | None = None,
        appearance_stream: AppearanceStream | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        super().__init__()
        self.pose_stream = pose_stream
        self.appearance_stream = appearance_stream
        self.fusion = fusion

    def forward(self, joints: Tensor, appearance: Tensor | None) -> dict[str, list[Action]]:
        maps: dict[str, list[Tensor]] = {}
        if self.pose_stream is not None:
            maps["pose"] = self.pose_stream(joints)
        if self.appearance_stream is not None:
            if appearance is None:
                raise PoseActError(
                    "No appearance was given to a network that reads it; give it, or train "
                    "the pose stream alone."
                )
            maps["appearance"] = self.appearance_stream(appearance)
        actions = {name: [classify(m) for m in stream] for name, stream in maps.items()}
        if self.fusion is not None:
            fused = classify(self.fusion(maps["pose"][-1], maps["appearance"][-1]))
        else:
            ((*_, fused),) = actions.values()
        return {**actions, "fused": [fused]}
