"""MobileNetV2 with a feature pyramid: the network of MoveNet, as a stem and as a person detector.

Sandler et al., 2018 (inverted residuals); the layout and the published weights, in which batch
normalisation is folded into biases, are MoveNet's (Google, Apache-2.0).
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from poseact.layers.conv import Conv2d, ConvBN, upsample_bilinear
from poseact.layers.modules import ModuleList
from poseact.layers.pooling import max_pool
from poseact.models.stem import StemOutput

# Channels, blocks and stride of the stages (Sandler et al., 2018, table 2); the first stage has no
# expansion, the others expand six times.
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
EXPANSION = 6
TOP_CHANNELS = 1280
BACKBONE_CHANNELS = STAGES[4][0]
PYRAMID_CHANNELS = (24, 24, 32, 64)
"""Width of the pyramid at strides 4, 8, 16 and 32."""
HEAD_CHANNELS = 96


def scaled(channels: int, width: float) -> int:
    """Channels times the width, rounded to the nearest multiple of 8, down by at most a tenth."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


class ConvReLU6(Conv2d):
    """Convolution with bias, ReLU6."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(super().forward(x), inplace=True)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to the input where the shape is the same."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = in_channels * expansion
        self.expand: nn.Module = (
            ConvReLU6(in_channels, middle, 1) if expansion > 1 else nn.Identity()
        )
        self.depthwise = ConvReLU6(middle, middle, 3, stride, groups=middle)
        self.project = Conv2d(middle, out_channels, 1, bias=True)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class SeparableConvReLU(nn.Module):
    """Depthwise 3x3, pointwise with bias, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = Conv2d(in_channels, in_channels, 3, groups=in_channels)
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)), inplace=True)


class PyramidFeatures(NamedTuple):
    """Maps of a :class:`PyramidStem`; ``(N, C, H / stride, W / stride)``, sizes rounded up.

    Attributes:
        stride4: The finest level of the pyramid, 24 channels; MoveNet's heads read it.
        stride8: The level below, 24 channels.
        stage8: Output of the backbone's last stage of stride 8.
        stage16: Output of the backbone's last stage of stride 16.
        top: The pyramid's coarsest level, stride 32, 64 channels.
    """

    stride4: Tensor
    stride8: Tensor
    stage8: Tensor
    stage16: Tensor
    top: Tensor


class PyramidStem(nn.Module):
    """MobileNetV2 and its feature pyramid: ``(N, 3, H, W)`` RGB in [-1, 1] to maps of five strides.

    Args:
        width: Factor on the backbone's channels: 1.0 in MoveNet Lightning, 1.75 in Thunder, 1.5 in
            MultiPose.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled(32, width)
        self.conv = ConvReLU6(3, channels, 3, stride=2)
        self.stages: ModuleList[nn.Sequential] = ModuleList()
        for stage, (wanted, blocks, stride) in enumerate(STAGES):
            expansion = EXPANSION if stage else 1
            out_channels = scaled(wanted, width)
            self.stages.append(
                nn.Sequential(
                    *(
                        InvertedResidual(
                            out_channels if block else channels,
                            out_channels,
                            1 if block else stride,
                            expansion,
                        )
                        for block in range(blocks)
                    )
                )
            )
            channels = out_channels
        self.widen = ConvReLU6(channels, TOP_CHANNELS, 1)
        fine, middle, coarse, top = PYRAMID_CHANNELS
        self.lateral4 = Conv2d(scaled(24, width), fine, 1, bias=True)
        self.lateral8 = Conv2d(scaled(32, width), coarse, 1, bias=True)
        self.lateral16 = Conv2d(scaled(64, width), top, 1, bias=True)
        self.lateral32 = Conv2d(TOP_CHANNELS, top, 1, bias=True)
        self.merge16 = SeparableConvReLU(top, coarse)
        self.merge8 = SeparableConvReLU(coarse, middle)
        self.merge4 = SeparableConvReLU(middle, fine)

    @property
    def stage_channels(self) -> tuple[int, int]:
        """Channels of ``stage8`` and ``stage16``."""
        return tuple(self.stages[stage][-1].project.out_channels for stage in (2, 4))  # pyright: ignore

    def forward(self, x: Tensor) -> PyramidFeatures:
        x = self.conv(x)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        _, stage4, stage8, early16, stage16, _, _ = maps
        top = self.lateral32(self.widen(x))
        level16 = self.merge16(upsample_bilinear(top, early16.shape[2:]) + self.lateral16(early16))
        level8 = self.merge8(upsample_bilinear(level16, stage8.shape[2:]) + self.lateral8(stage8))
        level4 = self.merge4(upsample_bilinear(level8, stage4.shape[2:]) + self.lateral4(stage4))
        return PyramidFeatures(level4, level8, stage8, stage16, top)


class PyramidHead(nn.Module):
    """One of MoveNet's heads: the pyramid's finest level to ``(N, maps, H / 4, W / 4)`` logits."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.separable = SeparableConvReLU(PYRAMID_CHANNELS[0], HEAD_CHANNELS)
        self.to_maps = Conv2d(HEAD_CHANNELS, maps, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_maps(self.separable(x))


class PyramidEntry(nn.Module):
    """The pyramid as the entry flow of a pose network, with maps that it already knows.

    The features are the stages and levels of strides 8 to 32 and the known maps, each through a 1x1
    convolution, added at stride 8. The known maps are those of MoveNet's joint head at stride 4.
    The prediction blocks refine them, so a network begins with what the published weights know.

    Args:
        out_channels: Width of the features.
        width: Of the :class:`PyramidStem`.
        num_joints: J, one known map each.
    """

    def __init__(self, out_channels: int, width: float, num_joints: int) -> None:
        super().__init__()
        self.trunk = PyramidStem(width)
        self.head = PyramidHead(num_joints)
        stage8, stage16 = self.trunk.stage_channels
        self.from_level8 = ConvBN(PYRAMID_CHANNELS[1], out_channels, 1)
        self.from_stage8 = ConvBN(stage8, out_channels, 1)
        self.from_stage16 = ConvBN(stage16, out_channels, 1)
        self.from_top = ConvBN(PYRAMID_CHANNELS[3], out_channels, 1)
        self.from_maps = ConvBN(num_joints, out_channels, 1)

    def forward(self, x: Tensor) -> StemOutput:
        pyramid = self.trunk(x)
        maps = self.head(pyramid.stride4)
        coarse = self.from_stage16(pyramid.stage16)
        coarse += upsample_bilinear(self.from_top(pyramid.top), coarse.shape[2:])
        fine = self.from_stage8(pyramid.stage8)
        fine += self.from_level8(pyramid.stride8)
        fine += self.from_maps(max_pool(maps))
        fine += upsample_bilinear(coarse, fine.shape[2:])
        return StemOutput(fine, maps, pyramid.stage16)
