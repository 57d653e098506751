"""Batch normalisation folded into the convolutions, for inference."""

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from poseact._utils.device import keep_freed_memory
from poseact.layers.conv import ActSeparableConvBN, Conv2d, ConvBN
from poseact.models.base import Network
from poseact.models.pyramid_blocks import Residual

N = TypeVar("N", bound=Network)


def fold_batch_norm(network: N) -> N:
    """A copy for inference whose outputs differ only by rounding, with fewer steps per layer.

    The copy is laid out channels last and cannot be trained or saved. It reads the poses of all but
    the last prediction block only when they are asked for. A network that is such a copy already is
    returned as it is. On a CPU, this process keeps freed memory for the next picture from now on.
    """
    if network.folded:
        return network
    if all(parameter.device.type == "cpu" for parameter in network.parameters()):
        keep_freed_memory()
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, ConvBN):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            del module.bn
        elif isinstance(module, ActSeparableConvBN):
            conv = module.conv
            conv.pointwise = fuse_conv_bn_eval(conv.pointwise, module.bn)
            del module.bn
        elif isinstance(module, Residual):
            module.conv1 = fuse_conv_bn_eval(module.conv1, module.bn2)
            module.register_module("bn2", nn.Identity())
    network.folded = True
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for module in network.modules():
        if isinstance(module, Conv2d):
            module.pack()
    return network


fused = fold_batch_norm
"""Earlier name of :func:`fold_batch_norm`."""
