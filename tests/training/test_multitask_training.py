"""Trainings of poses and actions together on tiny videos in the official layout of Penn Action."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

import poseact
from helpers.lsp_files import write_lsp_people
from helpers.penn_action_files import write_penn_action
from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.recipe import load_stages
from poseact.training.inspect_recipe import inspect_recipe
from poseact.training.loaders import PoseData
from poseact.training.train_pose import Machine, train

QUIET = Machine(workers=0, log_every=1)
ACTIONS = ("squat", "bowl")
NETWORK = {
    "preset": "tiny",
    "changes": {
        "channels": 16,
        "low_channels": 16,
        "image_size": 32,
        "depth_maps": 1,
        "labels": list(ACTIONS),
        "pose_width": 8,
        "appearance_channels": 8,
        "action_blocks": 1,
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_penn_action(root / "penn-action", ACTIONS)
    write_lsp_people(root / "people", 8)
    return root


@pytest.fixture
def recipe(tmp_path, data):
    def write(**fields) -> Path:
        people = {"adapter": "lsp-extended", "root": str(data / "people")}
        penn = {"adapter": "penn-action", "root": str(data / "penn-action")}
        train_clips = {**penn, "options": {"part": "train"}, "clips": True, "strides": [1, 2]}
        test_clips = {**penn, "options": {"part": "test"}, "clips": True}
        content = {
            "name": "small",
            "licence": "none",
            "network": NETWORK,
            "learn": ["pose", "action"],
            "data": {
                "train": {"people": people, "penn": train_clips},
                "validation": {"penn": test_clips, "people": people},
            },
            "optimiser": {"name": "adamw"},
            "schedule": {"warm_up": 0},
            "clip_length": 4,
            "steps": 3,
            "batch": 4,
            "validate_every": 3,
        } | fields
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_stills_and_clips_with_actions_stand_in_one_batch(recipe):
    (stage,) = load_stages(recipe())
    poses = PoseData(stage, workers=0)
    poses.setup("fit")
    batch = next(iter(poses.loader(poses.batches(0))))
    assert batch.images.shape == (4, 4, 32, 32, 3)
    assert batch.has_action.tolist() == [False, False, True, True]
    videos = {video.name: video.action for video in poses.sources[1].videos}
    for names, action in zip(batch.names[2:], batch.actions[2:].tolist(), strict=True):
        (video,) = {name.partition("#")[0] for name in names}
        assert videos[video] == ACTIONS[action]


def test_windows_change_from_pass_to_pass_and_repeat_with_the_seed(recipe):
    (stage,) = load_stages(recipe())
    poses = PoseData(stage, workers=0)
    poses.setup("fit")

    def frames(source) -> list[list[str]]:
        loader = source.loader(source.batches(0))
        return [row for _, batch in zip(range(6), loader, strict=False) for row in batch.names[2:]]

    seen = frames(poses)
    assert seen == frames(poses)
    of_one = {
        tuple(row) for row in seen if row[0].partition("#")[0] == seen[0][0].partition("#")[0]
    }
    assert len(of_one) > 1


@pytest.mark.slow
def test_poses_and_actions_are_learned_together(recipe, tmp_path):
    (report,) = train(recipe(), tmp_path / "run", machine=QUIET)
    assert report.finished
    assert set(report.scores) == {"penn", "people"}
    assert 0 <= report.scores["penn"]["accuracy"] <= 1
    assert set(report.scores["penn"]) == {"accuracy", "accuracy_pose", "accuracy_appearance"}
    assert all(float(row["action"]) > 0 for row in rows(report.out) if row["loss"])
    assert poseact.load(report.weights).config.labels == ACTIONS


@pytest.mark.slow(covers=True)
def test_actions_alone_leave_the_pose_as_it_is(recipe, tmp_path):
    data = yaml.safe_load(recipe().read_text())["data"]
    del data["train"]["people"]
    path = recipe(learn=["action"], data=data)
    torch.manual_seed(0)
    first = poseact.create_model("tiny", **NETWORK["changes"])
    poseact.save(first, tmp_path / "first.safetensors")
    content = yaml.safe_load(path.read_text())
    content["network"] = {**NETWORK, "init": str(tmp_path / "first.safetensors")}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    (report,) = train(path, tmp_path / "run", machine=QUIET)
    before, after = first.state_dict(), poseact.load(report.weights).state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all(key.startswith("action_model") for key in changed)


@pytest.mark.slow(covers=True)
def test_stages_follow_each_other_and_resume(recipe, tmp_path):
    content = yaml.safe_load(recipe().read_text())
    people, penn = content["data"]["train"].values()
    stages = {
        "pose": {"learn": ["pose"], "clip_length": 1, "data": {"train": {"people": people}}},
        "action": {"learn": ["action"], "data": {"train": {"penn": penn}}},
        "joint": {"turns": [["people"], ["penn"]]},
    }
    path = recipe(stages=stages)
    begun = []

    def stop(progress):
        if len(begun) == 2 and progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "run"
    reports = train(
        path,
        out,
        machine=QUIET,
        on_progress=stop,
        on_stage=lambda stage: begun.append(stage.name),
    )
    assert [report.finished for report in reports] == [True, False]
    reports = train(path, out, machine=QUIET, resume=True)
    assert [report.finished for report in reports] == [True, True, True]
    assert [report.out.name for report in reports] == ["small-pose", "small-action", "small-joint"]
    pose, action = (poseact.load(report.weights).state_dict() for report in reports[:2])
    for key, value in pose.items():
        if not key.startswith("action_model"):
            assert torch.equal(value, action[key]), key
    # In turns: every second step has actions.
    with_actions = [float(row["action"]) > 0 for row in rows(reports[2].out) if row["loss"]]
    assert with_actions == [False, True, False]


def test_changes_from_the_command_line(recipe, tmp_path):
    path = recipe()
    run = partial(CliRunner().invoke, app, catch_exceptions=False)
    fields = ["--set", "network.changes.num_blocks=1", "--set", "steps=1"]
    out = tmp_path / "run"
    result = run(["train", str(path), "--out", str(out), "--workers", "0", *fields])
    assert result.exit_code == 0, result.output
    assert poseact.load(out / "small.safetensors").num_blocks == 1
    with pytest.raises(PoseActError, match="give NAME=VALUE"):
        run(["train", str(path), "--set", "steps"])


@pytest.mark.slow
def test_two_processes_learn_through_all_stages_what_one_does_from_the_doubled_batch(
    recipe, tmp_path
):
    # Muon at first, whose work the processes share.
    sgd = {"name": "sgd", "lr": 0.01, "ema": None}
    stages = {
        "pose": {"learn": ["pose"], "optimiser": {"name": "muon", "ema": None}},
        "joint": {"turns": [["people"], ["penn"]], "optimiser": sgd},
    }
    one = train(recipe(stages=stages, steps=2, batch=4), tmp_path / "one", machine=QUIET)
    path = recipe(stages=stages, steps=2, batch=2)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = ["-m", "poseact", "train", str(path), "--out", str(tmp_path / "two"), "--sync-norm"]
    options = ["--devices", "2", "--workers", "0", "--log-every", "1"]
    subprocess.run([*launcher, *command, *options], check=True)
    for report in one:
        folder = tmp_path / "two" / report.out.name
        losses, expected = (
            [float(row["loss"]) for row in rows(out) if row["loss"]] for out in (folder, report.out)
        )
        # Hidden joints do not count, and each process averages over its own.
        assert losses == pytest.approx(expected, rel=1e-4 if "pose" in folder.name else 5e-2)
        assert len(losses) == 2
        assert poseact.load(folder / report.weights.name).config.labels == ACTIONS
    found, wanted = (
        poseact.load(tmp_path / run / "small-pose" / "small-pose.safetensors").state_dict()
        for run in ("one", "two")
    )
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-3, atol=5e-3)


def test_inspection_looks_at_one_frame_of_every_video(recipe, tmp_path):
    report = inspect_recipe(recipe(), tmp_path / "inspect", count=6)
    found = {source.name: source.samples for source in report.sources}
    # Two actions in four videos each, half of them for training.
    assert found == {
        "train: people": 8,
        "train: penn": 4,
        "validation: penn": 4,
        "validation: people": 8,
    }
    assert report.grid.exists()


def test_changes_go_where_the_field_stands(recipe):
    stages = {"pose": {"steps": 7, "learn": ["pose"]}, "joint": {"steps": 8, "clip_length": 2}}
    path = recipe(stages=stages, clip_length=1)
    changes = {"steps": 5, "clip_length": 3, "seed": 9, "network.changes.num_blocks": 1}
    pose, joint = load_stages(path, changes)
    assert (pose.steps, joint.steps) == (5, 5)
    assert (pose.clip_length, joint.clip_length) == (3, 3)
    assert (pose.seed, joint.network.config.num_blocks) == (9, 1)
    content = yaml.safe_load(path.read_text())
    del content["clip_length"]
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    pose, joint = load_stages(path, changes)
    assert (pose.clip_length, joint.clip_length) == (1, 3)
    pose, joint = load_stages(path, {"stages.joint.steps": 4})
    assert (pose.steps, joint.steps) == (7, 4)
    with pytest.raises(PoseActError, match="one of these names: pose, joint"):
        load_stages(path, {"stages.action.steps": 4})
    with pytest.raises(PoseActError, match="because steps has no fields"):
        load_stages(path, {"steps.more": 1})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": {"preset": "tiny"}}, "has no labels"),
        ({"turns": [["penn"]]}, "name each of people, penn in a turn"),
        ({"learn": ["action"], "turns": [["people"], ["penn"]]}, "has no clips with actions"),
        ({"stages": ["pose"]}, "invalid stages; write stages:"),
    ],
)
def test_recipes_that_make_no_sense(recipe, fields, message):
    with pytest.raises(PoseActError, match=message):
        load_stages(recipe(**fields))


def test_an_unknown_action_is_refused(recipe):
    changes = {**NETWORK["changes"], "labels": ["squat", "jump"]}
    (stage,) = load_stages(recipe(network={"preset": "tiny", "changes": changes}))
    with pytest.raises(PoseActError, match="shows 'bowl', which is none of the network's 2 labels"):
        PoseData(stage, workers=0).setup("fit")


@pytest.mark.slow
def test_a_network_may_begin_with_more_blocks_and_other_labels(recipe, tmp_path):
    changes = {**NETWORK["changes"], "labels": [], "num_blocks": 3}
    first = poseact.create_model("tiny", **changes)
    poseact.save(first, tmp_path / "first.safetensors")
    path = recipe(network={**NETWORK, "init": str(tmp_path / "first.safetensors")}, steps=1)
    (report,) = train(path, tmp_path / "run", machine=QUIET)
    assert poseact.load(report.weights).num_blocks == 2
    fewer = {**changes, "num_blocks": 1}
    poseact.save(poseact.create_model("tiny", **fewer), tmp_path / "few.safetensors")
    path = recipe(network={**NETWORK, "init": str(tmp_path / "few.safetensors")}, steps=1)
    with pytest.raises(PoseActError, match="another shape: it has nothing for"):
        train(path, tmp_path / "other", machine=QUIET)
