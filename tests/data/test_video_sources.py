"""Readers of Penn Action, NTU RGB+D and J-HMDB in their official layouts."""

from __future__ import annotations

import json
import logging
import pickle
import shutil

import numpy as np
import pytest

from helpers.ntu_jhmdb_files import (
    ntu_body,
    shade,
    write_film,
    write_jhmdb,
    write_ntu,
    write_skeletons,
)
from helpers.penn_action_files import write_penn_action
from poseact._utils.errors import PoseActError
from poseact.data.formats.label_files import read_mat_variables
from poseact.data.jhmdb import read_jhmdb
from poseact.data.ntu import read_ntu_videos
from poseact.data.penn_action import read_penn_action
from poseact.data.sources import SourceSpec
from poseact.data.video_sources import STILL_ADAPTERS, VIDEO_ADAPTERS
from poseact.media import read_image
from poseact.models.labels import NTU60, NTU120
from poseact.skeleton import JHMDB15, NTU25, PA16, PENN13

# --- Penn Action ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def penn(tmp_path_factory):
    root = tmp_path_factory.mktemp("penn")
    write_penn_action(root, ("squat", "bowl"), videos=2, frames=6)
    return root


def test_penn_official_layout(penn):
    videos = read_penn_action(penn, PENN13)
    assert [(v.name, v.action, v.part, len(v)) for v in videos] == [
        *(("0001", "squat", "train", 6), ("0002", "squat", "test", 6)),
        *(("0003", "bowl", "train", 6), ("0004", "bowl", "test", 6)),
    ]
    x, y = read_mat_variables(penn / "labels" / "0003.mat", ("x", "y"), "")
    first, again, last = videos[2].samples([0, 0, 5])
    assert (first.name, first.sequence, last.frame) == ("0003#0", "0003", 5)
    # Columns 1 and 2 are the right and the left shoulder; MATLAB's first pixel is 1.
    for column, joint in ((1, "right_shoulder"), (2, "left_shoulder")):
        place = last.joints[PENN13.index(joint)]
        np.testing.assert_allclose(place, (x[5, column] - 0.5, y[5, column] - 0.5), rtol=1e-5)
    box = np.array([x[5].min(), y[5].min(), x[5].max(), y[5].max()]) - 0.5
    np.testing.assert_allclose(last.box, box, rtol=1e-5)
    stored = read_image(penn / "frames" / "0003" / "000006.jpg")
    assert np.array_equal(last.image.read(), stored)
    assert not np.array_equal(first.image.read(), stored)
    assert np.array_equal(first.image.read(), again.image.read())


def test_penn_parts(penn):
    for part in ("train", "test"):
        videos = read_penn_action(penn, part=part)
        assert {video.part for video in videos} == {part}
        assert len(videos) == 2
    with pytest.raises(PoseActError, match=r"'valid'.*test, train"):
        read_penn_action(penn, part="valid")  # pyright: ignore[reportArgumentType]
    with pytest.raises(PoseActError, match="does not exist"):
        read_penn_action(penn / "frames")


def test_penn_genuine_labels(shared, tmp_path, caplog):
    (tmp_path / "labels").mkdir()
    for name in ("0001", "0038", "1154", "1516"):
        shutil.copy(shared / "data" / "penn_action_labels" / f"{name}.mat", tmp_path / "labels")
    videos = {video.name: video for video in read_penn_action(tmp_path)}
    # In 1516 no joint is ever visible.
    assert list(videos) == ["0001", "0038", "1154"]
    assert "1516" in caplog.text
    assert (videos["0001"].action, videos["0001"].part) == ("baseball_pitch", "test")
    for video in videos.values():
        poses = video.poses.load()
        assert len(poses.valid) == len(video)
        assert (poses.boxes[:, 2:] >= poses.boxes[:, :2]).all()
        inside = poses.joints[poses.valid]
        assert inside.min() > 0
        assert inside.max() < 500
        assert not poses.joints[~poses.valid].any()
    hidden = videos["0001"].samples([0])[0]
    assert not hidden.valid[PA16.index("left_shoulder")]


# --- NTU RGB+D ------------------------------------------------------------------------------------

SQUAT, DRINK = "S018C002P045R001A080", "S001C001P001R001A001"


@pytest.fixture(scope="module")
def ntu(tmp_path_factory):
    root = tmp_path_factory.mktemp("ntu")
    names = [DRINK, "S001C002P003R001A009", SQUAT, "S002C003P003R002A030"]
    write_ntu(root, names)
    (root / "NTU_RGBD120_samples_with_missing_skeletons.txt").write_text(
        "1 of the samples has missing or incomplete skeleton data.\n\nS002C003P003R002A030\n"
    )
    return root


def test_ntu_official_layout(tmp_path, caplog):
    # Somebody stands by; the one who moves is not in view at first, nor well seen later.
    mover = [ntu_body(0, 0.3 * frame) for frame in range(4)]
    wrist, ankle = NTU25.index("left_wrist"), NTU25.index("right_ankle")
    mover[2][wrist, 11], mover[2][ankle, 11] = 1, 0
    mover[3][wrist, 5:7] = np.nan
    still = ntu_body(1)
    frames = [[still], *([still, body] for body in mover[1:])]
    write_skeletons(tmp_path / "nturgb+d_skeletons" / f"{DRINK}.skeleton", frames)
    write_film(tmp_path / "nturgb+d_rgb" / f"{DRINK}_rgb.avi", 4)
    with caplog.at_level(logging.WARNING):
        (video,) = read_ntu_videos(tmp_path, NTU25)
    assert "missing_skeletons" in caplog.text
    assert (video.name, video.action, video.fps) == (DRINK, "drink water", 30)
    samples = pickle.loads(pickle.dumps(video)).samples(range(4))
    absent, second, third, fourth = samples
    assert not absent.valid.any()
    assert absent.box == second.box
    # The pictures are mirrored: a left wrist looks like a right one in them.
    seen = NTU25.index("right_wrist")
    root = mover[1][NTU25.index("pelvis"), 2]
    expected = [*mover[1][wrist, 5:7], 1000 * (mover[1][wrist, 2] - root)]
    np.testing.assert_allclose(second.joints[seen], expected, atol=0.01)
    assert second.valid.all()
    assert second.depth_valid.all()
    assert (third.valid[seen], third.visible[seen]) == (True, False)
    assert not third.valid[NTU25.index("left_ankle")]
    assert not fourth.valid[seen]
    places = mover[1][:, 5:7]
    np.testing.assert_allclose(second.box, [*places.min(0), *places.max(0)], rtol=1e-5)
    assert abs(second.image.read().mean() - shade(1)) < 6
    assert abs(fourth.image.read().mean() - shade(3)) < 6


def test_ntu_protocols_and_lists(ntu):
    videos = read_ntu_videos(ntu)
    assert [video.name for video in videos] == [DRINK, "S001C002P003R001A009", SQUAT]
    assert [video.action for video in videos] == [NTU60[0], NTU60[8], "squat down"]
    for protocol, parts in {
        "xsub": ["train", "test", "train"],
        "xview": ["test", "train", "train"],
        "xset": ["test", "test", "train"],
    }.items():
        found = read_ntu_videos(ntu, protocol=protocol)  # pyright: ignore[reportArgumentType]
        assert [video.part for video in found] == parts
    assert [video.name for video in read_ntu_videos(ntu, classes=60, part="train")] == [DRINK]
    assert len(set(NTU120)) == 120
    with pytest.raises(PoseActError, match="xview"):
        read_ntu_videos(ntu, protocol="xcamera")  # pyright: ignore[reportArgumentType]


def test_ntu_nothing_left(ntu):
    with pytest.raises(PoseActError, match="no video that fits"):
        read_ntu_videos(ntu, protocol="xset", part="train", classes=60)


def test_ntu_labels_are_read_when_needed(ntu, tmp_path):
    shutil.copytree(ntu, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "nturgb+d_skeletons" / f"{DRINK}.skeleton"
    file.write_text(file.read_text()[:-300])
    first, *rest = read_ntu_videos(tmp_path)
    with pytest.raises(PoseActError, match="cut short"):
        first.samples([0])
    assert rest[0].samples([0])[0].valid.any()
    write_skeletons(file, [[], []])
    with pytest.raises(PoseActError, match="Nobody is in view"):
        read_ntu_videos(tmp_path)[0].sequence()
    file.write_text("")
    with pytest.raises(PoseActError, match="number of frames"):
        read_ntu_videos(tmp_path)


def test_ntu_film_shorter_than_its_labels(ntu, tmp_path):
    shutil.copytree(ntu, tmp_path, dirs_exist_ok=True)
    film = tmp_path / "nturgb+d_rgb" / f"{DRINK}_rgb.avi"
    write_film(film, 2)
    video = read_ntu_videos(tmp_path)[0]
    assert len(video.frames.read([1, 0])) == 2
    with pytest.raises(PoseActError, match="no frame 3"):
        video.frames.read([1, 3])
    film.unlink()
    assert not video.frames.exists()


# --- J-HMDB ---------------------------------------------------------------------------------------


def genuine_jhmdb(shared):
    folder = shared / "data" / "samples" / "jhmdb"
    content = json.loads((folder / "test_jhmdb_sub1.json").read_text())
    images = {image["id"]: folder / image["file_name"] for image in content["images"]}
    for person in content["annotations"]:
        joints = np.array(person["keypoints"]).reshape(15, 3)[:, :2]
        yield images[person["image_id"]], joints


def test_jhmdb_genuine_joints(shared, tmp_path):
    for picture, joints in genuine_jhmdb(shared):
        write_jhmdb(tmp_path, "catch", {picture.parent.name: joints[None].repeat(2, 0)})
        shutil.copy(picture, tmp_path / "Rename_Images" / "catch" / picture.parent.name)
    thrower, _, keeper = read_jhmdb(tmp_path)
    assert thrower.name == "catch/Frisbee_catch_f_cm_np1_ri_med_0"
    assert thrower.recording == "Frisbee"
    (sample,) = thrower.samples([0])
    assert sample.image.read().shape == (240, 320, 3)
    # The right arm is raised, beside the head and above it; the left is held out in front.
    wrist, head = (sample.joints[PA16.index(j)] for j in ("right_wrist", "head"))
    np.testing.assert_allclose(wrist, (89.761, 71.296), atol=0.01)
    assert wrist[1] < head[1]
    assert sample.joints[PA16.index("left_wrist")][1] > head[1] + 30
    # The goalkeeper is seen from behind.
    (sample,) = keeper.samples([0])
    for part in ("shoulder", "hip", "ankle"):
        right, left = (sample.joints[PA16.index(f"{side}_{part}")] for side in ("right", "left"))
        assert right[0] > left[0] + 5


def test_jhmdb_splits(tmp_path):
    joints = np.random.default_rng(0).uniform(5, 40, (3, 15, 2))
    names = [f"Film_{i}_catch_f_cm_np1_ri_med_0" for i in range(3)]
    write_jhmdb(tmp_path, "catch", dict.fromkeys(names, joints))
    assert [video.part for video in read_jhmdb(tmp_path)] == [None] * 3
    (tmp_path / "splits").mkdir()
    for split, flags in {1: "121", 2: "112"}.items():
        lines = [f"{name}.avi {flag}" for name, flag in zip(names, flags, strict=True)]
        (tmp_path / "splits" / f"catch_test_split{split}.txt").write_text("\n".join(lines) + "\n")
    assert [video.part for video in read_jhmdb(tmp_path)] == ["train", "test", "train"]
    (test,) = read_jhmdb(tmp_path, JHMDB15, part="test", split=2)
    assert (test.recording, test.action, len(test)) == ("Film_2", "catch", 3)
    np.testing.assert_allclose(test.samples([2])[0].joints, joints[2] - 0.5, rtol=1e-5)
    assert (test.frames.read([2])[0] == shade(2)).all()
    with pytest.raises(PoseActError, match=r"'train'.*None"):
        read_jhmdb(tmp_path, part="train", split=3)


def test_jhmdb_of_another_layout(tmp_path):
    write_jhmdb(tmp_path, "catch", {"a": np.ones((3, 14, 2))})
    with pytest.raises(PoseActError, match=r"\(2, 14, 3\).*\(2, 15, frames\)"):
        read_jhmdb(tmp_path)


# --- All of them ----------------------------------------------------------------------------------


def test_stills_of_videos(penn):
    source = SourceSpec(
        adapter="penn-action", root=str(penn), options={"every": 4, "part": "train"}
    )
    samples = source.read()
    assert [sample.name for sample in samples] == ["0001#3", "0003#3"]
    videos = read_penn_action(penn, part="train")
    for sample, video in zip(samples, videos, strict=True):
        assert np.array_equal(sample.joints, video.samples([3])[0].joints)


def test_stills_without_labels_are_left_out(tmp_path):
    body = ntu_body(0)
    lost = body.copy()
    lost[:, 11] = 0
    write_skeletons(tmp_path / "nturgb+d_skeletons" / f"{DRINK}.skeleton", [[body], [lost], [body]])
    samples = STILL_ADAPTERS["ntu"](tmp_path)
    assert [sample.frame for sample in samples] == [0, 2]


@pytest.mark.parametrize("name", sorted(VIDEO_ADAPTERS))
def test_options_of_action_data_are_checked(name, tmp_path):
    for clips in (True, False):
        with pytest.raises(PoseActError, match=r"options of.*part.*valid"):
            SourceSpec(adapter=name, root=str(tmp_path), options={"part": "valid"}, clips=clips)
    with pytest.raises(PoseActError, match="every"):
        SourceSpec(adapter=name, root=str(tmp_path), options={"every": 0})
