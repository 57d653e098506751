"""Looking through data sets on disk, and the commands of the group ``poseact data``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

import poseact.cli.dataset_commands  # noqa: F401 - registers the group
from helpers.pose_files import (
    LENS,
    mpii_person,
    room_poses,
    write_cdf,
    write_metadata,
    write_mpi_test,
    write_mpii,
)
from poseact._utils.errors import PoseActError
from poseact.cli.app import app
from poseact.data.mpii import read_mpii
from poseact.data.official.check_data import check_data
from poseact.data.official.distributions import DISTRIBUTIONS
from poseact.data.official.human36m_cameras import VIEWS
from poseact.data.packed.shards import read_packed
from poseact.media import read_image, write_image
from poseact.skeleton import PA16


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def count_of(report, what):
    (count,) = [count for count in report.counts if count.what == what]
    return count


@pytest.fixture
def mpii(tmp_path):
    """Three people in two grey pictures, the second of which is missing."""
    root = tmp_path / "mpii"
    root.mkdir()
    points = np.random.default_rng(0).uniform(50, 350, (3, 16, 2))
    people = [mpii_person(points[number], {0}) for number in range(3)]
    write_mpii(root, {"a.jpg": people[:2], "b.jpg": people[2:]})
    write_image(root / "images" / "a.jpg", np.full((400, 400, 3), 90, np.uint8))
    return root


def test_mpii_without_lists_and_with_a_missing_picture(mpii, tmp_path):
    report = check_data("mpii", mpii, tmp_path / "out")
    assert report.readable
    assert count_of(report, "labelled people").found == 3
    assert count_of(report, "the labels").complete
    assert count_of(report, "the pictures").complete is None
    assert count_of(report, "the lists train.json and valid.json").found == 0
    pictures = count_of(report, "pictures or videos of 3 of these")
    assert (pictures.found, pictures.complete) == (2, False)
    assert any("valid.json" in problem and "PCKh" in problem for problem in report.problems)
    assert any("b.jpg" in problem for problem in report.problems)
    assert report.shown == ["a.jpg#0", "a.jpg#1", "b.jpg#2"]
    grid = read_image(report.picture)
    assert grid.shape == (320, 960, 3)
    grey = np.abs(grid.astype(int) - 90).max(-1) < 8
    # Two tiles with limbs on a grey picture, and none in the place of the missing one.
    for tile, drawn in ((0, True), (1, True), (2, False)):
        part = slice(320 * tile, 320 * (tile + 1))
        assert grey[:, part].any() == drawn
        assert (grid[100:, part].max() > 200) == drawn


def test_mpii_lists_are_counted_against_the_official_numbers(mpii, tmp_path):
    people = read_mpii(mpii)
    entries = [
        {
            "image": person.image.path.name,
            "joints": (np.zeros((16, 2)) - 1).tolist(),
            "joints_vis": [0] * 16,
        }
        for person in people
    ]
    (mpii / "valid.json").write_text(json.dumps(entries))
    report = check_data("mpii", mpii, tmp_path / "out")
    validation = count_of(report, "people to validate with")
    assert (validation.found, validation.official, validation.complete) == (0, (2958,), False)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_an_empty_folder_has_a_sentence_for_all_that_is_missing(name, tmp_path):
    (tmp_path / "data").mkdir()
    report = check_data(name, tmp_path / "data", tmp_path / "out")
    assert not report.readable
    assert report.picture is None
    assert len(report.problems) == len(DISTRIBUTIONS[name].files)
    assert all(problem.endswith(".") for problem in report.problems)
    result = run("data", "check", name, tmp_path / "data", "--out", tmp_path / "out")
    assert result.exit_code == 2
    saved = json.loads((tmp_path / "out" / "report.json").read_text())
    assert saved["readable"] is False
    assert saved["problems"] == report.problems


def test_unknown_data_sets_and_folders_are_refused(tmp_path):
    with pytest.raises(PoseActError, match=r"lsp was given, but .* mpii"):
        check_data("lsp", tmp_path)
    with pytest.raises(PoseActError, match="is not a folder"):
        check_data("mpii", tmp_path / "nothing")


@pytest.mark.parametrize(("shift", "close"), [(0, True), (50, False)])
def test_human36m_cameras_are_measured(tmp_path, shift, close):
    root = tmp_path / "h36m"
    placings = np.zeros((4, 11, 6))
    placings[..., :3], placings[..., 3:] = (np.pi / 2, 0, 0), (0, -5000, 1000)
    world = room_poses(200)
    folder = root / "S5" / "MyPoseFeatures"
    write_cdf(folder / "D3_Positions" / "Eating.cdf", world)
    plane = world[..., [0, 2]] * (1, -1) + (0, 1000)
    depth = world[..., 1:2] + 5000
    lens = [*LENS[:4], 0, 0, 0, 0, 0]
    pixels = plane / depth * lens[:2] + lens[2:4] + shift
    write_cdf(folder / "D2_Positions" / f"Eating.{VIEWS[0]}.cdf", pixels)
    write_metadata(root / "metadata.xml", placings, np.tile(lens, (4, 1)))
    report = check_data("human36m", root, tmp_path / "out")
    assert count_of(report, "poses, 1 of 200 frames").found == 4
    assert count_of(report, "the poses in mm").official == (210,)
    (remark,) = report.remarks
    assert remark.startswith(f"The cameras meet the labels of S5 Eating.{VIEWS[0]} within ")
    gap = float(remark.split()[-2])
    assert (gap < 0.01) if close else (49 < gap < 52)
    # Labels can be read although the videos are not there.
    assert report.readable
    assert report.picture is None
    assert any("Videos" in problem for problem in report.problems)


def test_jhmdb_videos_and_folders(tmp_path):
    root = tmp_path / "jhmdb"
    joints = np.random.default_rng(0).uniform(20, 200, (2, 15, 5))
    for name in ("one_catch_f", "two_catch_f"):
        file = root / "joint_positions" / "catch" / name / "joint_positions.mat"
        file.parent.mkdir(parents=True)
        savemat(file, {"pos_img": joints})
    for number in range(1, 6):
        picture = root / "Rename_Images" / "catch" / "one_catch_f" / f"{number:05d}.png"
        write_image(picture, np.full((240, 320, 3), 60, np.uint8))
    report = check_data("jhmdb", root, tmp_path / "out")
    assert (count_of(report, "videos").found, count_of(report, "videos").official) == (2, (928,))
    assert count_of(report, "folders of pictures").found == 1
    assert count_of(report, "pictures or videos of 2 of these").found == 1
    assert report.shown == ["catch/one_catch_f#2", "catch/two_catch_f#2"]
    assert any("two_catch_f/00003.png" in problem for problem in report.problems)
    assert report.picture is not None


def test_mpi_inf_3dhp_test_set_alone_is_enough(tmp_path):
    points = np.random.default_rng(0).normal((0, 0, 3500), 300, (4, 17, 3))
    pixels = 1000 * points[..., :2] / points[..., 2:] + 500
    (tmp_path / "data").mkdir()
    write_mpi_test(tmp_path / "data", [1, 1, 0, 1], pixels, points)
    report = check_data("mpi-inf-3dhp", tmp_path / "data", tmp_path / "out")
    assert report.readable
    assert count_of(report, "poses to test with").found == 3


def test_check_command_tells_what_was_found(mpii, tmp_path):
    result = run("data", "check", "mpii", mpii, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "labelled people" in result.output
    assert "Official numbers:" in result.output
    assert str(tmp_path / "out" / "samples.png") in result.output
    saved = json.loads((tmp_path / "out" / "report.json").read_text())
    assert saved["counts"][0] == {
        "what": "the labels",
        "found": 1,
        "official": [1],
        "complete": True,
    }


def test_official_penn_action_labels_are_counted_by_part(shared, tmp_path):
    (tmp_path / "penn" / "labels").mkdir(parents=True)
    for file in sorted((shared / "data" / "penn_action_labels").glob("*.mat"))[:20]:
        (tmp_path / "penn" / "labels" / file.name).symlink_to(file)
    report = check_data("penn-action", tmp_path / "penn", tmp_path / "out")
    assert count_of(report, "the labels").found == count_of(report, "videos").found == 20
    parts = [count_of(report, f"videos to {part}") for part in ("train", "test")]
    assert sum(part.found for part in parts) == 20
    assert [part.official for part in parts] == [(1257,), (1068,)]
    assert count_of(report, "pictures or videos of 20 of these").found == 0
    assert len(report.shown) == 9


def test_pack_command_packs_a_part_with_options(mpii, tmp_path):
    out = tmp_path / "packed"
    result = run(
        *("data", "pack", "mpii", mpii, out, "--shard-size", 1, "--option", "single_person=true")
    )
    assert result.exit_code == 0, result.output
    assert "3 stills (3 new) in 3 shards" in result.output
    assert "1 could not be read and are left out" in result.output
    packed = read_packed(out, PA16)
    original = read_mpii(mpii, PA16)[:2]
    assert [person.square for person in packed] == [person.square for person in original]
    for a, b in zip(packed, original, strict=True):
        np.testing.assert_allclose(a.joints[:, :2], b.joints, atol=1e-3)
        assert a.head_px == pytest.approx(b.head_px)
    index = json.loads((out / "index.json").read_text())
    assert index["options"] == {"single_person": True}


def test_pack_command_refuses_videos_of_stills(mpii, tmp_path):
    result = run("data", "pack", "mpii", mpii, tmp_path / "packed", "--videos")
    assert isinstance(result.exception, PoseActError)
    assert "but mpii reads stills" in str(result.exception)


def test_pack_command_refuses_options_without_a_value(mpii, tmp_path):
    result = run("data", "pack", "mpii", mpii, tmp_path / "packed", "--option", "single_person")
    assert isinstance(result.exception, PoseActError)
    assert "NAME=VALUE" in str(result.exception)
