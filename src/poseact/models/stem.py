"""Multitask stem: from the image to the features that pose and action share."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact.layers.conv import ConvBN, ConvBNAct, SeparableResidual
from poseact.layers.pooling import max_pool


class StemOutput(NamedTuple):
    """Output of an entry flow.

    Attributes:
        features: ``(N, C, H / 8, W / 8)``, shared by pose and action.
        maps: ``(N, J, H / 4, W / 4)`` logits of heat maps that a pretrained stem already knows.
        backbone: ``(N, C', H / 16, W / 16)`` features of a pretrained backbone.
    """

    features: Tensor
    maps: Tensor | None = None
    backbone: Tensor | None = None


class MultitaskStem(nn.Module):
    """Entry flow of the CVPR'18 networks: ``(N, 3, H, W)`` to ``(N, C, H / 8, W / 8)``.

    As in Inception-v4: convolutions at half resolution, then three stages that each join two
    branches. A separable-residual unit brings the features to their final width.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNAct(3, 32, 3, stride=2)
        self.conv2 = ConvBNAct(32, 32, 3)
        self.conv3 = ConvBNAct(32, 64, 3)
        self.down1 = ConvBNAct(64, 96, 3, stride=2)
        self.short = nn.Sequential(ConvBNAct(160, 64, 1), ConvBN(64, 96, 3))
        self.long = nn.Sequential(
            ConvBNAct(160, 64, 1),
            ConvBNAct(64, 64, (5, 1)),
            ConvBNAct(64, 64, (1, 5)),
            ConvBN(64, 96, 3),
        )
        self.down2 = ConvBN(192, 192, 3, stride=2)
        self.residual = SeparableResidual(384, out_channels, 3)

    def forward(self, x: Tensor) -> StemOutput:
        x = self.conv3(self.conv2(self.conv1(x)))
        x = torch.cat((self.down1(x), max_pool(x, kernel=3)), 1)
        x = torch.cat((self.short(x), self.long(x)), 1)
        x = torch.cat((self.down2(F.relu(x)), max_pool(x)), 1)
        return StemOutput(self.residual(x))


class LightStem(nn.Module):
    """Entry flow for CPUs: ``(N, 3, H, W)`` to ``(N, C, H / 8, W / 8)``.

    Narrow dense convolutions where the map is large, because a depthwise convolution there takes
    more time than its arithmetic suggests; separable-residual units once it is small.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvBNAct(3, 16, 3, stride=2)
        self.conv2 = ConvBNAct(16, 32, 3, stride=2)
        self.conv3 = ConvBNAct(32, 32, 3)
        self.down = ConvBN(32, 96, 3, stride=2)
        self.residual = nn.Sequential(
            SeparableResidual(96, out_channels, 3), SeparableResidual(out_channels, out_channels, 3)
        )

    def forward(self, x: Tensor) -> StemOutput:
        return StemOutput(self.residual(self.down(self.conv3(self.conv2(self.conv1(x))))))
