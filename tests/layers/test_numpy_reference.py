"""The network's mathematics recomputed in NumPy, loop by loop, without any of its code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from poseact.layers.conv import Conv2d, SeparableConv2d, SeparableResidual
from poseact.layers.pooling import global_max_min_pool, max_min_pool, max_pool
from poseact.layers.softargmax import (
    gather_at_joints,
    soft_argmax_1d,
    soft_argmax_2d,
    soft_argmax_at_peak,
    spatial_softmax,
    window_confidence,
)
from poseact.models.action import AppearanceStream, Fusion, PoseStream, classify
from poseact.models.pose import BlockOutput, PeakHead, PoseHead, PredictionBlock

rng = np.random.default_rng(7)


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def close(actual, wanted, tolerance=1e-9):
    np.testing.assert_allclose(actual.detach().numpy(), wanted, rtol=0, atol=tolerance)


# ------------------------------------------------------------------ NumPy, (C, H, W) everywhere


def np_same_windows(x, kernel, stride, fill):
    """All windows of a "same" padded map: yields row, column and ``(C, kh, kw)``."""
    (kh, kw), (sh, sw) = kernel, stride
    _, h, w = x.shape
    oh, ow = -(-h // sh), -(-w // sw)
    ph, pw = max((oh - 1) * sh + kh - h, 0), max((ow - 1) * sw + kw - w, 0)
    padded = np.full((x.shape[0], h + ph, w + pw), fill)
    padded[:, ph // 2 : ph // 2 + h, pw // 2 : pw // 2 + w] = x
    for r in range(oh):
        for c in range(ow):
            yield r, c, padded[:, r * sh : r * sh + kh, c * sw : c * sw + kw]


def np_conv(x, kernel, stride=1):
    """``kernel`` is ``(O, C, kh, kw)``."""
    out = np.zeros((kernel.shape[0], -(-x.shape[1] // stride), -(-x.shape[2] // stride)))
    for r, c, window in np_same_windows(x, kernel.shape[2:], (stride, stride), 0.0):
        out[:, r, c] = np.tensordot(kernel, window, 3)
    return out


def np_depthwise(x, kernel):
    """``kernel`` is ``(C, 1, kh, kw)``."""
    out = np.zeros_like(x)
    for r, c, window in np_same_windows(x, kernel.shape[2:], (1, 1), 0.0):
        out[:, r, c] = (kernel[:, 0] * window).sum((1, 2))
    return out


def np_pool(x, size, stride, reduce, fill):
    out = np.zeros((x.shape[0], -(-x.shape[1] // stride[0]), -(-x.shape[2] // stride[1])))
    for r, c, window in np_same_windows(x, (size, size), stride, fill):
        out[:, r, c] = reduce(window, axis=(1, 2))
    return out


def np_batch_norm(x, bn):
    mean, var = bn.running_mean.numpy(), bn.running_var.numpy()
    shift = bn.bias.detach().numpy()
    return (x - mean[:, None, None]) / np.sqrt(var + 1e-3)[:, None, None] + shift[:, None, None]


def np_softmax(x):
    e = np.exp(x - x.max((-2, -1), keepdims=True))
    return e / e.sum((-2, -1), keepdims=True)


def np_soft_argmax(probabilities):
    """``(J, H, W)`` to ``(J, 2)``; pixel i of N at i / (N - 1)."""
    _, h, w = probabilities.shape
    out = np.zeros((len(probabilities), 2))
    for r in range(h):
        for c in range(w):
            position = c / (w - 1), r / (h - 1)
            out += probabilities[:, r, c, None] * np.array(position)
    return out


def np_up2(x, height, width):
    return x.repeat(2, 1).repeat(2, 2)[:, :height, :width]


# ------------------------------------------------------------------ layers


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (7, 11), (5, 1)])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(3, 1), (3, 2), (7, 2), (5, 1), ((3, 5), 1), (2, 2)]
)
def test_same_padding_convolution(size, kernel, stride):
    conv = Conv2d(3, 4, kernel, stride).double()
    x = rng.normal(size=(3, *size))
    close(conv(tensor(x)[None])[0], np_conv(x, conv.weight.detach().numpy(), stride))


def test_separable_convolution_is_depthwise_then_pointwise():
    conv = SeparableConv2d(4, 6, 5).double()
    x = rng.normal(size=(4, 6, 7))
    depthwise = np_depthwise(x, conv.depthwise.weight.detach().numpy())
    close(conv(tensor(x)[None])[0], np_conv(depthwise, conv.pointwise.weight.detach().numpy()))


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 5), (1, 1)])
@pytest.mark.parametrize(("kernel", "stride"), [(2, (2, 2)), (3, (2, 2)), (2, (1, 2))])
def test_max_pool_with_same_padding(size, kernel, stride):
    x = rng.normal(size=(3, *size)) - 5
    wanted = np_pool(x, kernel, stride, np.max, -np.inf)
    close(max_pool(tensor(x)[None], kernel, stride)[0], wanted)


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 5)])
def test_max_min_pool_is_the_signed_sum_of_both_ends(size):
    x = rng.normal(size=(3, *size))
    wanted = np_pool(x, 2, (2, 2), np.max, -np.inf) + np_pool(x, 2, (2, 2), np.min, np.inf)
    close(max_min_pool(tensor(x)[None])[0], wanted)
    close(global_max_min_pool(tensor(x)[None])[0], x.max((1, 2)) + x.min((1, 2)))


def test_soft_argmax_2d_and_1d():
    logits = rng.normal(size=(5, 6, 9)) * 3
    probabilities = np_softmax(logits)
    close(spatial_softmax(tensor(logits)[None])[0], probabilities)
    close(soft_argmax_2d(tensor(probabilities)[None])[0], np_soft_argmax(probabilities))

    depth = rng.normal(size=(8, 5))  # (D, J)
    weights = np.exp(depth) / np.exp(depth).sum(0)
    grid = np.linspace(0, 1, 8)
    wanted = (weights * grid[:, None]).sum(0)
    close(soft_argmax_1d(tensor(depth)[None], tensor(grid))[0], wanted)


def test_window_confidence_is_the_largest_2x2_sum():
    probabilities = np_softmax(rng.normal(size=(4, 5, 6)) * 4)
    wanted = [
        max(p[r : r + 2, c : c + 2].sum() for r in range(4) for c in range(5))
        for p in probabilities
    ]
    close(window_confidence(tensor(probabilities)[None])[0], wanted)


def test_gathering_is_the_kronecker_product_summed_over_the_map():
    heatmaps, features = rng.random((3, 4, 5)), rng.normal(size=(6, 4, 5))
    product = heatmaps[:, None] * features[None]  # (J, C, H, W)
    wanted = product.sum((2, 3))
    close(gather_at_joints(tensor(heatmaps)[None], tensor(features)[None])[0], wanted)


# ------------------------------------------------------------------ heads


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_context_aggregation_head():
    joints, context = 3, 2
    logits = rng.normal(size=(joints * (1 + context), 6, 6)) * 3
    wanted = np.zeros((joints, 2))
    for j in range(joints):
        own = np_soft_argmax(np_softmax(logits[j : j + 1]))[0]
        total, weight = np.zeros(2), 0.0
        for c in range(context):
            chart = logits[joints + context * j + c]
            trust = sigmoid(chart.max())
            total += trust * np_soft_argmax(np_softmax(chart[None]))[0]
            weight += trust
        wanted[j] = 0.8 * own + 0.2 * total / weight
    output = PoseHead(joints, 1, context).double()(tensor(logits)[None])
    close(output.joints[0], wanted)
    close(output.peak.sigmoid()[0], sigmoid(logits[:joints].max((1, 2))))


def test_volumetric_head():
    joints, depth_maps = 3, 4
    volume = rng.normal(size=(depth_maps, joints, 6, 6)) * 3
    output = PoseHead(joints, depth_maps, 0).double()(tensor(volume.reshape(1, -1, 6, 6)))
    plane, column = volume.mean(0), volume.mean((2, 3))
    z = (np.exp(column) / np.exp(column).sum(0) * np.linspace(0, 1, depth_maps)[:, None]).sum(0)
    xy = np_soft_argmax(np_softmax(plane))
    close(output.joints[0], np.concatenate((xy, z[:, None]), 1), 1e-7)  # the grid is float32
    close(output.peak[0], plane.max((1, 2)) + column.max(0))


@pytest.mark.parametrize("cells", [1, 3, 99])
def test_place_around_the_peak(cells):
    """Against an explicit window of the map, also where the peak lies at the border."""
    logits = rng.normal(size=(3, 6, 9)) * 3
    logits[0, 0, -1] = 12
    maps = np_softmax(logits)
    places, shares = [], []
    for joint in maps:
        row, column = np.unravel_index(joint.argmax(), joint.shape)
        near = (
            slice(max(row - cells, 0), row + cells + 1),
            slice(max(column - cells, 0), column + cells + 1),
        )
        window = np.zeros_like(joint)
        window[near] = joint[near]
        shares.append(window.sum())
        places.append(np_soft_argmax((window / window.sum())[None])[0])
    position, share = soft_argmax_at_peak(tensor(maps)[None], cells)
    close(position[0], np.stack(places))
    close(share[0], np.stack(shares))


def test_peak_head():
    """Known maps plus the upsampled mean of the volume; depth from the volume at the joint."""
    joints, depth_maps, channels = 2, 4, 5
    head = PeakHead(joints, depth_maps, channels).double()
    to_maps = Conv2d(channels, joints * depth_maps, 1).double()
    refined = rng.normal(size=(channels, 4, 6))
    # Sharp enough that a joint's probability lies in one cell of the coarse volume.
    known = np.full((joints, 8, 12), -30.0)
    known[0, 4:6, 6:8], known[1, 0:2, 10:12] = 30, 30
    output = head.read(
        BlockOutput(tensor(refined)[None], tensor(refined)[None], to_maps), tensor(known)[None]
    )
    volume = np_conv(np.maximum(refined, 0), to_maps.weight.detach().numpy())
    volume = volume.reshape(depth_maps, joints, 4, 6)
    doubled = F.interpolate(tensor(volume.mean(0))[None], scale_factor=2, mode="bilinear")[0]
    maps = np_softmax(known + doubled.numpy())
    close(output.heatmaps[0], maps)
    close(output.joints[0, :, :2], np_soft_argmax(maps), 1e-6)
    for j, (row, column) in enumerate(((2, 3), (0, 5))):
        share = np_softmax(volume[:, j, row, column][None, :, None]).ravel()
        close(output.joints[0, j, 2], (share * np.linspace(0, 1, depth_maps)).sum(), 1e-6)


def test_a_second_peak_does_not_move_the_joint():
    logits = torch.full((1, 1, 9, 9), -9.0)
    logits[0, 0, 2, 2], logits[0, 0, 2, 8] = 5.0, 4.9
    maps = spatial_softmax(logits)
    position, share = soft_argmax_at_peak(maps, 2)
    torch.testing.assert_close(position[0, 0], torch.tensor((2 / 8, 2 / 8)), atol=1e-3, rtol=0)
    assert abs(soft_argmax_2d(maps)[0, 0, 0] - (0.525 * 2 + 0.475 * 8) / 8) < 0.01
    assert abs(share.item() - 0.525) < 0.01


# ------------------------------------------------------------------ one whole prediction block


def with_statistics(module):
    """The module in float64 with statistics and shifts that are not those of a fresh one."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.running_mean)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
            torch.nn.init.normal_(part.bias)
    return module.double().eval()


def np_sepres(x, unit: SeparableResidual):
    relu = np.maximum(x, 0)
    conv = unit.main.conv
    main = np_conv(
        np_depthwise(relu, conv.depthwise.weight.detach().numpy()),
        conv.pointwise.weight.detach().numpy(),
    )
    main = np_batch_norm(main, unit.main.bn)
    if isinstance(unit.skip, torch.nn.Identity):
        return x + main
    skip = np_conv(relu, unit.skip.conv.weight.detach().numpy())
    return np_batch_norm(skip, unit.skip.bn) + main


def np_act_conv_bn(x, unit):
    return np_batch_norm(np_conv(np.maximum(x, 0), unit.conv.weight.detach().numpy()), unit.bn)


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_whole_prediction_block(size):
    block = PredictionBlock(channels=6, low_channels=4, maps=5, kernel=5, last=False)
    block = with_statistics(block)
    x = rng.normal(size=(6, *size))

    h = block.hourglass
    half = np_act_conv_bn(np_pool(x, 2, (2, 2), np.max, -np.inf), h.reduce)
    half = np_sepres(half, h.level2_in)
    quarter = np_pool(half, 2, (2, 2), np.max, -np.inf)
    for unit in h.level3:
        quarter = np_sepres(quarter, unit)
    half = np_sepres(half, h.level2) + np_up2(quarter, *half.shape[1:])
    visual = np_sepres(x, h.level1) + np_up2(np_sepres(half, h.level2_out), *size)
    conv = block.refine.conv
    refined = np_batch_norm(
        np_conv(
            np_depthwise(np.maximum(visual, 0), conv.depthwise.weight.detach().numpy()),
            conv.pointwise.weight.detach().numpy(),
        ),
        block.refine.bn,
    )
    logits = np_conv(np.maximum(refined, 0), block.to_maps.weight.detach().numpy())
    following = visual + refined + np_act_conv_bn(logits, block.reinjection)

    output = block(tensor(x)[None])
    close(output.visual[0], visual)
    close(output.refined[0], refined)
    close(output.logits[0], logits)
    close(block.reinject(output)[0], following)


# ------------------------------------------------------------------ the action streams


def np_conv_bn(x, unit):
    return np_batch_norm(np_conv(x, unit.conv.weight.detach().numpy()), unit.bn)


def np_max_min_pool(x):
    return np_pool(x, 2, (2, 2), np.max, -np.inf) + np_pool(x, 2, (2, 2), np.min, np.inf)


def np_action_blocks(x, blocks):
    """``(C, T, J)`` features to the class maps of every block, each re-injected into the next."""
    outputs = []
    for k, block in enumerate(blocks):
        if k:
            previous = blocks[k - 1].reinjection
            x = x + np_act_conv_bn(np_up2(outputs[-1], *x.shape[1:]), previous)
        first, second = block.residual
        x = x + np_act_conv_bn(np_act_conv_bn(x, first), second)
        refined = np_act_conv_bn(x, block.refine)
        pooled = np.maximum(np_max_min_pool(refined), 0)
        outputs.append(np_conv(pooled, block.to_maps.weight.detach().numpy()))
        x = x + refined
    return outputs


@pytest.mark.parametrize(("frames", "joints"), [(8, 6), (5, 7)])
def test_pose_stream(frames, joints):
    stream = with_statistics(PoseStream(2, filters=2, width=7, num_actions=3, num_blocks=2))
    x = rng.normal(size=(frames, joints, 2))
    image = x.transpose(2, 0, 1)
    entry = np.concatenate([np.maximum(np_conv_bn(image, unit), 0) for unit in stream.entry])
    narrow, wide = stream.long
    long = np_conv_bn(np_conv_bn(entry, narrow), wide)
    entry = np_max_min_pool(np.concatenate((np_conv_bn(entry, stream.short), long)))
    wanted = np_action_blocks(entry, list(stream.blocks.blocks))
    for maps, expected in zip(stream(tensor(x)[None]), wanted, strict=True):
        close(maps[0], expected)


def test_appearance_stream():
    stream = with_statistics(AppearanceStream(5, channels=8, num_actions=3, num_blocks=2))
    x = rng.normal(size=(6, 7, 5))  # (T, J, C)
    entry = np_pool(np_conv_bn(x.transpose(2, 0, 1), stream.entry), 2, (2, 2), np.max, -np.inf)
    wanted = np_action_blocks(entry, list(stream.blocks.blocks))
    for maps, expected in zip(stream(tensor(x)[None]), wanted, strict=True):
        close(maps[0], expected)


def test_fusion_weighs_the_streams_across_classes():
    fusion = Fusion(3).double()
    poses, appearance = rng.normal(size=(2, 3, 4, 5))
    close(fusion(tensor(poses)[None], tensor(appearance)[None])[0], poses + appearance)
    wanted = np.zeros_like(poses)
    for stream, maps in ((fusion.pose, poses), (fusion.appearance, appearance)):
        for convolution in stream:
            torch.nn.init.normal_(convolution.weight)
        scaled = np_depthwise(maps, stream.depthwise.weight.detach().numpy())
        wanted += np_conv(scaled, stream.pointwise.weight.detach().numpy())
    fused = fusion(tensor(poses)[None], tensor(appearance)[None])
    close(fused[0], wanted)
    scores = wanted.max((1, 2)) + wanted.min((1, 2))
    probabilities = np.exp(scores) / np.exp(scores).sum()
    close(classify(fused).log_probabilities[0].exp(), probabilities)
