"""Packs of training people, and the training that needs little more than torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import cv2
import gpu_augment
import gpu_train
import numpy as np
import pack_crops
import pytest
import torch

import poseact
from helpers.lsp_files import write_lsp_people
from helpers.paths import ROOT
from poseact._utils.errors import PoseActError
from poseact.data.augment import Augmentation, AugmentRanges, augmented_crop, make_crop
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample
from poseact.media.crop import crop_matrix, person_square
from poseact.recipe import Recipe
from poseact.skeleton import PA16

PEOPLE = 12
SIZE = 64

BARE = """
import importlib.metadata, runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cv2", "av", "pydantic", "h5py", "lightning", "yaml", "scipy"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
find = importlib.metadata.distribution
def refuse(name):
    assert name != "poseact", "the metadata of poseact was asked for"
    return find(name)
importlib.metadata.distribution = refuse
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def make_recipe(root: Path, **changes) -> Recipe:
    source = {"adapter": "lsp-extended", "root": str(root), "options": {"images": [1, PEOPLE]}}
    shape = {"channels": 16, "low_channels": 16, "stem_width": 0.25, "image_size": SIZE}
    content = {
        "name": "packed",
        "licence": "none",
        "network": {"preset": "small", "changes": shape},
        "data": {"train": {"people": source}},
        "augment": {"degrade": 0.5},
        "optimiser": {"name": "adamw", "stem_lr": 1e-4, "frozen_stages": 1},
        "schedule": {"warm_up": 1},
        "steps": 10,
        **changes,
    }
    return Recipe.model_validate(content)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_lsp_people(folder, PEOPLE)
    return folder


@pytest.fixture(scope="session")
def packs(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    pack_crops.pack_crops(make_recipe(root), folder)
    return folder


def limits(steps: int, minutes: float = 1e6) -> gpu_train.Limits:
    return gpu_train.Limits(minutes, steps, batch=4, log_every=1)


@pytest.mark.slow
def test_the_command_needs_little_more_than_torch_and_leaves_weights(packs, tmp_path):
    options = ["--steps", "2", "--batch", "4", "--log-every", "1", "--device", "cpu"]
    command = [sys.executable, "-c", BARE, str(ROOT / "tools" / "gpu_train.py")]
    result = subprocess.run(
        [*command, str(packs), str(tmp_path), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    network = poseact.load(tmp_path / "packed.safetensors")
    assert network.card.provenance["recipe"]["name"] == "packed"
    assert "2 steps" in network.card.provenance["weights"]
    first = poseact.load(packs / "start.safetensors").state_dict()
    moved = {
        name for name, value in network.state_dict().items() if not value.equal(first[name].half())
    }
    assert any(name.startswith("pose_model.") for name in moved)


@pytest.mark.slow
def test_an_interrupted_training_resumes_exactly(packs, tmp_path, monkeypatch):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert gpu_train.gpu_train(packs, whole, limits(4), device="cpu") == 4
    learn = gpu_train.Training.learn

    def interrupted(self, *args):
        learn(self, *args)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(gpu_train.Training, "learn", interrupted)
    assert gpu_train.gpu_train(packs, parted, limits(4), device="cpu") == 2
    monkeypatch.undo()
    with pytest.raises(PoseActError, match="give --resume"):
        gpu_train.gpu_train(packs, parted, limits(4), device="cpu")
    assert gpu_train.gpu_train(packs, parted, limits(4), device="cpu", resume=True) == 4
    expected, found = (poseact.load(f / "packed.safetensors") for f in (whole, parted))
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert len((parted / "log.csv").read_text().splitlines()) == 5


def test_the_time_ends_a_training(packs, tmp_path):
    assert gpu_train.gpu_train(packs, tmp_path, limits(1000, minutes=1e-6), device="cpu") == 0
    assert poseact.load(tmp_path / "packed.safetensors").card.preset == "small"


def test_frozen_stages_stand_still_and_the_stem_has_its_rate(packs, tmp_path):
    network = poseact.load(packs / "start.safetensors")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    recipe = gpu_train.read_pack(packs)["recipe"]
    device = torch.device("cpu")
    batches = gpu_train.Batches(packs, gpu_train.read_pack(packs), 4, network, device)
    training = gpu_train.Training(network, recipe, limits(2), tmp_path, device)
    training.learn(*batches[0], 0.0)
    after = network.state_dict()
    assert after["stem.trunk.stages.0.0.project.weight"].equal(
        before["stem.trunk.stages.0.0.project.weight"]
    )
    stem, maps = "stem.trunk.lateral8.weight", "pose_model.blocks.0.to_maps.weight"
    ratio = (after[stem] - before[stem]).abs().max() / (after[maps] - before[maps]).abs().max()
    torch.testing.assert_close(ratio, torch.tensor(1e-4 / 2e-3), rtol=0.2, atol=0)


@pytest.mark.parametrize(
    ("rotation", "flip", "scale", "shift"),
    [(0, False, 1, (0, 0)), (30, True, 0.8, (0.05, -0.1)), (-100, False, 1.2, (-0.1, 0.1))],
)
def test_crops_are_those_of_the_augmentation_on_the_cpu(rotation, flip, scale, shift):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (400, 400, 3), dtype=np.uint8), (0, 0), 4)
    joints = np.column_stack((rng.uniform(100, 300, (16, 2)), rng.uniform(-500, 500, 16)))
    labelled = rng.random(16) < 0.7
    sample = PoseSample(
        "sample", ImageFile(Path("none")), PA16, joints.astype(np.float32), labelled, labelled,
        labelled & (rng.random(16) < 0.7), (100, 100, 300, 300),
    )  # fmt: skip
    expected = augmented_crop(
        image, sample, Augmentation(scale, shift, rotation, flip, np.ones(3), 1.0, None), SIZE
    )
    x, y, window = person_square(sample.box)
    packed = make_crop(image, sample, crop_matrix((x, y, 1.5 * window)), round(1.5 * window))
    labels = (packed.joints, packed.known, packed.depth_valid)
    people = gpu_augment.People(
        torch.from_numpy(packed.image).permute(2, 0, 1)[None],
        *(torch.from_numpy(part)[None] for part in labels),
    )
    maps = gpu_augment.crop_maps(
        np.array([scale]), np.array([shift]), np.deg2rad([rotation]), np.array([flip]), 1.5
    )
    plain = AugmentRanges(wide=0, beside=0, occlusion=0, power=(1, 1), brightness=(1, 1))
    draws = gpu_augment.draw(plain, 1, 1.5, rng)._replace(to_crop=maps, flip=np.array([flip]))
    images, targets = gpu_augment.augmented(people, draws, SIZE, PA16.flip_indices)
    found = (images[0, 0].permute(1, 2, 0).numpy() + 1) * 127.5
    inside = slice(4, -4)  # the CPU's shrunk picture has other edges
    assert np.abs(found - expected.image)[inside, inside].mean() < 2
    np.testing.assert_allclose(targets.joints[0, 0], expected.joints, atol=1e-5)
    for name in ("valid", "known", "depth_valid"):
        np.testing.assert_array_equal(getattr(targets, name)[0, 0], getattr(expected, name))


def test_random_changes_keep_to_their_ranges(packs):
    network = poseact.load(packs / "start.safetensors")
    batches = gpu_train.Batches(packs, gpu_train.read_pack(packs), 64, network, torch.device("cpu"))
    images, targets = batches[3]
    again, _ = batches[3]
    assert images.equal(again)
    assert not images.equal(batches[4][0])
    assert images.shape == (64, 1, 3, SIZE, SIZE)
    assert images.isfinite().all()
    assert images.min() >= -1
    assert images.max() <= 1
    # LSP labels no eyes.
    eye = network.config.skeleton.index("left_eye")
    assert not targets.known[..., eye].any()
    assert not targets.valid[..., eye].any()
    ranges = SimpleNamespace(**asdict(AugmentRanges(occlusion=0, flip=1, spin=0, wide=0, beside=0)))
    draws = gpu_augment.draw(ranges, 500, 1.5, np.random.default_rng(0))
    assert draws.flip.all()
    linear = draws.to_crop[..., :2] / 1.5
    scale = np.abs(np.linalg.det(linear)) ** -0.5
    assert ((scale >= 0.7) & (scale <= 1.3)).all()
    assert (np.ptp(draws.boxes.reshape(-1, 2, 2), 1) == 0).all()


def test_files_are_cut_before_they_are_too_large(root, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_crops, "FILE_BYTES", 8000)
    pack = pack_crops.pack_crops(make_recipe(root), tmp_path, most=10)
    names = pack["files"]["people"]
    assert len(names) > 1
    people = [gpu_train.read_people(tmp_path / name, pack["side"]) for name in names]
    assert sum(len(part.joints) for part in people) == 10
    assert all((tmp_path / name).stat().st_size < 16000 for name in names)


def test_recipes_and_packs_that_do_not_fit_are_refused(root, packs, tmp_path):
    with pytest.raises(PoseActError, match="has turns or sizes"):
        pack_crops.pack_crops(make_recipe(root, sizes=[[0, 32]]), tmp_path)
    with pytest.raises(PoseActError, match="holds no packs"):
        gpu_train.gpu_train(tmp_path, tmp_path / "run", limits(1), device="cpu")
    for path in packs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (name,) = json.loads((packs / "pack.json").read_text())["files"]["people"]
    (tmp_path / name).write_bytes((packs / name).read_bytes()[:-100])
    with pytest.raises(PoseActError, match="pack them again"):
        gpu_train.gpu_train(tmp_path, tmp_path / "run", limits(1), device="cpu")
    with pytest.raises(PoseActError, match="batch=0 was given"):
        gpu_train.Limits(batch=0)
