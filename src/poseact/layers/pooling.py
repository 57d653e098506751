"""Pooling with TensorFlow "same" padding, and the max-plus-min pooling of the action model."""

from torch import Tensor
from torch.nn import functional as F

from poseact.layers.conv import same_padding


def max_pool(x: Tensor, kernel: int = 2, stride: int | tuple[int, int] = 2) -> Tensor:
    """Max pooling of ``(N, C, H, W)`` to ``(N, C, ceil(H / stride), ceil(W / stride))``.

    The padding, minus infinity, is never the maximum.
    """
    strides = (stride, stride) if isinstance(stride, int) else stride
    top, bottom = same_padding(x.shape[2], kernel, strides[0])
    left, right = same_padding(x.shape[3], kernel, strides[1])
    if strides == (2, 2) and top == left == 0:
        return F.max_pool2d(x, kernel, strides, ceil_mode=True)
    return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-float("inf")), kernel, strides)


def max_min_pool(x: Tensor) -> Tensor:
    """Max-plus-min pooling, 2x2 with stride 2: ``max(x) + min(x)`` of every window.

    Both signs survive: a strong negative response is evidence too (CVPR 2018, action model).
    """
    return max_pool(x) - max_pool(-x)


def global_max_min_pool(x: Tensor) -> Tensor:
    """Max plus min over the whole map: ``(N, C, H, W)`` to ``(N, C)``."""
    return x.amax((2, 3)) + x.amin((2, 3))
