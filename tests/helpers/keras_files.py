"""Weight files of the Keras layout, with random weights or those of the reference."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np

import poseact
from poseact.weights.keras_layout import KerasArray, keras_arrays

FIXTURES = {
    "cvpr18-mpii": "a_cvpr18",
    "cvpr18-h36m": "b_cvpr18",
    "cvpr18-penn": "c_cvpr18",
    "cvpr18-ntu": "d_cvpr18",
    "spnet-penn": "e_penn_master",
    "spnet-ntu": "e_ntu_master",
}


def values_of(array: KerasArray, rng) -> np.ndarray:
    if array.expected is not None:
        return np.asarray(array.expected(), np.float32)
    if array.is_depth_grid:
        depth, joints, _ = array.shape
        grid = np.linspace(1 / (2 * depth), 1 - 1 / (2 * depth), depth)
        return np.float32(grid[:, None, None] * np.eye(joints))
    return rng.random(array.shape, np.float32) + 0.5


def write_keras(path, preset, first_action=1, nested=False):
    """A file of the Keras layout with random weights; layer by layer, one array group each."""
    rng = np.random.default_rng(1)
    arrays = keras_arrays(poseact.create_model(preset))
    by_layer: dict[str, list[tuple[str, np.ndarray]]] = {}
    for i, array in enumerate(arrays):
        layer = array.layer if preset.startswith("spnet") else f"group{i // 40}"
        if layer.startswith("act"):
            number, rest = layer[3:].split("_", 1)
            layer = f"act{int(number) + first_action - 1}_{rest}"
        prefix = layer if preset.startswith("spnet") else f"layer_{i}"
        by_layer.setdefault(layer, []).append((f"{prefix}/{array.kind}:0", values_of(array, rng)))
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if nested else file
        root.attrs["layer_names"] = [b"input_1", *(name.encode() for name in by_layer)]
        root.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for layer, weights in by_layer.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array([n.encode() for n, _ in weights], "S99")
            for name, value in weights:
                group.create_dataset(name, data=value)
    return arrays


def write_keras_file(shared, fixture, path):
    script = shared / "reference" / "keras_fixture.py"
    subprocess.run([sys.executable, script, fixture, path], check=True, capture_output=True)
