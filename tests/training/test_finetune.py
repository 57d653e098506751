"""Training from the pixels of clips, with the pose kept."""

from __future__ import annotations

import copy
import os
import signal
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
import torch

import poseact
from helpers.lsp_files import STANDING, write_lsp_people
from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.pixel_windows import (
    PixelWindows,
    VideoClip,
    collate_windows,
    pixel_window,
    read_frames,
)
from poseact.media import VideoWriter
from poseact.recipe import Recipe
from poseact.skeleton import LSP14, PA16
from poseact.training.finetune import FinetunePlan, finetune

PLAN = FinetunePlan(steps=4, clips=2, save_every=1)
MARK = (250, 30, 30)


def film(path, label: int, frames: int = 12) -> VideoClip:
    """A video of somebody who walks to the right or down, a red mark on the left wrist."""
    joints = np.zeros((frames, len(LSP14), 2), np.float32)
    with VideoWriter(path, 10, 120, 120) as writer:
        for number in range(frames):
            moved = np.array([STANDING[joint] for joint in LSP14.joints], np.float32)
            moved[:, label] += 3 * number
            image = np.zeros((120, 120, 3), np.uint8)
            for a, b in LSP14.limb_indices:
                ends = [tuple(int(value) for value in moved[place]) for place in (a, b)]
                cv2.line(image, *ends, (150, 150, 150), 3)
            mark = moved[LSP14.index("left_wrist")].astype(int).tolist()
            cv2.circle(image, mark, 4, MARK, -1)
            writer.write(image)
            joints[number] = moved
    known = np.ones(joints.shape[:2], bool)
    joints, known = LSP14.convert(joints, known, PA16)
    depth = np.zeros((*joints.shape[:2], 1), np.float32)
    joints = np.concatenate((joints, depth), -1)
    times = np.arange(frames) / 10
    return VideoClip(path, PoseSequence(path.stem, PA16, times, joints, known.astype("f")), label)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [film(folder / f"{number}.mp4", number % 2) for number in range(4)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    built = poseact.create_model(
        "tiny",
        channels=16,
        low_channels=16,
        image_size=32,
        labels=("right", "down"),
        frames=4,
        person_square=True,
    )
    built.card = replace(built.card, fps=10.0)
    return built.eval()


@pytest.fixture
def recipe(tmp_path):
    root = tmp_path / "people"
    write_lsp_people(root, 8)
    source = {"adapter": "lsp-extended", "root": str(root)}
    data = {
        "train": {"people": {**source, "options": {"images": [1, 6]}}},
        "validation": {"held-out": {**source, "options": {"images": [7, 8]}}},
    }
    changes = {"channels": 16, "low_channels": 16, "image_size": 32}
    spec = {"preset": "tiny", "changes": changes}
    return Recipe(name="small", licence="none", network=spec, data=data, steps=1, batch=2)


def test_the_pose_lies_on_the_picture(clips):
    for clip in clips[:2]:
        window = pixel_window(clip, np.array([0, 3, 6, 9]), 96)
        assert window.images.shape == (4, 96, 96, 3)
        wrists = window.targets.joints[:, PA16.index("left_wrist"), :2].numpy()
        for image, (x, y) in zip(window.images, wrists, strict=True):
            red = (image[..., 0] > 150) & (image[..., 1] < 100)
            centre = np.argwhere(red).mean(0)[::-1]
            np.testing.assert_allclose(centre, (x * 96, y * 96), atol=2)
        steps = np.diff(wrists, axis=0)
        assert (steps[:, clip.label] > 0.03).all()
        np.testing.assert_allclose(steps[:, 1 - clip.label], 0, atol=1e-6)
        known = window.targets.valid.all(0)
        assert known.sum() == len(PA16)
        assert window.targets.depth_valid.all()


def test_windows_are_the_same_again_and_all_labels_come_as_often(clips):
    crowded = [*clips, clips[0], clips[0]]
    windows = PixelWindows(crowded, 4, 10.0, 32, seed=3)
    batch = collate_windows([windows[number] for number in range(10)])
    assert batch.labels.bincount().tolist() == [5, 5]
    again = PixelWindows(crowded, 4, 10.0, 32, seed=3)[5]
    np.testing.assert_array_equal(again.images, batch.images[5].numpy())
    assert torch.equal(again.targets.joints, batch.targets.joints[5])


def test_a_video_that_has_changed_is_named(clips):
    with pytest.raises(PoseActError, match=r"0.mp4 has no frame at 7.000 s"):
        read_frames(clips[0].path, np.array([0.0, 7.0]))


@pytest.mark.slow
def test_an_interrupted_training_resumes_as_if_undisturbed(clips, network, recipe, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "part").mkdir()
    plan = replace(PLAN, max_pck_drop=1.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole = finetune(network, clips, recipe, tmp_path / "whole", plan=plan, workers=0)
    assert whole.finished
    assert whole.kept

    def interrupt(step: int, *_):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    part = finetune(
        network, clips, recipe, tmp_path / "part", plan=plan, workers=0, on_step=interrupt
    )
    assert not part.finished
    assert part.network is network
    resumed = finetune(network, clips, recipe, tmp_path / "part", plan=plan, workers=0)
    expected = whole.network.state_dict()
    for name, value in resumed.network.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    moved = [name for name in before if not torch.equal(before[name], expected[name])]
    assert {name.split(".")[0] for name in moved} == {"stem", "pose_model", "action_model"}
    assert not any("running" in name for name in moved)


def _of_another_plan(clips, network, recipe, plan):
    return clips, network, recipe, replace(plan, lr=1e-3)


def _of_another_seed(clips, network, recipe, plan):
    return clips, network, recipe, replace(plan, seed=1)


def _of_fewer_clips(clips, network, recipe, plan):
    return clips[:2], network, recipe, plan


def _of_other_heads(clips, network, recipe, plan):
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.action_model.parameters():
            parameter.mul_(0.9)
    return clips, other, recipe, plan


def _of_fewer_people(clips, network, recipe, plan):
    changed = recipe.model_copy(deep=True)
    changed.train["people"].options["images"] = [1, 4]
    return clips, network, changed, plan


@pytest.mark.slow
def test_a_state_of_another_run_is_not_taken_up(clips, network, recipe, tmp_path, caplog):
    plan = replace(PLAN, steps=2, max_pck_drop=1.0)

    def train(out, clips, network, recipe, plan):
        steps = []
        report = finetune(
            network, clips, recipe, out, plan=plan, workers=0, on_step=lambda *s: steps.append(s)
        )
        assert [step for step, *_ in steps] == [1, 2]
        return report.network.state_dict()

    given = (clips, network, recipe, plan)
    fresh = train(tmp_path, *given)
    changes = (_of_another_plan, _of_another_seed, _of_fewer_clips, _of_other_heads)
    for change in (*changes, _of_fewer_people, lambda *same: same):
        caplog.clear()
        replaced = train(tmp_path, *change(*given))
        assert "finetune.ckpt belongs to another training and is replaced" in caplog.text
    assert all(torch.equal(value, fresh[name]) for name, value in replaced.items())


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_state_is_replaced(clips, network, recipe, tmp_path, content, caplog):
    plan = replace(PLAN, steps=1, max_pck_drop=1.0)
    state = tmp_path / "finetune.ckpt"
    if content is None:
        torch.save({"step": 1}, state)
    else:
        state.write_bytes(content)
    assert finetune(network, clips, recipe, tmp_path, plan=plan, workers=0).finished
    assert f"{state} is damaged; the training starts again" in caplog.text


def test_a_pose_that_lost_too_much_is_not_kept(clips, network, recipe, tmp_path):
    # Nobody gains more than 100 points of PCK.
    plan = replace(PLAN, steps=2, max_pck_drop=-1.01)
    report = finetune(network, clips, recipe, tmp_path, plan=plan, workers=0)
    assert report.finished
    assert not report.kept
    assert report.network is network
    assert set(report.before) == set(report.after) == {"held-out"}
    assert "not kept" in report.describe()


@pytest.mark.slow
def test_the_loss_falls_and_the_actions_are_learned(clips, network, recipe, tmp_path):
    losses = []
    plan = FinetunePlan(steps=40, clips=2, lr=2e-3, head_lr=5e-3, max_pck_drop=1.0, save_every=100)
    report = finetune(
        network,
        clips,
        recipe,
        tmp_path,
        plan=plan,
        workers=0,
        on_step=lambda *step: losses.append(step[2]),
    )
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert report.network.config.labels == ("right", "down")


def test_other_joints_are_refused(clips, network, recipe, tmp_path):
    changed = recipe.model_copy(deep=True)
    changed.network.changes["skeleton"] = "lsp14"
    with pytest.raises(PoseActError, match="joints of lsp14"):
        finetune(network, clips, changed, tmp_path, plan=PLAN, workers=0)


@pytest.mark.slow(covers=True)
def test_windows_can_be_read_by_processes(clips, network, recipe, tmp_path):
    plan = replace(PLAN, steps=2, max_pck_drop=1.0)
    one = finetune(network, clips, recipe, tmp_path, plan=plan, workers=1)
    (tmp_path / "finetune.ckpt").unlink()
    none = finetune(network, clips, recipe, tmp_path, plan=plan, workers=0)
    pairs = zip(one.network.parameters(), none.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in islice(pairs, 5))
