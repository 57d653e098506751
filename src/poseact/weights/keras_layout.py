"""Mapping from arrays of the authors' Keras files to tensors of a network.

CVPR'18 files are read by order: groups of layers, in every group all trained arrays first and all
batch-norm statistics after them, the layers of parallel branches interleaved by depth. SPNet files
are read by layer name. Both hold fixed arrays as well (soft-argmax grids, identity kernels, context
aggregation), which no layer here needs; they are checked against what the network computes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from poseact.layers.conv import (
    ActConvBN,
    ActSeparableConvBN,
    BatchNorm2d,
    Conv2d,
    ConvBN,
    SeparableConv2d,
    SeparableResidual,
)
from poseact.layers.softargmax import soft_argmax_2d
from poseact.models.action import ActionBlock, ActionModel, PoseStream
from poseact.models.base import Network
from poseact.models.multitask import MultitaskNetwork
from poseact.models.pose import PredictionBlock
from poseact.models.pyramid import Level, SPNet
from poseact.models.pyramid_blocks import ActionLevel, Residual, SeparableResidualUnit
from poseact.models.stem import MultitaskStem

Layer = Conv2d | SeparableConv2d | BatchNorm2d
Unit = ConvBN | ActSeparableConvBN

# Axes of a Keras kernel (height, width, in, out) in the order that PyTorch wants.
_TO_TORCH = {
    "kernel": (3, 2, 0, 1),
    "pointwise_kernel": (3, 2, 0, 1),
    "depthwise_kernel": (2, 3, 0, 1),
}


@dataclass(frozen=True)
class KerasArray:
    """One array of a Keras file.

    Attributes:
        kind: Last part of its name, such as ``depthwise_kernel`` or ``moving_mean``.
        shape: As stored by Keras.
        target: The tensor of the network that it fills; None for a fixed array.
        expected: For a fixed array, computes the value that it must have.
        layer: Keras layer name, where files are read by name; otherwise what the array is for.
        is_depth_grid: Whether it is the one fixed array that is used as the file has it.
    """

    kind: str
    shape: tuple[int, ...]
    target: Tensor | None = None
    expected: Callable[[], np.ndarray] | None = None
    layer: str = ""
    is_depth_grid: bool = False

    def to_torch(self, value: np.ndarray) -> np.ndarray:
        """The array with its axes in PyTorch's order."""
        return value.transpose(_TO_TORCH[self.kind]) if self.kind in _TO_TORCH else value


def trained(layer: Layer, name: str = "") -> list[KerasArray]:
    """The trained arrays of a layer, in Keras' order."""
    if isinstance(layer, SeparableConv2d):
        parts = {
            "depthwise_kernel": layer.depthwise.weight,
            "pointwise_kernel": layer.pointwise.weight,
        }
    elif isinstance(layer, BatchNorm2d):
        parts = {"beta": layer.bias}
        if layer.weight is not None:
            parts = {"gamma": layer.weight, **parts}
    else:
        parts = {"kernel": layer.weight}
    return [_filling(kind, tensor, name) for kind, tensor in parts.items()]


def statistics(layer: Layer, name: str = "") -> list[KerasArray]:
    """The batch-norm statistics of a layer; empty for a convolution."""
    if not isinstance(layer, BatchNorm2d):
        return []
    parts = {"moving_mean": layer.running_mean, "moving_variance": layer.running_var}
    return [_filling(kind, tensor, name) for kind, tensor in parts.items() if tensor is not None]


def _filling(kind: str, tensor: Tensor, name: str) -> KerasArray:
    shape = tuple(tensor.shape)
    if kind in _TO_TORCH:
        inverse = np.argsort(_TO_TORCH[kind])
        shape = tuple(shape[axis] for axis in inverse)
    return KerasArray(kind, shape, tensor, layer=name)


def keras_arrays(network: Network) -> list[KerasArray]:
    """All arrays of the authors' file for this network; in file order for CVPR'18 networks.

    Empty where the authors have no such network.
    """
    if isinstance(network, SPNet):
        return list(_spnet(network))
    return list(_multitask(network)) if isinstance(network, MultitaskNetwork) else []


# ------------------------------------------------------------------ fixed arrays


def grid_arrays(channels: int, size: int, layers: tuple[str, str]) -> list[KerasArray]:
    """The soft-argmax of the original: full-map kernels with the grid, then identity kernels."""
    arrays = []
    for axis, layer in enumerate(layers):
        arrays += [
            KerasArray(
                "depthwise_kernel",
                (size, size, channels, 1),
                expected=partial(_grid_kernel, size, channels, axis),
                layer=layer,
            ),
            KerasArray(
                "pointwise_kernel",
                (1, 1, channels, channels),
                expected=partial(_identity_kernel, channels),
                layer=layer,
            ),
        ]
    return arrays


def _grid_kernel(size: int, channels: int, axis: int) -> np.ndarray:
    # The soft-argmax of a map with all its probability at one place is that place's coordinate.
    certain = torch.eye(size * size).reshape(1, -1, size, size)
    grid = soft_argmax_2d(certain)[0, :, axis].reshape(size, size, 1, 1)
    return grid.expand(size, size, channels, 1).numpy()


def _identity_kernel(channels: int) -> np.ndarray:
    return np.eye(channels, dtype=np.float32).reshape(1, 1, channels, channels)


def _aggregation(num_joints: int, context_maps: int) -> np.ndarray:
    return np.repeat(np.eye(num_joints, dtype=np.float32), context_maps, axis=0)


def depth_grid(kernel: np.ndarray) -> np.ndarray:
    """The depth grid ``(D,)`` inside a fixed Conv1D kernel ``(D, J, J)``: its diagonal."""
    return kernel[:, 0, 0]


# ------------------------------------------------------------------ CVPR'18, by order


def _multitask(network: MultitaskNetwork) -> Iterator[KerasArray]:
    config = network.config
    size = config.image_size // 8
    if not isinstance(network.stem, MultitaskStem):
        return
    blocks = list(network.pose_model.blocks)
    yield from _group(_stem(network.stem))
    if network.action_model is None:
        for block in blocks:
            for part in (_hourglass(block), *_regression(block)):
                yield from _group(part)
    else:
        yield from _group(_hourglass(blocks[0]))
        nested = [layer for part in _regression(blocks[0]) for layer in part]
        for block in blocks[1:]:
            nested += _hourglass(block)
            nested += [layer for part in _regression(block) for layer in part]
        yield from _group(nested)

    joints, context = config.num_joints, config.context_maps
    yield from grid_arrays(joints, size, ("specialised x", "specialised y"))
    if context:
        yield from grid_arrays(joints * context, size, ("context x", "context y"))
        yield KerasArray(
            "kernel",
            (joints * context, joints),
            expected=partial(_aggregation, joints, context),
            layer="context aggregation",
        )
    if config.depth_maps > 1:
        yield KerasArray(
            "kernel",
            (config.depth_maps, joints, joints),
            target=network.pose_model.head.depth_grid,
            layer="depth grid",
            is_depth_grid=True,
        )
    model = network.action_model
    # The published networks with actions have both streams.
    if not isinstance(model, ActionModel):
        return
    if model.pose_stream and model.appearance_stream and model.fusion:
        yield from _group(_pose_stream(model.pose_stream))
        appearance = model.appearance_stream
        yield from _group([*_both(appearance.entry), *_action_blocks(appearance.blocks.blocks)])
        yield from _group([model.fusion.pose])
        yield from _group([model.fusion.appearance])


def _group(layers: Iterable[Layer]) -> list[KerasArray]:
    layers = list(layers)
    return [array for part in (trained, statistics) for layer in layers for array in part(layer)]


def _stem(stem: MultitaskStem) -> list[Layer]:
    short, long = _units(stem.short), _units(stem.long)
    return [
        *(
            layer
            for unit in (stem.conv1, stem.conv2, stem.conv3, stem.down1)
            for layer in _both(unit)
        ),
        *_both(long[0]),
        *_both(long[1]),
        *_interleaved(short[0], long[2]),
        *_interleaved(short[1], long[3]),
        *_both(stem.down2),
        *_interleaved(_skip(stem.residual), stem.residual.main),
    ]


def _hourglass(block: PredictionBlock) -> list[Layer]:
    h = block.hourglass
    level3 = [unit.main for unit in h.level3 if isinstance(unit, SeparableResidual)]
    return [
        *_both(h.reduce),
        *_both(h.level2_in.main),
        *_both(level3[0]),
        *_both(level3[1]),
        *_interleaved(level3[2], h.level2.main),
        *_interleaved(_skip(h.level2_out), h.level2_out.main, h.level1.main),
    ]


def _regression(block: PredictionBlock) -> list[list[Layer]]:
    parts: list[list[Layer]] = [_both(block.refine), [block.to_maps]]
    if isinstance(block.reinjection, ActConvBN):
        parts.append(_both(block.reinjection))
    return parts


def _pose_stream(stream: PoseStream) -> list[Layer]:
    long = _units(stream.long)
    return [
        *_interleaved(*stream.entry),
        *_both(long[0]),
        *_interleaved(stream.short, long[1]),
        *_action_blocks(stream.blocks.blocks),
    ]


def _action_blocks(blocks: Iterable[ActionBlock]) -> list[Layer]:
    layers: list[Layer] = []
    for block in blocks:
        for unit in (*_units(block.residual), block.refine):
            layers += _both(unit)
        layers.append(block.to_maps)
        if isinstance(block.reinjection, ActConvBN):
            layers += _both(block.reinjection)
    return layers


def _both(unit: Unit) -> list[Layer]:
    return [unit.conv, unit.bn]


def _interleaved(*units: Unit) -> list[Layer]:
    """Units at one depth of parallel branches: all convolutions, then all normalisations."""
    return [*(unit.conv for unit in units), *(unit.bn for unit in units)]


def _units(sequence: nn.Sequential) -> list[ConvBN]:
    return [unit for unit in sequence if isinstance(unit, ConvBN)]


def _skip(residual: SeparableResidual) -> ConvBN:
    if not isinstance(residual.skip, ConvBN):
        raise TypeError("this unit keeps its width, so its skip has no layers")
    return residual.skip


# ------------------------------------------------------------------ SPNet, by name


def _spnet(network: SPNet) -> Iterator[KerasArray]:
    for name, layer in _spnet_layers(network):
        yield from trained(layer, name)
        yield from statistics(layer, name)
    config = network.config
    for pyramid, level in _named_levels(network):
        size = config.image_size // 8 // 2**level.scale
        prefix = f"{pyramid}_pb{level.scale}"
        yield from grid_arrays(config.num_joints, size, (f"{prefix}_xy_x", f"{prefix}_xy_y"))
    acting = [level for level in network.levels if level.action is not None]
    for number, level in enumerate(acting, 1):
        size = config.image_size // 8 // 2**level.scale
        layers = (f"act{number}_xy2_x", f"act{number}_xy2_y")
        yield from grid_arrays(config.num_joints, size, layers)


def _named_levels(network: SPNet) -> Iterator[tuple[str, Level]]:
    """Every level with the name of its pyramid: dp1, up2, dp3 and so on."""
    for number, pyramid in enumerate(network.pyramids, 1):
        for level in pyramid.levels:
            yield f"{'dp' if number % 2 else 'up'}{number}", level


def _spnet_layers(network: SPNet) -> Iterator[tuple[str, Layer]]:
    entry = network.entry
    yield "conv1", entry.conv
    residuals = (
        entry.residual0,
        entry.residual1,
        entry.residual2,
        entry.residual3,
        entry.residual4,
    )
    for i, residual in enumerate(residuals):
        yield from _residual(f"res{i}", residual)
    acts = 0
    for pyramid, level in _named_levels(network):
        unit = f"{pyramid}_{'du' if pyramid.startswith('dp') else 'uu'}{level.scale}"
        yield from _separable_residual(f"{unit}_r0", level.unit)
        block, prefix = level.block, f"{pyramid}_pb{level.scale}"
        yield from _separable_residual(f"{prefix}_r1", block.residual)
        yield f"{prefix}_bn1", block.bn1
        yield f"{prefix}_conv1", block.conv
        yield f"{prefix}_bn2", block.bn2
        optional = {
            "heatmaps_conv1": block.to_maps,
            "heatmaps_conv1_replica": block.to_action_maps,
            "heatmaps_fw_maps": block.forward_maps,
            "heatmaps_conv2": block.reinject_maps,
            "depthmaps_conv1": block.to_depth,
            "depthmaps_conv2": block.reinject_depth,
        }
        yield from ((f"{prefix}_{key}", conv) for key, conv in optional.items() if conv is not None)
        if level.action is not None:
            acts += 1
            if level.action.transition is not None:
                yield from _separable_residual(f"{unit}_action_r0", level.action.transition)
            yield from _action_level(f"act{acts}_action", level.action)


def _action_level(prefix: str, level: ActionLevel) -> Iterator[tuple[str, Layer]]:
    block = level.block
    for letter, conv in zip("abc", block.pose_entry, strict=True):
        yield f"{prefix}_p_conv0{letter}", conv
    yield from _residual(f"{prefix}_r1", block.pose_residual)
    yield f"{prefix}_v_conv0", block.appearance_entry
    yield from _residual(f"{prefix}_r2", block.fuse)
    yield f"{prefix}_pred_bn1", block.bn1
    yield f"{prefix}_pred_conv1", block.conv
    yield f"{prefix}_pred_bn2", block.bn2
    yield f"{prefix}_pred_conv2h0", block.to_maps
    if block.reinjection is not None:
        yield f"{prefix}_pred_conv3", block.reinjection


def _residual(prefix: str, unit: Residual) -> Iterator[tuple[str, Layer]]:
    yield f"{prefix}_bn1", unit.bn1
    yield f"{prefix}_conv1", unit.conv1
    yield f"{prefix}_bn2", unit.bn2
    yield f"{prefix}_conv2", unit.conv2
    if unit.skip is not None:
        yield f"{prefix}_shortcut_conv", unit.skip


def _separable_residual(prefix: str, unit: SeparableResidualUnit) -> Iterator[tuple[str, Layer]]:
    yield f"{prefix}_bn1", unit.bn
    yield f"{prefix}_conv1", unit.conv
    if unit.skip is not None:
        yield f"{prefix}_shortcut_conv", unit.skip
