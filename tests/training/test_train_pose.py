"""Training runs on a generated data set with a network of a few thousand weights."""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import poseact
from helpers.lsp_files import write_lsp_people
from poseact._utils.errors import PoseActError
from poseact.cli import app, main
from poseact.training.lightning_module import MultitaskTraining
from poseact.training.train_pose import Machine, TrainReport, train

STEPS = 8
QUIET = Machine(workers=0, log_every=1)


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("people")
    write_lsp_people(root, 24)
    return root


@pytest.fixture
def recipe(tmp_path, people):
    def write(**changes) -> Path:
        source = {"adapter": "lsp-extended", "root": str(people)}
        content = {
            "name": "small",
            "licence": "none",
            "network": {
                "preset": "tiny",
                "changes": {"channels": 16, "low_channels": 16, "image_size": 32},
            },
            "data": {
                "train": {"people": {**source, "options": {"images": [1, 20]}}},
                "validation": {"held-out": {**source, "options": {"images": [21, 24]}}},
            },
            "schedule": {"warm_up": 2},
            "steps": STEPS,
            "batch": 4,
            "validate_every": 4,
            **changes,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def train_pose(path: Path, out: Path, **options) -> TrainReport:
    (report,) = train(path, out, **options)
    return report


def losses(out: Path) -> dict[int, float]:
    with (out / "log.csv").open() as file:
        return {int(float(r["step"])): float(r["loss"]) for r in csv.DictReader(file) if r["loss"]}


def at_step(step: int, do):
    """A progress callback that does something once a step is reached."""
    return lambda progress: do() if progress.step == step else None


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_a_run_learns_and_leaves_weights_record_and_picture(recipe, tmp_path):
    path = recipe(steps=30, loss={"weights": {"heatmap": 0}}, optimiser={"lr": 0.01})
    report = train_pose(path, tmp_path / "run", machine=QUIET)
    assert report.finished
    curve = list(losses(report.out).values())
    assert np.mean(curve[-5:]) < 0.8 * np.mean(curve[:5])
    assert (report.out / "curve.png").stat().st_size > 1000
    assert list((report.out / "tensorboard").glob("events*"))
    network = poseact.load(report.weights)
    assert network.card.provenance["recipe"]["name"] == "small"
    assert "held-out" in network.card.provenance["validation"]
    assert set(report.scores) == {"held-out"}


@pytest.mark.slow
def test_an_interrupted_run_resumes_exactly(recipe, tmp_path):
    path = recipe(accumulate=2)
    whole = train_pose(path, tmp_path / "whole", machine=QUIET)
    part = train_pose(path, tmp_path / "part", machine=QUIET, on_progress=at_step(3, interrupt))
    assert 3 <= part.steps < STEPS
    assert not part.finished
    assert part.weights.is_file()
    resumed = train_pose(path, tmp_path / "part", resume=True, machine=QUIET)
    assert resumed.finished
    assert losses(resumed.out) == losses(whole.out)
    assert len(losses(whole.out)) == STEPS
    assert same_weights(whole.weights, resumed.weights)
    # A finished run that is resumed stays as it is.
    again = train_pose(path, tmp_path / "part", resume=True, machine=QUIET)
    assert again.finished
    assert same_weights(whole.weights, again.weights)
    assert again.scores == resumed.scores


def same_weights(first: Path, second: Path) -> bool:
    pairs = zip(
        poseact.load(first).state_dict().values(),
        poseact.load(second).state_dict().values(),
        strict=True,
    )
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.slow
def test_a_killed_run_resumes_exactly_from_a_checkpoint_on_the_way(recipe, tmp_path, accumulate):
    path = recipe(checkpoint_minutes=1e-9, accumulate=accumulate, sizes=[[0, 32], [0.5, 64]])
    out, killed = tmp_path / "whole", tmp_path / "killed"

    def copy():
        shutil.copytree(out, killed)

    # A progress callback comes before the checkpoint of its own step: this copies that of step 4.
    whole = train_pose(path, out, machine=QUIET, on_progress=at_step(5, copy))
    resumed = train_pose(path, killed, resume=True, machine=QUIET)
    assert losses(killed) == losses(out)
    assert same_weights(whole.weights, resumed.weights)


@pytest.mark.slow
def test_a_terminated_process_keeps_its_state(recipe, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "poseact", "train-pose", str(recipe(steps=100000))]
    process = subprocess.Popen([*command, "--out", str(out), "--workers", "1"])
    try:
        log = out / "log.csv"
        while process.poll() is None and not (log.exists() and log.stat().st_size):
            signal.sigtimedwait([], 0.2)
        process.terminate()
        assert process.wait(60) == 130
    finally:
        process.kill()
    state = torch.load(out / "last.ckpt", weights_only=True)
    assert state["global_step"] > 0
    assert (out / "small.safetensors").is_file()


def test_a_run_is_not_overwritten_and_not_changed_on_the_way(recipe, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(PoseActError, match=r"no .*last.ckpt to resume"):
        train_pose(recipe(), out, resume=True, machine=QUIET)
    train_pose(recipe(), out, machine=QUIET, on_progress=at_step(2, interrupt))
    before = (out / "last.ckpt").read_bytes()
    with pytest.raises(PoseActError, match="already holds a run"):
        train_pose(recipe(), out, machine=QUIET)
    changed = recipe(batch=2, augment={"flip": 0})
    with pytest.raises(PoseActError, match=r"augment.flip: 0.5 -> 0.0; batch: 4 -> 2"):
        train_pose(changed, out, resume=True, machine=QUIET)
    assert (out / "last.ckpt").read_bytes() == before
    other = io.BytesIO()
    torch.save({"weights": torch.zeros(2)}, other)
    for content in (before[: len(before) // 2], b"", b"hello", b"\x80\x04.", other.getvalue()):
        (out / "last.ckpt").write_bytes(content)
        with pytest.raises(PoseActError, match=r"last.ckpt is damaged or .*start again") as caught:
            train_pose(recipe(), out, resume=True, machine=QUIET)
        assert len(str(caught.value).removeprefix(str(out))) < 100


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(recipe, tmp_path, caplog):
    path, out = recipe(checkpoint_minutes=1e-9), tmp_path / "run"
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = {}

    def fill_disk():
        kept["checkpoint"] = (out / "last.ckpt").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))

    try:
        with pytest.raises(PoseActError, match=r"could not be written \(File too large\)"):
            train_pose(path, out, machine=QUIET, on_progress=at_step(3, fill_disk))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "The checkpoint before it is intact" in caplog.text
    assert (out / "last.ckpt").read_bytes() == kept["checkpoint"]
    assert train_pose(path, out, resume=True, machine=QUIET).finished


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_with_its_state_kept(recipe, tmp_path):
    def kill_workers():
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGKILL)

    machine = Machine(workers=1, log_every=1)
    path, out = recipe(steps=200), tmp_path / "run"
    with pytest.raises(PoseActError, match=r"prepares batches died .* Resume it") as error:
        train_pose(path, out, machine=machine, on_progress=at_step(3, kill_workers))
    state = torch.load(out / "last.ckpt", weights_only=True)
    # The step in hand is finished first, and so are those whose batches are there.
    assert state["global_step"] >= 3
    assert f"up to step {state['global_step']}." in str(error.value)


@pytest.mark.slow
def test_a_worker_that_dies_within_a_step_does_not_spoil_it(recipe, tmp_path, monkeypatch):
    step = MultitaskTraining.training_step

    def dying(self, batch, number):
        if self.global_step == 0:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, signal.SIGKILL)
                worker.join()
        return step(self, batch, number)

    monkeypatch.setattr(MultitaskTraining, "training_step", dying)
    path, out = recipe(steps=200), tmp_path / "run"
    with pytest.raises(PoseActError, match=r"is kept in .*last.ckpt up to step \d+\. Resume it"):
        train_pose(path, out, machine=Machine(workers=1, log_every=1))
    monkeypatch.undo()
    kept = torch.load(out / "last.ckpt", weights_only=True)["global_step"]
    shorter = recipe(steps=200)
    report = train_pose(
        shorter, out, resume=True, machine=QUIET, on_progress=at_step(kept + 1, interrupt)
    )
    assert kept >= 1
    assert report.steps == kept + 1


@pytest.mark.slow(covers=True)
def test_a_run_of_other_labels_is_not_taken_up(recipe, people, tmp_path):
    shutil.copytree(people, tmp_path / "people")
    source = {"adapter": "lsp-extended", "root": str(tmp_path / "people")}
    path, out = recipe(data={"train": {"people": source}}), tmp_path / "run"
    train_pose(path, out, machine=QUIET, on_progress=at_step(2, interrupt))
    before = (out / "last.ckpt").read_bytes()
    labels = (tmp_path / "people/joints.mat").read_bytes()
    write_lsp_people(tmp_path / "others", 24, seed=1)
    shutil.copy(tmp_path / "others/joints.mat", tmp_path / "people")
    with pytest.raises(PoseActError, match="started with other data or initial weights"):
        train_pose(path, out, resume=True, machine=QUIET)
    assert (out / "last.ckpt").read_bytes() == before
    (tmp_path / "people/joints.mat").write_bytes(labels)
    assert train_pose(path, out, resume=True, machine=QUIET).finished


def test_an_infinite_loss_names_the_samples(recipe, tmp_path):
    path = recipe(optimiser={"lr": 1e30, "clip_norm": None, "weight_decay": 0})
    with pytest.raises(
        PoseActError, match=r"The (loss is|prediction is not) .* at step \d+.*im000\d\d\.jpg"
    ):
        train_pose(path, tmp_path / "run", machine=QUIET)


def test_missing_and_damaged_pictures(recipe, tmp_path):
    root = tmp_path / "few"
    write_lsp_people(root, 24)
    source = {"adapter": "lsp-extended", "root": str(root)}
    (root / "images/im00003.jpg").write_bytes(b"damaged")
    with pytest.raises(PoseActError, match=r"1 of the 24 pictures of few .*im00003"):
        train_pose(recipe(data={"train": {"few": source}}), tmp_path / "run", machine=QUIET)
    (root / "images/im00003.jpg").unlink()
    with pytest.raises(PoseActError, match=r"1 of the 24 pictures of few .*im00003"):
        train_pose(recipe(data={"train": {"few": source}}), tmp_path / "run2", machine=QUIET)


@pytest.mark.slow
def test_a_damaged_picture_among_many_is_skipped_and_counted(recipe, tmp_path):
    root = tmp_path / "many"
    write_lsp_people(root, 100)
    (root / "images/im00007.jpg").write_bytes(b"damaged")
    source = {"adapter": "lsp-extended", "root": str(root)}
    path = recipe(data={"train": {"many": source}}, batch=10, steps=10)
    report = train_pose(path, tmp_path / "run", machine=Machine(workers=1, log_every=1))
    assert report.finished
    assert report.unreadable == 1


def test_an_error_in_a_loader_process_is_one_sentence(recipe, tmp_path):
    root = tmp_path / "none"
    write_lsp_people(root, 4)
    for image in (root / "images").iterdir():
        image.write_bytes(b"damaged")
    path = recipe(data={"train": {"none": {"adapter": "lsp-extended", "root": str(root)}}})
    with pytest.raises(PoseActError, match=r"^None of the 4 pictures of none") as error:
        train_pose(path, tmp_path / "run", machine=Machine(workers=1))
    assert "\n" not in str(error.value)


def test_accumulated_batches_are_steps(recipe, tmp_path):
    report = train_pose(recipe(accumulate=2, steps=3), tmp_path / "run", machine=QUIET)
    assert report.steps == 3
    assert list(losses(report.out)) == [1, 2, 3]


@pytest.mark.slow
def test_first_weights_must_fit(recipe, tmp_path):
    weights = train_pose(recipe(steps=1), tmp_path / "run", machine=QUIET).weights
    network = {"preset": "tiny", "changes": {"channels": 16, "low_channels": 16, "image_size": 32}}
    again = recipe(steps=1, network={**network, "init": str(weights)})
    assert train_pose(again, tmp_path / "again", machine=QUIET).finished
    first = poseact.load(weights)
    skeleton = first.config.skeleton
    drawn_otherwise = replace(skeleton, limbs=skeleton.limbs[::-1])
    first.config = replace(first.config, skeleton=drawn_otherwise)
    poseact.save(first, tmp_path / "drawn.safetensors")
    drawn = recipe(steps=1, network={**network, "init": str(tmp_path / "drawn.safetensors")})
    assert train_pose(drawn, tmp_path / "drawn", machine=QUIET).finished
    other = recipe(network={"preset": "tiny", "init": str(weights)})
    with pytest.raises(PoseActError, match="another shape"):
        train_pose(other, tmp_path / "other", machine=QUIET)


def test_the_command_says_where_the_results_lie(recipe, tmp_path):
    out = tmp_path / "run"
    result = CliRunner().invoke(
        app, ["train-pose", str(recipe(steps=2)), "--out", str(out), "--workers", "0"]
    )
    assert result.exit_code == 0, result.output
    assert f"Weights: {out / 'small.safetensors'}" in result.output
    assert "held-out: pck" in result.output


def test_a_command_without_its_extra_says_what_to_install(recipe, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, "poseact.training.train_pose", raising=False)
    monkeypatch.delitem(sys.modules, "poseact.training.callbacks", raising=False)
    monkeypatch.setattr(sys, "argv", ["poseact", "train-pose", str(recipe())])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    message = capsys.readouterr().err.replace("\n", " ")
    assert "needs lightning" in message
    assert "pip install 'poseact[train]'" in message


@pytest.mark.slow
def test_batches_without_a_joint_are_survived(recipe, tmp_path):
    beside = {"beside": 1, "wide": 0, "scale": [2, 2], "translation": 0}
    report = train_pose(recipe(augment=beside, batch=2), tmp_path / "run", machine=QUIET)
    with (report.out / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    assert report.finished
    assert any(float(row["joints"]) == 0 for row in rows)
    assert all(np.isfinite(float(row["loss"])) for row in rows)


@pytest.mark.slow
def test_a_program_whose_training_failed_can_end(recipe, tmp_path, people):
    # With the error kept, the loader and its process live to the end of the program.
    shutil.copytree(people, tmp_path / "damaged")
    for image in (tmp_path / "damaged/images").iterdir():
        image.write_bytes(b"damaged")
    source = {"adapter": "lsp-extended", "root": str(tmp_path / "damaged")}
    program = (
        "import sys\n"
        "from poseact._utils.errors import PoseActError\n"
        "from poseact.training.train_pose import Machine, train\n"
        "try:\n"
        "    train(sys.argv[1], sys.argv[2], machine=Machine(workers=1))\n"
        "except PoseActError as error:\n"
        "    kept = error\n"
    )
    path = recipe(data={"train": {"damaged": source}})
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "run")]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        assert process.wait(90) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
