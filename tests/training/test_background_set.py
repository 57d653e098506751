"""The background set: motion of no action, which makes the limits of "unknown" stricter."""

import numpy as np
import pytest
import torch

import poseact
from poseact.actions.clip_inputs import read_windows
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.calibration import calibrate
from poseact.models.multitask import MultitaskNetwork
from poseact.models.window_heads import Prototypes
from poseact.training.background_set import fits_background, read_background
from poseact.training.heads import train_heads
from poseact.training.instant import train_instant
from poseact.weights.checkpoint import load, save


@pytest.fixture(scope="module")
def pose_network():
    return poseact.load("small-open")


@pytest.fixture(scope="module")
def shown(pose_network):
    """Clips of two actions in the features of the shipped network, around two looks."""
    skeleton = pose_network.config.skeleton
    found = read_background().appearance.unflatten(1, (len(skeleton), -1))
    rng = np.random.default_rng(0)
    middle, spread = found.mean(0).numpy(), found.std(0).numpy()
    looks = {name: middle + spread * rng.normal(0, 1, middle.shape) for name in ("bend", "lift")}
    clips = []
    for number in range(12):
        name = ("bend", "lift")[number % 2]
        noise = 0.3 * spread * rng.normal(0, 1, (40, *middle.shape))
        clips.append(
            PoseSequence(
                f"{name} {number}",
                skeleton,
                np.arange(40) / 15,
                rng.normal(100, 30, (40, len(skeleton), 3)).astype(np.float32),
                np.full((40, len(skeleton)), 0.9, np.float32),
                (looks[name] + noise).astype(np.float16),
                label=name,
            )
        )
    return clips


def test_it_fits_the_shipped_weights_alone(pose_network):
    larger = poseact.load("base-open")
    assert isinstance(larger, MultitaskNetwork)

    assert fits_background(pose_network)
    assert not fits_background(larger)


def test_nearness_to_the_background_counts_against_a_motion():
    prototypes = Prototypes(2, 1, background=2)
    prototypes.axes.zero_()[:, :2] = torch.eye(2)
    prototypes.whitening.copy_(torch.eye(len(prototypes.whitening)))
    for kept, where in ((prototypes.centre, 0), (prototypes.places, 0), (prototypes.spread, 1)):
        kept.fill_(where)
    assert prototypes.background is not None
    prototypes.background.zero_()[:, 0] = 5
    windows = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])

    towards, away = prototypes.likeness(windows, prototypes(windows))

    assert towards < away
    assert away - towards == pytest.approx(0.5 * np.log(64 / 4))


def test_without_it_the_distance_alone_counts():
    prototypes = Prototypes(3, 2)
    distances = torch.tensor([[4.0, 9.0]])

    assert "background" not in prototypes.state_dict()
    assert prototypes.likeness(torch.zeros(1, 3), distances) == pytest.approx(-np.log(4))


def test_it_is_part_of_the_weights(pose_network, shown, tmp_path):
    network = train_instant(shown, pose_network=pose_network)
    calibrate(network, shown)
    save(network, tmp_path / "actions.safetensors")

    again = load(tmp_path / "actions.safetensors")

    assert isinstance(again, MultitaskNetwork)
    assert again.config.background == len(read_background().appearance)
    wanted = read_windows(network, shown[0], [1.0, 2.5]).familiarity
    assert read_windows(again, shown[0], [1.0, 2.5]).familiarity.tolist() == pytest.approx(
        wanted.tolist(), abs=0.02
    )


@pytest.mark.parametrize("instant", [True, False])
def test_a_window_of_the_background_is_unknown(pose_network, shown, instant):
    trained = train_heads(
        shown, pose_network=pose_network, epochs=4, folds=2, seed=0, instant=instant
    )
    readers, clips = zip(*trained.unseen, strict=True)
    calibrate(trained.network, clips, readers=readers)
    free = read_background().appearance[0].unflatten(0, (*shown[0].joints.shape[1:2], -1))
    seen = np.repeat(free.half().numpy()[None], 40, 0)
    known, other = (
        shown[0],
        PoseSequence(
            "free", *(shown[0].skeleton, shown[0].times, shown[0].joints, shown[0].confidence), seen
        ),
    )

    assert read_windows(trained.network, known, [2.5]).familiarity > 0
    assert read_windows(trained.network, other, [2.5]).familiarity < 0


def test_the_pose_stream_alone_has_none(pose_network, shown):
    network = train_instant(shown, pose_network=pose_network, streams="pose")

    assert isinstance(network, MultitaskNetwork)
    assert network.config.background == 0
