"""Label files whose entries repeat, contradict one another, or lie far beyond any picture."""

from __future__ import annotations

import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from scipy.io import savemat

from helpers.pose_files import mpii_person, write_mpii
from poseact import PoseActError
from poseact.actions.frame_pose import FramePose
from poseact.data.blazepose import read_blazepose
from poseact.data.camera import Camera
from poseact.data.coco import read_coco
from poseact.data.formats.mat_file import load_variables
from poseact.data.images import ShardMember
from poseact.data.mpii import read_mpii
from poseact.data.packed.pack import pack
from poseact.data.packed.shards import PackedPoses, StillLabels, read_packed
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.registry import read_sequences
from poseact.data.sources import SourceSpec
from poseact.media import write_image
from poseact.skeleton import PA16

POINTS = [float(value) for joint in range(17) for value in (joint + 1, joint + 2, 2)]


@pytest.fixture
def content():
    """Three frames of one person, as COCO and as a track."""
    images = [
        {"id": n, "file_name": f"{n}.png", "width": 320, "height": 240, "frame_id": n}
        for n in range(3)
    ]
    people = [
        {"id": n, "image_id": n, "category_id": 1, "track_id": 1, "keypoints": POINTS}
        for n in range(3)
    ]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}


def write(folder, content):
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


class TestIdentities:
    def test_the_first_image_of_an_id_counts(self, content, tmp_path, caplog):
        content["images"].append({"id": 0, "file_name": "other.png", "frame_id": 9})
        write(tmp_path, content)
        assert read_coco(tmp_path)[0].image.path.name == "0.png"
        assert "image 0 cannot be used (an earlier one has this id)" in caplog.text
        times = read_sequences(tmp_path / "annotations.json")[0].times
        np.testing.assert_allclose(times, [0, 1 / 30, 2 / 30])

    def test_the_first_category_of_an_id_counts(self, content, tmp_path, caplog):
        content["categories"].append({"id": 1, "name": "dog", "keypoints": ["left_knee"]})
        content["categories"][0]["keypoints"] = [f"j{n}" for n in range(16)] + ["left_knee"]
        write(tmp_path, content)
        assert len(read_coco(tmp_path)) == 3
        assert len(read_sequences(tmp_path / "annotations.json")) == 1
        assert caplog.text.count("an earlier one has this id") == 2

    def test_ids_that_float_confounds_are_named(self, content, tmp_path, caplog):
        for image in content["images"]:
            image["id"] = 1e18 + image["id"]
        content["annotations"][0]["image_id"] = 1e18
        write(tmp_path, content)
        assert [sample.image.path.name for sample in read_coco(tmp_path)] == ["0.png"]
        assert "2 of 3 images" in caplog.text

    def test_a_truth_value_is_no_id(self, content, tmp_path, caplog):
        content["annotations"][0]["image_id"] = True
        assert len(read_coco(write(tmp_path, content))) == 2
        assert "a boolean is not an id" in caplog.text

    @pytest.mark.parametrize("identity", [[1], {"a": 1}])
    def test_the_id_of_a_category_of_boxes_may_be_anything(self, identity, content, tmp_path):
        content["categories"].append({"id": identity, "name": "dog"})
        assert len(read_coco(write(tmp_path, content))) == 3

    def test_an_image_without_a_number_among_numbered_ones(self, content, tmp_path, caplog):
        for image in content["images"]:
            image["frame_id"] += 5
        del content["images"][2]["frame_id"]
        write(tmp_path, content)
        (sequence,) = read_sequences(tmp_path / "annotations.json")
        np.testing.assert_allclose(sequence.times, [0, 1 / 30])
        assert "it lacks the frame_id that others have" in caplog.text


class TestPlaces:
    @pytest.mark.parametrize("box", [[0, 0, float("inf"), 9], [1e300] * 4, [1e38, 1, 3e38, 1]])
    def test_a_box_beyond_any_picture_is_replaced(self, box, content, tmp_path):
        content["annotations"][0]["bbox"] = box
        assert read_coco(write(tmp_path, content))[0].box == (1.5, 2.5, 17.5, 18.5)

    @pytest.mark.parametrize("place", [1e7, 1e39, 1e300])
    def test_a_keypoint_beyond_any_picture(self, place, content, tmp_path, caplog):
        content["annotations"][0]["keypoints"] = [place, *POINTS[1:]]
        assert len(read_coco(write(tmp_path, content))) == 2
        assert "1 of 3 annotations" in caplog.text

    @pytest.mark.parametrize("place", [1e7, 1e39, 1e300])
    def test_a_joint_of_mpii_beyond_any_picture_has_no_label(self, place, tmp_path):
        joints = [[place, 2.0], *[[1.5, 2.5]] * 15]
        person = {"image": "a.jpg", "joints": joints, "joints_vis": [1] * 16}
        (tmp_path / "train.json").write_text(json.dumps([person]))
        (sample,) = read_mpii(tmp_path, labels="train.json")
        assert sample.valid.sum() == 15
        assert sample.box == (1.0, 2.0, 1.0, 2.0)

    def test_a_point_of_the_official_file_that_is_no_number(self, tmp_path):
        points = [[float("nan"), 1.0], [1e300, 1.0], *[[2.5, 3.5]] * 14]
        write_mpii(tmp_path, {"a.jpg": [mpii_person(points, [])]})
        (sample,) = read_mpii(tmp_path)
        assert np.isfinite(sample.joints).all()
        assert sample.box == (2.0, 3.0, 2.0, 3.0)

    @pytest.mark.parametrize(
        "change",
        [
            {"joints": {"nose": [1e39, 1]}},
            {"box": [0, 0, 1e300, 1]},
            {"box": [5, 0, 1, 1]},
            {"joints": {}},
            {"root_depth_mm": float("inf")},
            {"camera": {"focal": [float("nan"), 1], "centre": [1, 1]}},
        ],
    )
    def test_packed_labels_beyond_any_picture(self, change):
        labels = {"name": "a", "dims": 2, "joints": {"nose": [1, 1]}, "hidden": [], "no_depth": []}
        labels |= {"box": [0, 0, 1, 1], "sequence": None, "frame": None}
        labels |= dict.fromkeys(("camera", "window", "root_depth_mm", "head_px", "area_px"))
        assert StillLabels.model_validate_json(json.dumps(labels))
        with pytest.raises(ValueError, match=r"should|of a camera|is reversed"):
            StillLabels.model_validate_json(json.dumps(labels | change))


def test_shards_without_samples(content, tmp_path):
    (tmp_path / "coco" / "images").mkdir(parents=True)
    for number in range(3):
        write_image(tmp_path / "coco" / "images" / f"{number}.png", np.zeros((9, 9, 3), np.uint8))
    pack(SourceSpec(adapter="coco", root=str(write(tmp_path / "coco", content))), tmp_path / "pack")
    assert len(read_packed(tmp_path / "pack")) == 3
    with tarfile.open(tmp_path / "pack" / "000000.tar", "w"):
        pass
    with pytest.raises(PoseActError, match="hold no sample; pack"):
        read_packed(tmp_path / "pack")


def test_messages_name_a_few_of_many_joints(content, tmp_path):
    content["categories"][0]["keypoints"] = [f"j{n}" for n in range(900)]
    with pytest.raises(PoseActError, match="j19, but none") as told:
        read_coco(write(tmp_path, content))
    assert len(str(told.value)) < 1000
    content["categories"][0]["keypoints"] *= 100
    with pytest.raises(PoseActError, match="at most 1000 items"):
        read_coco(write(tmp_path, content))


def test_what_has_no_place_is_named_without_a_colon(tmp_path):
    (tmp_path / "annotations.json").write_text("[]")
    with pytest.raises(PoseActError, match=r"at its top \(Input should be"):
        read_coco(tmp_path)


def test_a_variable_that_is_there_many_times_is_bounded():
    file = io.BytesIO()
    savemat(file, {"x": np.zeros((1000, 1000))}, do_compression=True)
    once = file.getvalue()
    assert load_variables(once, ("x",))["x"].shape == (1000, 1000)
    with pytest.raises(ValueError, match="more than"):
        load_variables(once + once[128:] * 40, ("x",))


class TestSequences:
    def test_a_sequence_in_which_nothing_is_known(self, content, tmp_path, caplog):
        unknown = [value if n % 3 < 2 else 0 for n, value in enumerate(POINTS)]
        person = {**content["annotations"][0], "keypoints": unknown, "track_id": 2, "id": 9}
        content["annotations"].append(person)
        write(tmp_path, content)
        assert len(read_sequences(tmp_path / "annotations.json")) == 1
        assert "no joint is known in any frame" in caplog.text

    def test_a_table_of_a_person_who_is_never_seen(self, tmp_path, caplog):
        table = PoseTable("a.mp4", PA16, fps=30, width=64, height=48)
        for person, confidence in ((0, 1), (1, 0)):
            joints = np.ones((16, 2), np.float32), np.full(16, confidence, np.float32)
            table.append(
                FramePose(0, 0.0, person, *joints, np.ones(16, bool), (0.0, 0.0, 9.0, 9.0))
            )
        table.write_parquet(tmp_path / "a.parquet")
        assert len(read_sequences(tmp_path / "a.parquet")) == 1
        assert "person 1 of a.mp4 cannot be used" in caplog.text

    def test_a_place_beyond_any_picture_is_not_known(self, tmp_path):
        joints = np.ones((5, 16, 2))
        joints[:, :3] = [[np.nan, 1], [1e38, 1], [1e7, 1]]
        np.savez(tmp_path / "a.npz", joints=joints, fps=30.0)
        (sequence,) = read_sequences(tmp_path / "a.npz")
        assert sequence.confidence[0].tolist() == [0, 0, 0, *[1] * 13]
        assert np.isin(sequence.joints, (0, 1)).all()

    def test_sequences_of_one_name_are_numbered(self, tmp_path):
        points = np.random.default_rng(0).random((1, 4, 17, 2))
        person = {"frame_dir": "a", "label": 0, "keypoint": points}
        (tmp_path / "a.pkl").write_bytes(pickle.dumps([person, person, {**person, "label": 1}]))
        found = read_sequences(tmp_path / "a.pkl")
        assert [sequence.name for sequence in found] == ["a", "a (2)", "a (3)"]
        assert {sequence.recording for sequence in found} == {"a"}

    @pytest.mark.parametrize("label", [[1, 2], None, np.zeros(3), float("nan"), "big"])
    def test_a_label_that_is_no_number_or_name(self, label, tmp_path):
        points = np.random.default_rng(0).random((1, 4, 17, 2))
        people = [{"frame_dir": str(n), "label": n, "keypoint": points} for n in range(2)]
        people[0]["label"] = 10**5000 if isinstance(label, str) else label
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(people))
        assert [one.label for one in read_sequences(tmp_path / "a.pkl")] == ["1"]

    @pytest.mark.parametrize(
        "change",
        [{"label": np.array(["a", "b"])}, {"label": 1.5}, {"part": "dev"}, {"label": b"a"}],
    )
    def test_an_archive_whose_label_or_part_is_none(self, change, tmp_path):
        given = {"joints": np.ones((5, 16, 2)), "fps": 30.0, "label": "a", "part": "test"}
        np.savez(tmp_path / "a.npz", **{**given, **change})
        with pytest.raises(PoseActError, match="give"):
            read_sequences(tmp_path / "a.npz")

    @pytest.mark.parametrize("action", [5.0, np.array(["jump"], object)])
    def test_an_action_of_penn_that_is_no_text(self, action, tmp_path):
        places = {key: np.ones((5, 13)) for key in ("x", "y", "visibility")}
        savemat(tmp_path / "0001.mat", {**places, "action": action, "train": 1})
        with pytest.raises(PoseActError, match="one name"):
            read_sequences(tmp_path / "0001.mat", "penn")


@pytest.mark.parametrize("change", [{"focal": (0.0, 1.0)}, {"centre": (float("nan"), 1.0)}])
def test_a_camera_without_a_lens(change):
    with pytest.raises(ValueError, match="of a camera"):
        Camera(**{"focal": (1.0, 1.0), "centre": (1.0, 1.0), **change})


def test_landmarks_that_are_no_numbers_are_unlabelled(tmp_path):
    landmarks, world = np.ones((2, 33, 4)), np.ones((2, 33, 3))
    landmarks[0, 11:13, :2] = [[np.nan, 1], [1e300, 1]]
    names = np.array([b"a_0.jpg", b"b_0.jpg"])
    np.savez(tmp_path / "blazepose.npz", names=names, landmarks=landmarks, world=world)
    found = read_blazepose(tmp_path)
    assert [sample.name for sample in found] == ["a_0.jpg", "b_0.jpg"]
    assert np.isfinite(found[0].joints).all()
    assert found[0].valid.sum() < found[1].valid.sum()


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.full((3, 4), np.nan, np.float32)},
        {"boxes": np.full((3, 4), np.inf, np.float32)},
        {"visible": np.ones((1, 1), bool)},
        {"valid": np.ones((3, 2))},
    ],
)
def test_packed_labels_of_a_video(change, tmp_path):
    marks = dict.fromkeys(("valid", "visible", "depth_valid"), np.ones((3, 2), bool))
    given = {"joints": np.ones((3, 2, 2)), "boxes": np.ones((3, 4)), **marks}
    poses = PackedPoses(write_member(tmp_path, given), ("pelvis", "head"), PA16, 3)
    assert poses.load().valid.sum() == 6
    changed = PackedPoses(write_member(tmp_path, given | change), ("pelvis", "head"), PA16, 3)
    with pytest.raises(PoseActError, match=r"a box is beyond|booleans of another"):
        changed.load()


def write_member(folder, arrays):
    """An archive as a member of a shard that holds nothing else."""
    path = folder / "labels.npz"
    np.savez(path, **arrays)
    return ShardMember(path, "0.npz", 0, path.stat().st_size)
