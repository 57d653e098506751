"""Import of Keras files that the tests write themselves, and files that are wrong."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import poseact
from helpers.keras_files import values_of, write_keras
from poseact.cli import app
from poseact.layers.conv import Conv2d
from poseact.weights.keras_layout import keras_arrays, trained


def assert_every_array_arrived(network):
    """The values are those that ``write_keras`` writes."""
    rng = np.random.default_rng(1)
    for array in keras_arrays(network):
        value = values_of(array, rng)
        if array.is_depth_grid:
            value = value[:, 0, 0]
        elif array.target is not None:
            value = array.to_torch(value)
        else:
            continue
        assert np.array_equal(array.target.detach().numpy(), value)


@pytest.mark.parametrize(
    "preset", ["cvpr18-h36m", pytest.param("spnet-ntu", marks=pytest.mark.slow(covers=True))]
)
def test_every_array_arrives(preset, tmp_path):
    path = tmp_path / "weights.h5"
    write_keras(path, preset)
    network = poseact.import_keras(path, preset)
    assert_every_array_arrived(network)
    assert "0 missing, 0 unexpected" in network.card.provenance["import"]
    assert network.card.preset == preset


def test_convolution_kernels_keep_their_meaning(tmp_path):
    """A Keras kernel is (height, width, in, out); a tap that moves one pixel tells them apart."""
    conv = Conv2d(2, 3, (3, 5))
    (array,) = trained(conv)
    assert array.shape == (3, 5, 2, 3)
    kernel = np.zeros(array.shape, np.float32)
    kernel[0, 4, 1, 2] = 1  # output 2 reads input 1 from one row above, two columns to the right
    conv.weight.data = torch.from_numpy(array.to_torch(kernel).copy())
    x = torch.zeros(1, 2, 7, 7)
    x[0, 1, 2, 5] = 1
    y = conv(x)
    assert y[0, 2, 3, 3] == 1
    assert y.abs().sum() == 1


@pytest.mark.slow(covers=True)
def test_action_blocks_counted_on_by_keras(tmp_path):
    write_keras(tmp_path / "first.h5", "spnet-ntu")
    write_keras(tmp_path / "later.h5", "spnet-ntu", first_action=7, nested=True)
    first, later = (
        poseact.import_keras(tmp_path / name, "spnet-ntu") for name in ("first.h5", "later.h5")
    )
    for a, b in zip(first.state_dict().values(), later.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture(scope="module")
def mpii_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "mpii.h5"
    write_keras(path, "cvpr18-mpii")
    return path


def test_file_of_another_model_names_the_right_one(mpii_file):
    with pytest.raises(
        poseact.PoseActError, match=r"not a file of cvpr18-h36m.*--preset cvpr18-mpii"
    ):
        poseact.import_keras(mpii_file, "cvpr18-h36m")
    with pytest.raises(poseact.PoseActError, match=r"arrays missing.*--preset cvpr18-mpii"):
        poseact.import_keras(mpii_file, "spnet-penn")


def test_truncated_file(mpii_file, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes(mpii_file.read_bytes()[:1_000_000])
    with pytest.raises(poseact.PoseActError, match="cut off or damaged"):
        poseact.import_keras(path, "cvpr18-mpii")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not an HDF5 file"), (b"PK\x03\x04 something else", "not an HDF5 file")],
)
def test_no_hdf5(content, message, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(poseact.PoseActError, match=message):
        poseact.import_keras(path, "cvpr18-mpii")


def test_hdf5_without_keras_weights(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(poseact.PoseActError, match="without Keras weights"):
        poseact.import_keras(path, "cvpr18-mpii")


def test_missing_file_and_preset_without_file(tmp_path, mpii_file):
    with pytest.raises(poseact.PoseActError, match="no file"):
        poseact.import_keras(tmp_path / "none.h5", "cvpr18-mpii")
    with pytest.raises(poseact.PoseActError, match="no Keras file for the preset 'tiny'"):
        poseact.import_keras(mpii_file, "tiny")


def rewritten(source, target, kind_and_shape, change):
    """A copy of the file in which the arrays of one kind and shape are changed."""
    target.write_bytes(source.read_bytes())

    def visit(_, item):
        if (
            isinstance(item, h5py.Dataset)
            and (item.name.split("/")[-1], item.shape) == kind_and_shape
        ):
            item[...] = change(item[...])

    with h5py.File(target, "r+") as file:
        file.visititems(visit)
    return target


@pytest.mark.parametrize(
    ("kind_and_shape", "change"),
    [
        (("depthwise_kernel:0", (32, 32, 16, 1)), lambda grid: grid * 0.99),
        (("kernel:0", (32, 16)), lambda aggregation: aggregation * np.nan),
        pytest.param(
            ("pointwise_kernel:0", (1, 1, 16, 16)),
            lambda identity: identity * 1.01,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("kernel:0", (32, 16)), lambda aggregation: aggregation[::-1], marks=pytest.mark.slow
        ),
    ],
)
def test_fixed_arrays_are_checked(mpii_file, tmp_path, kind_and_shape, change):
    path = rewritten(mpii_file, tmp_path / "changed.h5", kind_and_shape, change)
    with pytest.raises(poseact.PoseActError, match=r"fixed array|not finite"):
        poseact.import_keras(path, "cvpr18-mpii")


def test_command_writes_a_checkpoint(mpii_file, tmp_path):
    out = tmp_path / "mpii.safetensors"
    command = ["import-keras", str(mpii_file), "--preset", "cvpr18-mpii", "-o", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "482 arrays, 14,847,936 values = 14,669,952 trained" in result.output
    assert_every_array_arrived(poseact.load(out))
