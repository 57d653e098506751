"""Calibration of the confidence on people who were not learnt from."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from poseact import create_model
from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.evaluation.pose_evaluation import evaluate
from poseact.skeleton import PA21
from poseact.training.confidence import calibrate_confidence

SIDE = 64


@dataclass(frozen=True)
class Noise:
    """A picture of noise."""

    number: int

    def read(self) -> np.ndarray:
        return np.random.default_rng(self.number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def person(number: int, offset: np.ndarray) -> PoseSample:
    known = np.ones(len(PA21), bool)
    return PoseSample(
        name=f"person_{number}",
        image=Noise(number),
        skeleton=PA21,
        joints=np.column_stack((SIDE / 2 + offset, np.zeros(len(PA21)))).astype(np.float32),
        valid=known,
        visible=known,
        depth_valid=np.zeros(len(PA21), bool),
        box=(0.0, 0.0, float(SIDE), float(SIDE)),
    )


@pytest.fixture
def people():
    """Labels of which half are near the middle, where an untrained network sees every joint."""
    rng = np.random.default_rng(0)
    return [
        person(n, rng.normal(0, 1, (21, 2)) * np.where(rng.random((21, 1)) < 0.5, 1, 12))
        for n in range(40)
    ]


def small_network():
    return create_model("small", stem_width=0.25, channels=16, low_channels=16).eval()


def test_calibration_makes_an_overconfident_network_honest_and_moves_no_joint(people):
    network = small_network()
    with torch.no_grad():
        network.pose_model.confidence.out.bias.add_(3)
    before = evaluate(network, people, SIDE, data="noise").metrics
    report = calibrate_confidence(network, people)
    after = evaluate(network, people, SIDE, data="noise").metrics
    assert before["confidence_ece"].mean > 0.2
    assert after["confidence_ece"].mean < 0.05
    assert report["after"] < report["before"]
    assert after["pck"] == before["pck"]


def test_calibrating_twice_changes_nothing_more(people):
    network = small_network()
    calibrate_confidence(network, people)
    first = network.pose_model.confidence.calibration.clone()
    calibrate_confidence(network, people)
    torch.testing.assert_close(
        network.pose_model.confidence.calibration, first, atol=1e-2, rtol=1e-2
    )


def test_networks_and_people_that_cannot_be_calibrated_are_refused(people):
    with pytest.raises(PoseActError, match="confidence is not learned"):
        calibrate_confidence(create_model("tiny"), people)
    with pytest.raises(PoseActError, match="of 0 joints"):
        calibrate_confidence(
            small_network(), [p.__class__(**{**p.__dict__, "valid": ~p.valid}) for p in people]
        )


def test_shares_split_photos_and_keep_crops_of_one_together(tmp_path, monkeypatch):
    names = [f"{photo}_{crop}.jpg" for photo in range(200) for crop in range(2)]
    samples = [
        person(n, np.zeros((21, 2))).__class__(
            **{**person(n, np.zeros((21, 2))).__dict__, "name": name}
        )
        for n, name in enumerate(names)
    ]
    monkeypatch.setattr("poseact.data.sources.ADAPTERS", {"coco": lambda *_, **__: samples})
    parts = [
        {s.name for s in SourceSpec(adapter="coco", root="x", share=share).read(PA21)}
        for share in ((0, 0.9), (0.9, 1))
    ]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == len(names)
    assert 10 < len(parts[1]) < 80
    assert not {n.split("_")[0] for n in parts[0]} & {n.split("_")[0] for n in parts[1]}
    with pytest.raises(PoseActError, match="increasing numbers, 0 to 1"):
        SourceSpec(adapter="coco", root="x", share=(0.9, 0.5))
