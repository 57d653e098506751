"""Faults of labels, and the inspection of a recipe."""

from __future__ import annotations

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.data.faults import find_faults, swap_reason
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample, labelled_box
from poseact.media import read_image
from poseact.skeleton import PA16
from poseact.training.inspect_recipe import inspect_recipe


def standing(tmp_path, name="a.png", shift=0.0, value=0):
    """A person facing the camera in a picture of 100 x 120 px: right joints on the left."""
    path = tmp_path / name
    cv2.imwrite(str(path), np.full((120, 100, 3), value, np.uint8))
    heights = {"shoulder": 30, "elbow": 45, "wrist": 60, "hip": 60, "knee": 80, "ankle": 100}
    widths = {"shoulder": 12, "elbow": 15, "wrist": 16, "hip": 9, "knee": 10, "ankle": 11}
    middle = {"pelvis": 60, "thorax": 30, "neck": 25, "head": 10}
    joints = np.zeros((16, 2))
    for index, joint in enumerate(PA16.joints):
        side, _, part = joint.rpartition("_")
        if side:
            joints[index] = 50 + widths[part] * (1 if side == "left" else -1), heights[part]
        else:
            joints[index] = 50, middle[joint]
    joints = (joints + shift).astype(np.float32)
    valid = np.ones(16, bool)
    return PoseSample(
        name=name,
        image=ImageFile(path),
        skeleton=PA16,
        joints=joints,
        valid=valid,
        visible=valid,
        depth_valid=~valid,
        box=labelled_box(joints, valid),
    )


def exchanged(sample, *parts):
    joints = sample.joints.copy()
    for part in parts:
        pair = [PA16.index(f"{side}_{part}") for side in ("right", "left")]
        joints[pair] = joints[pair[::-1]]
    return replace(sample, joints=joints)


def kinds(samples, **options):
    return [(fault.sample, fault.kind) for fault in find_faults(samples, **options)]


def test_sound_labels_have_no_faults(tmp_path):
    samples = [standing(tmp_path), standing(tmp_path, "b.png", 1, value=9)]
    assert kinds(samples) == []


def test_out_of_frame_needs_the_picture_on_the_far_side(tmp_path):
    sample = standing(tmp_path)
    beyond, before = sample.joints.copy(), sample.joints.copy()
    beyond[PA16.index("left_wrist")] = (101, 50)
    before[PA16.index("head"), 1] = -3
    far, near = replace(sample, joints=beyond), replace(sample, joints=before)
    assert kinds([far]) == [("a.png", "out-of-frame")]
    assert kinds([far], read_images=False) == []
    assert kinds([near], read_images=False) == [("a.png", "out-of-frame")]
    (fault,) = find_faults([far])
    assert fault.reason == "Left wrist is outside of the picture of 100 x 120 px."
    hidden = replace(far, valid=np.arange(16) != PA16.index("left_wrist"))
    assert kinds([hidden]) == []


@pytest.mark.parametrize("parts", [("hip",), ("shoulder",), ("hip", "knee", "ankle")])
def test_exchanged_sides_are_suspected(tmp_path, parts):
    sample = exchanged(standing(tmp_path), *parts)
    assert swap_reason(sample) is not None
    assert kinds([sample]) == [("a.png", "swap-suspected")]


def test_a_whole_body_turned_or_limbs_that_cross_are_not_suspected(tmp_path):
    sample = standing(tmp_path)
    every = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert swap_reason(exchanged(sample, *every)) is None  # seen from behind
    assert swap_reason(exchanged(sample, "wrist")) is None
    assert swap_reason(exchanged(sample, "ankle")) is None
    one_hip = np.arange(16) != PA16.index("left_hip")
    assert swap_reason(replace(exchanged(sample, "hip"), valid=one_hip)) is None


def test_duplicates(tmp_path):
    first, other = standing(tmp_path), standing(tmp_path, "b.png", 1, value=9)
    same_picture = standing(tmp_path, "c.png", 2, value=0)
    same_labels = standing(tmp_path, "d.png", 0, value=5)
    same_file = replace(standing(tmp_path, "a.png", 3), name="a.png#2")
    found = find_faults([first, other, same_picture, same_labels, same_file])
    assert [(fault.sample, fault.kind) for fault in found] == [
        ("c.png", "duplicate"),
        ("d.png", "duplicate"),
    ]
    assert "picture" in found[0].reason
    assert "labels" in found[1].reason


def test_picture_of_another_size_than_the_labels_state(tmp_path):
    sample = standing(tmp_path)
    assert kinds([replace(sample, picture_size=(100, 120))]) == []
    for size in ((200, 240), (120, 100)):
        assert kinds([replace(sample, picture_size=size)]) == [("a.png", "picture-size")]


def test_empty_boxes_and_unreadable_pictures(tmp_path):
    sample = standing(tmp_path)
    empty = replace(sample, valid=np.zeros(16, bool), name="empty")
    thin = replace(sample, box=(10.0, 10.0, 12.0, 90.0), name="thin")
    endless = replace(sample, box=(0.0, 0.0, np.inf, 9.0), name="endless")
    missing = replace(sample, image=ImageFile(tmp_path / "none.png"), name="missing")
    assert kinds([empty]) == [("empty", "empty")]
    assert kinds([thin]) == [("thin", "degenerate-box")]
    assert kinds([endless]) == [("endless", "degenerate-box")]
    assert kinds([missing]) == [("missing", "unreadable")]


@pytest.fixture
def recipe(tmp_path):
    root = tmp_path / "lsp"
    (root / "images").mkdir(parents=True)
    labels = np.random.default_rng(0).uniform(5, 55, (14, 3, 4))
    labels[:, 2] = 1
    labels[0, 0, 1] = 90
    for number in range(3):
        picture = np.full((60, 60, 3), 40 * number, np.uint8)
        cv2.imwrite(str(root / f"images/im{number + 1:05d}.jpg"), picture)
    savemat(root / "joints.mat", {"joints": labels})
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "name: inspected\nlicence: none\nsteps: 1\nnetwork: {preset: tiny}\n"
        f"data: {{train: {{sports: {{adapter: lsp-extended, root: {root}}}}}}}\n"
    )
    return file


def test_inspect_draws_and_lists(tmp_path, recipe):
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["inspect", str(recipe), "--out", str(out), "--count", "9"])
    assert result.exit_code == 0, result.output
    with (out / "faults.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["sample"], row["kind"]) for row in rows}
    assert {("im00002.jpg", "out-of-frame"), ("im00004.jpg", "unreadable")} <= found
    assert all(row["data set"] == "train: sports" for row in rows)
    grid = read_image(out / "augmented.png")
    assert grid.shape[1] % 256 == 0
    assert grid.std() > 0
    assert "train: sports" in result.output


def test_boxes_without_numbers_are_listed_but_not_drawn(tmp_path, recipe, monkeypatch):
    endless = replace(standing(tmp_path), box=(0.0, 0.0, np.nan, 9.0))
    samples = [endless, *(standing(tmp_path, f"{n}.png", shift=n, value=n) for n in (1, 2))]
    monkeypatch.setattr("poseact.data.sources.ADAPTERS", {"lsp-extended": lambda *_: samples})
    report = inspect_recipe(recipe, tmp_path / "out", count=9)
    assert [fault.kind for fault in report.sources[0].faults] == ["degenerate-box"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"box": (1.0, 2.0, 3.0)}, r"^a\.png has a box of 3 numbers"),
        ({"joints": np.zeros((15, 2))}, r"joints of shape \(15, 2\) for the 16 joints of pa16"),
        ({"visible": np.zeros((16, 1), bool)}, r"visible of shape \(16, 1\)"),
    ],
)
def test_a_sample_has_one_row_per_joint_and_a_box_of_four(tmp_path, part, message):
    with pytest.raises(PoseActError, match=message):
        replace(standing(tmp_path), **part)


def test_inspect_without_a_readable_picture(tmp_path, recipe):
    for image in (tmp_path / "lsp/images").iterdir():
        image.unlink()
    result = CliRunner().invoke(app, ["inspect", str(recipe), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, PoseActError)
    assert "pictures of inspected could be read" in str(result.exception)
    assert not (tmp_path / "out").exists()
