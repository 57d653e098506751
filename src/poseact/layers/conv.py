"""Convolutions with the padding, normalisation and initialisation of the reference networks.

They use "same" padding as TensorFlow defines it: for an even size and stride 2 the extra row and
column lie *after* the image, one pixel off from ``padding=1``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PACKED = "_convolution_pointwise"


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after an axis, so that ``ceil(size / stride)`` steps fit."""
    total = max(kernel - (size % stride or stride), 0)
    return total // 2, total - total // 2


class Conv2d(nn.Conv2d):
    """Convolution with TensorFlow "same" padding; ``(N, C, H, W)`` in and out.

    Asymmetric padding needs no padded copy of the input: the image is padded symmetrically inside
    the convolution by the next amount that hits the same sampling grid, and the surplus first rows
    and columns of the output are dropped as a view.

    Attributes:
        packed: The weights in the layout of oneDNN; None before :meth:`pack`.
    """

    packed: Tensor | None = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=bias)
        if stride == 1:
            # Here PyTorch's "same" padding is equal; a number is faster.
            odd = all(size % 2 for size in self.kernel_size)
            self.padding = tuple(size // 2 for size in self.kernel_size) if odd else "same"
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def pack(self) -> None:
        """Keep a copy of the weights as oneDNN computes with them, for inference in 32 bit.

        Else PyTorch lays them out in every forward pass: a tenth of the time of one picture. These
        are the operators of its compiler; where they are missing, nothing changes.
        """
        known = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, _PACKED)
        plain = self.weight.device.type == "cpu" and self.weight.dtype == torch.float32
        if known and plain and self.stride == (1, 1) and self.padding != "same":
            self.packed = torch._C._nn.mkldnn_reorder_conv2d_weight(  # pyright: ignore
                self.weight.detach().to_mkldnn(), self.padding, 1, 1, self.groups
            )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "packed"}

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is not None and _takes_packed(x):
            shape = self.padding, self.stride, self.dilation, self.groups
            pointwise = getattr(torch.ops.mkldnn, _PACKED)
            return pointwise(x, self.packed, self.bias, *shape, "none", [], "")
        if self.stride == (1, 1):
            return F.conv2d(x, self.weight, self.bias, 1, self.padding, groups=self.groups)
        padding, first, size, pads = [], [], [], []
        for axis, kernel, stride in zip((2, 3), self.kernel_size, self.stride, strict=True):
            before, after = same_padding(x.shape[axis], kernel, stride)
            pads.append((before, after))
            pad = before
            while pad < after:
                pad += stride
            padding.append(pad)
            first.append((pad - before) // stride)
            size.append(-(-x.shape[axis] // stride))
        if torch.is_grad_enabled() or torch.compiler.is_exporting():
            # The gradient of a view would lie channels first, and the convolution's be slow. Other
            # runtimes take the padding into the convolution, and copy what changes a view in place.
            (top, bottom), (left, right) = pads
            x, weights = F.pad(x, (left, right, top, bottom)), (self.weight, self.bias, self.stride)
            if self.groups > 1 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
                # Its gradient takes three times as long in bfloat16.
                with torch.autocast("cpu", enabled=False):
                    return F.conv2d(x.float(), *weights, groups=self.groups)
            return F.conv2d(x, *weights, groups=self.groups)
        y = F.conv2d(x, self.weight, self.bias, self.stride, tuple(padding), groups=self.groups)
        return y[:, :, first[0] : first[0] + size[0], first[1] : first[1] + size[1]]


def _takes_packed(x: Tensor) -> bool:
    """Whether a tensor is computed with in 32 bit on the CPU, by PyTorch, without a gradient."""
    if torch.compiler.is_exporting() or torch.is_autocast_enabled("cpu") or x.requires_grad:
        return False
    return x.device.type == "cpu" and x.dtype == torch.float32


class SeparableConv2d(nn.Sequential):
    """Depthwise convolution followed directly by a pointwise one."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int]) -> None:
        super().__init__()
        self.depthwise = Conv2d(in_channels, in_channels, kernel, groups=in_channels)
        self.pointwise = Conv2d(in_channels, out_channels, 1)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the reference epsilon (1e-3) and momentum (0.99 in Keras terms).

    ``scale=False`` leaves out the learned factor (gamma), as the CVPR'18 networks do.
    """

    def __init__(self, channels: int, scale: bool = True) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)
        if not scale:
            self.register_parameter("weight", None)


class ConvBN(nn.Sequential):
    """Convolution, batch normalisation."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, kernel, stride)
        self.bn = BatchNorm2d(out_channels, scale=False)


class ConvBNAct(ConvBN):
    """Convolution, batch normalisation, ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


class ActConvBN(ConvBN):
    """ReLU, convolution, batch normalisation."""

    def forward(self, x: Tensor) -> Tensor:
        # Never in place: the tensor before the ReLU is reused by skip connections.
        return super().forward(F.relu(x))


class ActSeparableConvBN(nn.Sequential):
    """ReLU, separable convolution, batch normalisation."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = SeparableConv2d(in_channels, out_channels, kernel)
        self.bn = BatchNorm2d(out_channels, scale=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.relu(x))


class SeparableResidual(nn.Module):
    """Separable-residual unit: ``x + BN(SeparableConv(ReLU(x)))`` (CVPR 2018).

    Where the number of channels changes, the skip is ReLU, 1x1 convolution, BN.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.main = ActSeparableConvBN(in_channels, out_channels, kernel)
        self.skip: nn.Module = (
            nn.Identity()
            if in_channels == out_channels
            else ActConvBN(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.main(x)
        y += self.skip(x)  # no backward pass needs y, and a new map costs more than the sum
        return y


def upsample_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Nearest-neighbour upsampling of ``(N, C, h, w)`` to exactly ``size``.

    For even sizes this doubles each pixel; for odd ones the last row or column is not repeated, so
    that it undoes a 2x2 pooling with "same" padding.
    """
    return F.interpolate(x, size=tuple(size), mode="nearest")


def upsample_bilinear(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear doubling of ``(N, C, h, w)`` with half-pixel centres, cut to ``size``.

    The size differs from twice the map's own where that map came from an odd one.
    """
    doubled = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return doubled[:, :, : size[0], : size[1]]
