"""Calibration of the confidence on people who were not learnt from."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import yaml

import poseact
from helpers.lsp_files import write_lsp_people
from poseact import create_model
from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.evaluation.pose_evaluation import evaluate
from poseact.media import write_image
from poseact.media.crop import to_frames
from poseact.skeleton import PA21
from poseact.training.confidence import calibrate_confidence
from poseact.training.train_pose import Machine, train

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


SMALL = {"stem_width": 0.25, "channels": 16, "low_channels": 16, "image_size": SIDE}


def small_network():
    return create_model("small", **SMALL).eval()


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


def recipe_of(tmp_path, preset: str, first):
    """A recipe that learns only the confidence, from pictures without people."""
    write_lsp_people(tmp_path / "people", 4)
    (tmp_path / "rooms").mkdir()
    for number in range(4):
        write_image(tmp_path / "rooms" / f"{number}.png", Noise(number).read())
    poseact.save(first, tmp_path / "first.safetensors")
    content = {
        "name": "sure",
        "licence": "none",
        "network": {
            "preset": preset,
            "changes": SMALL if preset == "small" else {"image_size": 64},
            "init": str(tmp_path / "first.safetensors"),
        },
        "learn": ["confidence"],
        "data": {
            "train": {
                "people": {"adapter": "lsp-extended", "root": str(tmp_path / "people")},
                "rooms": {"adapter": "backgrounds", "root": str(tmp_path / "rooms"), "ratio": 3},
            }
        },
        "optimiser": {"name": "adamw", "lr": 0.01, "ema": None},
        "schedule": {"warm_up": 0},
        "steps": 12,
        "batch": 8,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_confidence_alone_learns_what_is_nobody_and_moves_no_joint(tmp_path):
    torch.manual_seed(0)
    first = small_network()
    with torch.no_grad():
        first.pose_model.confidence.out.bias.add_(2)
    path = recipe_of(tmp_path, "small", first)
    (report,) = train(path, tmp_path / "run", machine=Machine(workers=0))
    after = poseact.load(report.weights).eval()
    old, new = first.state_dict(), after.state_dict()
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed
    assert all(key.startswith("pose_model.head.confidence.") for key in changed)
    nobody = np.stack([Noise(number).read() for number in range(8)])
    frames = to_frames(torch.from_numpy(nobody))
    with torch.no_grad():
        sure = [network(frames).pose.confidence.mean().item() for network in (first, after)]
    assert sure[1] < sure[0] - 0.2


def test_confidence_that_cannot_be_learned_is_refused(tmp_path):
    path = recipe_of(tmp_path, "tiny", create_model("tiny", image_size=64))
    with pytest.raises(PoseActError, match="learn: confidence was given for a network"):
        train(path, tmp_path / "run", machine=Machine(workers=0))


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
