"""The pose model of CVPR'18: K prediction blocks that refine one another."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact.layers.conv import (
    ActConvBN,
    ActSeparableConvBN,
    Conv2d,
    SeparableResidual,
    upsample_bilinear,
    upsample_to,
)
from poseact.layers.modules import ModuleList
from poseact.layers.pooling import max_pool
from poseact.layers.softargmax import (
    gather_at_joints,
    marginals,
    soft_argmax_1d,
    soft_argmax_2d,
    soft_argmax_at_peak,
    spatial_softmax,
    spread_2d,
)


class Hourglass(nn.Module):
    """The pyramid of a prediction block: three resolutions of separable-residual units.

    ``(N, C, H, W)`` in and out; ``low_channels`` is the width of the two lower resolutions.
    """

    def __init__(self, channels: int, low_channels: int, kernel: int) -> None:
        super().__init__()
        self.level1 = SeparableResidual(channels, channels, kernel)
        self.reduce = ActConvBN(channels, low_channels, 1)
        self.level2_in = SeparableResidual(low_channels, low_channels, kernel)
        self.level2 = SeparableResidual(low_channels, low_channels, kernel)
        self.level2_out = SeparableResidual(low_channels, channels, kernel)
        self.level3 = nn.Sequential(
            *(SeparableResidual(low_channels, low_channels, kernel) for _ in range(3))
        )

    def forward(self, x: Tensor) -> Tensor:
        low = self.level2_in(self.reduce(max_pool(x)))
        lowest = self.level3(max_pool(low))
        low = self.level2(low)
        low += upsample_to(lowest, low.shape[2:])
        y = self.level1(x)
        y += upsample_to(self.level2_out(low), x.shape[2:])
        return y


@dataclass(eq=False)
class BlockOutput:
    """Outputs of one prediction block; features are ``(N, C, H, W)``.

    Attributes:
        visual: Output of the hourglass; block 1's is what the appearance stream reads.
        refined: The separable convolution's output, from which the maps come.
        to_maps: The block's convolution to its maps.
    """

    visual: Tensor
    refined: Tensor
    to_maps: Conv2d

    @cached_property
    def logits(self) -> Tensor:
        """``(N, maps, H, W)``, computed when they are first asked for."""
        return self.to_maps(F.relu(self.refined))


class HeadOutput(NamedTuple):
    """Pose read from the maps of one block.

    Attributes:
        joints: ``(N, J, D)``.
        peak: ``(N, J)``, the confidence before the sigmoid.
        heatmaps: ``(N, J, H, W)``, each map a probability.
    """

    joints: Tensor
    peak: Tensor
    heatmaps: Tensor


class PoseHead(nn.Module):
    """Reads joints from maps: volumetric heat maps, soft-argmax, context-map aggregation.

    The logits hold ``depth_maps * num_joints`` specialised maps (depth-major) and then
    ``context_maps * num_joints`` context maps (joint-major). x and y come from the mean over depth,
    z from the mean over the image plane, so 2D is the case of one depth map (CVPR 2018, volumetric
    heat maps). Where there are context maps, their confidence-weighted positions count a
    fifth (context aggregation).

    The head has no trained weights; the depth grid is kept with the checkpoint because the authors'
    files store it.
    """

    SPECIALISED_SHARE = 0.8

    def __init__(self, num_joints: int, depth_maps: int, context_maps: int) -> None:
        super().__init__()
        self.num_joints = num_joints
        self.depth_maps = depth_maps
        self.context_maps = context_maps
        self.depth_grid: Tensor
        self.register_buffer("depth_grid", torch.linspace(0, 1, depth_maps))

    @property
    def channels(self) -> int:
        """Number of maps that the head reads."""
        return (self.depth_maps + self.context_maps) * self.num_joints

    def read(self, output: BlockOutput, known: Tensor | None) -> HeadOutput:  # noqa: ARG002
        """The pose of one block; ``known`` is for a :class:`PeakHead`."""
        return self(output.logits)

    def forward(self, logits: Tensor) -> HeadOutput:
        """``(N, channels, H, W)`` logits to joints, confidence and heat maps."""
        # Half precision has too few digits for places.
        logits = at_least_float(logits)
        specialised = self.depth_maps * self.num_joints
        volume = logits[:, :specialised].permute(0, 2, 3, 1)  # as the convolution lays it out
        volume = volume.unflatten(-1, (self.depth_maps, self.num_joints))  # (N, H, W, D, J)
        # (N, J, H, W), every map in one piece
        plane = volume.mean(3).permute(0, 3, 1, 2).contiguous()
        heatmaps = spatial_softmax(plane)
        joints = soft_argmax_2d(heatmaps)  # (N, J, 2)
        peak = plane.amax((2, 3))  # (N, J)
        if self.context_maps:
            context = self.aggregate(logits[:, specialised:])
            joints = self.SPECIALISED_SHARE * joints + (1 - self.SPECIALISED_SHARE) * context
        if self.depth_maps > 1:
            depth = volume.mean((1, 2))  # (N, D, J)
            z = soft_argmax_1d(depth, self.depth_grid)
            joints = torch.cat((joints, z.unsqueeze(-1)), -1)
            peak = peak + depth.amax(1)
        return HeadOutput(joints, peak, heatmaps)

    def aggregate(self, logits: Tensor) -> Tensor:
        """Context maps ``(N, J * M, H, W)`` to confidence-weighted positions ``(N, J, 2)``."""
        shape = (self.num_joints, self.context_maps)
        positions = soft_argmax_2d(spatial_softmax(logits)).unflatten(1, shape)  # (N, J, M, 2)
        # Softmax of log-sigmoids: sigmoids that sum to one, even where each would vanish.
        peaks = logits.amax((2, 3)).unflatten(1, shape)
        weights = F.logsigmoid(peaks).softmax(-1).unsqueeze(-1)
        return (weights * positions).sum(2)


def at_least_float(x: Tensor) -> Tensor:
    """Half-precision numbers as float32, others as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class ConfidenceHead(nn.Module):
    """Probability that each joint is correct, from the shape of its map and the features there.

    A small network reads for all joints together how high and how narrow their maps are, how much
    of each lies around its peak and which features lie there. A joint is correct if it lies within
    0.2 of the torso's diagonal of the truth. No gradient flows back into the pose. ``calibration``
    holds the scale and the shift of the logits, fitted on people outside the training data.
    """

    SEEN_CHANNELS = 8
    HIDDEN = 64

    def __init__(self, num_joints: int, channels: int) -> None:
        super().__init__()
        self.seen = nn.Linear(channels, self.SEEN_CHANNELS)
        self.hidden = nn.Linear(num_joints * (3 + self.SEEN_CHANNELS), self.HIDDEN)
        self.out = nn.Linear(self.HIDDEN, num_joints)
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor((1.0, 0.0)))

    def forward(self, peak: Tensor, share: Tensor, heatmaps: Tensor, features: Tensor) -> Tensor:
        """``(N, J)`` logits from peaks, their shares, heat maps and ``(N, J, C)`` features."""
        at_joints = self.seen(features.detach())  # (N, J, 8)
        spread = spread_2d(marginals(heatmaps.detach())).sum(-1).clamp_min(1e-6).log()
        looks = torch.stack((peak.detach() / 10, share.detach().logit(1e-4) / 3, spread), -1)
        read = torch.cat((looks, at_joints), -1).flatten(1)
        scale, shift = self.calibration
        return self.out(F.relu(self.hidden(read))) * scale + shift


class PeakHead(PoseHead):
    """Reads joints at the peaks of the maps of a pretrained stem, refined by a block.

    The maps of a network that was trained with heat maps often have a second peak, on the other
    leg or on another person. The mean over the whole map then lies between the two, so the
    soft-argmax is taken within ``CELLS`` cells of the highest peak. The depth is read from the
    volume at the joint, not from its mean over the image plane.

    The volume itself is never computed: its mean over depth and its values at joints are linear in
    the features, so those are averaged first.
    """

    CELLS = 4

    def __init__(self, num_joints: int, depth_maps: int, channels: int) -> None:
        super().__init__(num_joints, depth_maps, context_maps=0)
        self.confidence = ConfidenceHead(num_joints, channels)

    def read(self, output: BlockOutput, known: Tensor | None) -> HeadOutput:
        """The pose of one block.

        Args:
            output: What the block computes.
            known: ``(N, J, 2 H, 2 W)`` logits of the stem, whose finer grid the heat maps have.
        """
        assert known is not None
        features = F.relu(output.refined)
        shape = (self.depth_maps, self.num_joints)
        weight = output.to_maps.weight.flatten(1).unflatten(0, shape)
        refinement = F.conv2d(features, weight.mean(0)[..., None, None])
        # Half precision has too few digits for places.
        plane = upsample_bilinear(at_least_float(refinement), known.shape[2:])
        plane = (plane + at_least_float(known)).contiguous()  # (N, J, H, W), each map in one piece
        heatmaps = spatial_softmax(plane)
        joints, share = soft_argmax_at_peak(heatmaps, self.CELLS)
        peak = plane.amax((2, 3))
        both = at_least_float(torch.cat((output.refined, features), 1))
        refined, seen = gather_at_joints(heatmaps.detach(), both).chunk(2, -1)  # (N, J, C) each
        if self.depth_maps > 1:
            depth = torch.einsum("djc,njc->ndj", at_least_float(weight), seen)
            z = soft_argmax_1d(depth, self.depth_grid)
            joints, peak = torch.cat((joints, z.unsqueeze(-1)), -1), peak + depth.amax(1)
        return HeadOutput(joints, self.confidence(peak, share, heatmaps, refined), heatmaps)


class PredictionBlock(nn.Module):
    """One prediction block: hourglass, separable convolution, maps, and re-injection of the maps.

    CVPR 2018, network architecture. The last block of a network has no re-injection, because
    nothing follows it.
    """

    def __init__(
        self, channels: int, low_channels: int, maps: int, kernel: int, last: bool
    ) -> None:
        super().__init__()
        self.hourglass = Hourglass(channels, low_channels, kernel)
        self.refine = ActSeparableConvBN(channels, channels, kernel)
        self.to_maps = Conv2d(channels, maps, 1)
        self.reinjection = nn.Identity() if last else ActConvBN(maps, channels, 1)

    def forward(self, features: Tensor) -> BlockOutput:
        visual = self.hourglass(features)
        refined = self.refine(visual)
        return BlockOutput(visual, refined, self.to_maps)

    def reinject(self, output: BlockOutput) -> Tensor:
        """Input of the next block: features, refined features and re-encoded maps, added."""
        features = self.reinjection(output.logits)
        features += output.visual
        features += output.refined
        return features


class PoseModel(nn.Module):
    """K prediction blocks and the heads that read their maps.

    ``forward`` takes the features of the stem and runs the first ``num_blocks`` blocks;
    the others are not computed. ``head.read`` gives the pose of one block.

    Args:
        head: Reads the pose from the maps of every block.
        blocks: The prediction blocks.
    """

    def __init__(self, head: PoseHead, blocks: Iterable[PredictionBlock]) -> None:
        super().__init__()
        self.head = head
        self.blocks: ModuleList[PredictionBlock] = ModuleList(blocks)

    def forward(self, features: Tensor, num_blocks: int) -> list[BlockOutput]:
        blocks = list(self.blocks)[:num_blocks]
        outputs = [blocks[0](features)]
        for previous, block in pairwise(blocks):
            outputs.append(block(previous.reinject(outputs[-1])))
        return outputs

    @property
    def confidence(self) -> ConfidenceHead | None:
        """Predicts whether joints are correct; None where the peak of a map does."""
        return self.head.confidence if isinstance(self.head, PeakHead) else None


def learned_confidence(network: nn.Module) -> ConfidenceHead | None:
    """The part of a network that predicts whether its joints are correct, if it has one."""
    pose_model = getattr(network, "pose_model", None)
    return pose_model.confidence if isinstance(pose_model, PoseModel) else None
