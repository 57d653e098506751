"""Every published network against outputs recorded when it equalled the original.

These are not the original's outputs: they were recorded from this implementation while
``test_parity.py`` passed, with weights and frames that the test makes itself, so that test runs
without the reference material notice any change of the mathematics. To record them again:
``python tests/models/test_fingerprints.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import poseact
from poseact.models.presets import PRESETS

RECORD = Path(__file__).with_name("fingerprints.json")
SIZE, FRAMES = 128, 3


def filled(preset):
    """The preset's network in float64 with weights made from the number of each tensor."""
    network = poseact.create_model(preset).double().eval()
    for number, (name, tensor) in enumerate(network.state_dict().items()):
        if not tensor.is_floating_point() or name.endswith("depth_grid"):
            continue
        uniform = np.random.default_rng(number).random(tuple(tensor.shape)) * 2 - 1
        if name.endswith("running_var"):
            value = 1 + 0.5 * uniform
        elif tensor.ndim == 4:
            value = uniform * np.sqrt(3 / np.prod(tensor.shape[1:]))
        elif name.endswith("weight"):
            value = 1 + 0.2 * uniform
        else:
            value = 0.1 * uniform
        tensor.copy_(torch.from_numpy(np.asarray(value)))
    return network


def fingerprint(preset):
    """Projections of every output onto fixed random directions."""
    rng = np.random.default_rng(2018)
    frames = torch.from_numpy(rng.random((1, FRAMES, 3, SIZE, SIZE)) * 2 - 1)
    with torch.inference_mode():
        prediction = filled(preset)(frames)
    outputs = {}
    for k, pose in enumerate(prediction.poses, 1):
        outputs[f"pose {k}"] = pose.joints
        outputs[f"confidence {k}"] = pose.confidence
    for stream, actions in prediction.actions.items():
        for k, action in enumerate(actions, 1):
            outputs[f"{stream} {k}"] = action.log_probabilities
    return {
        name: float((value.numpy() * rng.random(value.shape)).mean())
        for name, value in outputs.items()
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_has_changed(preset):
    recorded = json.loads(RECORD.read_text())[preset]
    assert fingerprint(preset) == pytest.approx(recorded, rel=1e-7)


if __name__ == "__main__":
    RECORD.write_text(json.dumps({p: fingerprint(p) for p in PRESETS}, indent=1) + "\n")
    sys.exit(0)
