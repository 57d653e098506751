"""Every published network against the original's outputs, through the public import command.

The weights are those of ``fillspec.py`` in a real HDF5 file of the Keras layout; the golden outputs
come from the original network. Without the reference material these tests skip; the independent
check in ``test_numpy_reference.py`` needs none.
"""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

import poseact
from helpers.keras_files import FIXTURES, write_keras_file
from poseact.cli import app
from poseact.models.presets import num_parameters
from poseact.weights.keras_layout import keras_arrays

TOLERANCE = 2e-5

# network-spec section 12: total, trained, not trained, arrays.
COUNTS = {
    "cvpr18-mpii": (14_847_936, 14_669_952, 177_984, 482),
    "cvpr18-h36m": (16_721_938, 16_605_312, 116_626, 478),
    "cvpr18-penn": (12_906_496, 12_754_912, 151_584, 430),
    "cvpr18-ntu": (16_988_568, 16_890_152, 98_416, 426),
    "spnet-penn": (20_541_416, 20_236_000, 305_416, 873),
    "spnet-ntu": (12_834_928, 12_674_504, 160_424, 518),
}


@pytest.mark.parametrize("preset", COUNTS)
def test_parameter_counts_are_those_of_the_original(preset):
    network = poseact.create_model(preset)
    arrays = keras_arrays(network)
    trained = num_parameters(network)
    in_file = sum(int(np.prod(array.shape)) for array in arrays)
    assert (in_file, trained, in_file - trained, len(arrays)) == COUNTS[preset]


@pytest.fixture(scope="module", params=FIXTURES)
def case(request, shared, tmp_path_factory):
    """The imported network, its float32 prediction and the golden outputs."""
    preset, fixture = request.param, FIXTURES[request.param]
    folder = tmp_path_factory.mktemp(fixture)
    keras_file, checkpoint = folder / "weights.h5", folder / "weights.safetensors"
    write_keras_file(shared, fixture, keras_file)
    result = CliRunner().invoke(
        app, ["import-keras", str(keras_file), "--preset", preset, "-o", str(checkpoint)]
    )
    assert result.exit_code == 0, result.output
    assert "0 missing, 0 unexpected" in result.output
    keras_file.unlink()
    network = poseact.load(checkpoint)
    frames = golden_frames(shared, network)
    with torch.inference_mode():
        prediction = network(frames)
    golden = np.load(shared / "reference" / "golden" / f"golden_{fixture}.npz")
    return network, frames, named_outputs(prediction), golden


def golden_frames(shared, network):
    sys.path.insert(0, str(shared / "reference"))
    from fillspec import golden_input  # noqa: PLC0415 - it lies outside the project

    clip = network.config.frames
    lead = (2,) if clip == 1 else (2, clip)
    pixels = torch.from_numpy(golden_input((*lead, 256, 256, 3)))
    frames = pixels.reshape(2, clip, 256, 256, 3).permute(0, 1, 4, 2, 3)
    # The second clip of a batch would only take as long again.
    return frames if clip == 1 else frames[:1]


def named_outputs(prediction):
    """The prediction under the names of the golden files; arrays shaped as there."""
    if prediction.actions and "pose" not in prediction.actions:
        poses = [torch.cat((p.joints, p.confidence.unsqueeze(-1)), -1) for p in prediction.poses]
        levels = ("pb1", "pb2", "pb3"), ("pb2", "pb1", "pb0")
        names = [
            f"{('dp', 'up')[i // 3 % 2]}{i // 3 + 1}_{levels[i // 3 % 2][i % 3]}"
            for i in range(len(poses))
        ]
        outputs = dict(zip(names, poses, strict=True))
        for k, action in enumerate(prediction.actions["fused"], 1):
            outputs[f"act{k}_ac_a0"] = action.probabilities
        return outputs
    prefix = "pe_" if prediction.actions else ""
    outputs = {}
    for k, pose in enumerate(prediction.poses, 1):
        outputs[f"{prefix}pose_b{k}"] = pose.joints
        outputs[f"{prefix}conf_b{k}"] = pose.confidence
    if not prediction.actions:
        return outputs
    for letter, stream in (("p", "pose"), ("v", "appearance")):
        for k, action in enumerate(prediction.actions[stream], 1):
            outputs[f"{letter}{k}"] = action.probabilities
            outputs[f"act_map_{letter}{k}"] = action.maps.permute(0, 2, 3, 1)
    outputs["m"] = prediction.action.probabilities
    outputs["pose"] = prediction.action_pose.joints
    outputs["conf"] = prediction.action_pose.confidence
    outputs["hs_f0"] = prediction.pose.heatmaps[:, 0].permute(0, 2, 3, 1)
    pooled = F.avg_pool2d(prediction.features[:, 0], 4)[:, ::8]
    outputs["xb1_f0_pool"] = pooled.permute(0, 2, 3, 1)
    outputs["kron_f048"] = prediction.appearance[:, 0:9:4]
    return outputs


@pytest.mark.slow
def test_every_golden_output(case):
    _, _, outputs, golden = case
    assert set(golden) == set(outputs)
    for name, value in outputs.items():
        wanted = golden[name][: len(value)]
        difference = np.abs(value.numpy().reshape(wanted.shape) - wanted).max()
        assert difference <= TOLERANCE, f"{name} differs by {difference:.2e}"


@pytest.mark.slow
def test_float32_and_folded_agree_with_float64(case):
    network, frames, _, golden = case
    # The first frames of a clip are a clip too, of any size, and float64 is slow.
    few = frames[:1, :2, :, ::2, ::2]
    exact = copy.deepcopy(network).double()
    with torch.inference_mode():
        plain = named_outputs(network(few))
        folded = named_outputs(poseact.fused(network)(few))
        reference = named_outputs(exact(few.double()))
        exact_folded = named_outputs(poseact.fused(exact)(few.double()))
    for name, value in reference.items():
        # The gathered features reach 13, so their rounding is larger as well.
        scale = max(1.0, float(np.abs(golden[name]).max()))
        assert (plain[name].double() - value).abs().max() <= 5e-6 * scale, name
        assert (folded[name].double() - value).abs().max() <= 5e-6 * scale, name
        assert (exact_folded[name] - value).abs().max() <= 1e-6, name


@pytest.mark.slow
def test_fewer_blocks_are_the_first_blocks(case):
    network, frames, outputs, _ = case
    with torch.inference_mode():
        prediction = network(frames[:1], num_blocks=1)
    full = next(value for name, value in outputs.items() if name.endswith("b1"))
    joints = prediction.pose.joints
    torch.testing.assert_close(joints, full[:1, ..., : joints.shape[-1]].reshape(joints.shape))
