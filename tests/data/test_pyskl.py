"""Pickles of pyskl: people, parts, and what a pickle must not do."""

from __future__ import annotations

import os
import pickle
from collections import Counter

import numpy as np
import pytest

from helpers.sequence_files import ntu_body
from poseact._utils.errors import PoseActError
from poseact.data.sequences.registry import read_sequences
from poseact.skeleton import COCO17, NTU25


def pyskl_2d(name="clip", label=1, frames=6, people=2):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 300, (people, 1, 17, 2)).repeat(frames, 1).astype(np.float16)
    points[-1, :, :, 0] += np.arange(frames)[:, None] * 10
    return {
        "frame_dir": name,
        "total_frames": frames,
        "img_shape": (340, 512),
        "original_shape": (340, 512),
        "label": label,
        "keypoint": points,
        "keypoint_score": np.full((people, frames, 17), 0.75, np.float16),
    }


def write_pickle(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pyskl_official_file(tmp_path, protocol):
    moved = pyskl_2d("b", np.int64(0))
    moved["keypoint_score"][1, 2] = 0
    annotations = [pyskl_2d("a"), moved, pyskl_2d("c")]
    content = {
        "split": {"xsub_train": ["a"], "xsub_val": ["b", "c"], "xview_train": ["a", "b"]},
        "annotations": annotations,
    }
    file = write_pickle(tmp_path / "ntu.pkl", content, protocol)
    first, second, third = read_sequences(file, labels=["sit", "stand"])
    assert (first.label, second.label) == ("stand", "sit")
    assert [s.part for s in (first, second, third)] == ["train", "test", "test"]
    assert [s.part for s in read_sequences(file, split="xview")] == ["train", "train", None]
    assert read_sequences(file)[0].label == "1"
    assert first.skeleton == COCO17
    np.testing.assert_allclose(first.joints, annotations[0]["keypoint"][1].astype(np.float32))
    assert (first.confidence == 0.75).all()
    # The frame in which nobody is known is left out, and time goes on.
    np.testing.assert_allclose(second.times * 30, [0, 1, 3, 4, 5])


def test_pyskl_validation_is_for_training_where_there_is_a_test_part(tmp_path):
    content = {
        "split": {"train": ["a"], "val": ["b"], "test": ["c"]},
        "annotations": [pyskl_2d(name) for name in "abc"],
    }
    file = write_pickle(tmp_path / "x.pkl", content)
    assert [s.part for s in read_sequences(file)] == ["train", "train", "test"]
    content["split"]["test"].append("a")
    with pytest.raises(PoseActError, match="a is in both"):
        read_sequences(write_pickle(file, content))
    with pytest.raises(PoseActError, match="split: 'xsub'"):
        read_sequences(file, split="xsub")


def test_pyskl_kinect_joints_in_metres(tmp_path):
    metres = np.zeros((2, 4, 25, 3), np.float32)
    metres[0] = ntu_body()
    metres[0, 1] += 0.2
    annotation = {"frame_dir": "S001", "label": 0, "keypoint": metres, "total_frames": 4}
    (sequence,) = read_sequences(write_pickle(tmp_path / "x.pkl", [annotation]))
    assert sequence.skeleton == NTU25
    expected = metres[0, :, 5] * (-1000, -1000, 1000)
    expected[:, 2] -= metres[0, :, 0, 2] * 1000
    np.testing.assert_allclose(sequence.joints[:, 5], expected, atol=0.01)


class Dangerous:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pyskl_runs_nothing(tmp_path, protocol):
    trap = tmp_path / "made"
    annotation = pyskl_2d()
    annotation["frame_dir"] = Dangerous(trap)
    file = write_pickle(tmp_path / "x.pkl", [annotation], protocol)
    with pytest.raises(PoseActError, match=rf"{os.mkdir.__module__}\.mkdir, which is not allowed"):
        read_sequences(file)
    assert not trap.exists()
    pickle.loads(file.read_bytes())
    assert trap.exists()  # the file is as dangerous as it should be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([None, {}], object), "not of numbers"),
        (np.array(["a"]), "not of numbers"),
        (np.zeros(2, [("a", "f4")]), "not of numbers"),
        (np.datetime64("2020-01-01"), "not of numbers"),
        ({1, 2}, "no list of annotations"),
        (Counter("ab"), "collections.Counter"),
        (complex(1, 2), "complex"),
    ],
)
def test_pyskl_plain_values_alone(tmp_path, content, message):
    with pytest.raises(PoseActError, match=message):
        read_sequences(write_pickle(tmp_path / "x.pkl", content))


def test_pyskl_damaged(tmp_path):
    file = write_pickle(tmp_path / "x.pkl", [pyskl_2d()])
    whole = file.read_bytes()
    for size in (1, 10, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(PoseActError, match="cannot be read"):
            read_sequences(file)


def test_pyskl_arrays_keep_their_layout(tmp_path):
    annotation = pyskl_2d()
    annotation["keypoint"] = np.asfortranarray(annotation["keypoint"].astype(">f8"))
    file = write_pickle(tmp_path / "x.pkl", [annotation], 2)
    expected = annotation["keypoint"][1].astype(np.float32)
    np.testing.assert_array_equal(read_sequences(file)[0].joints, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoint": np.ones((1, 6, 17))}, "annotation 0 has a 'keypoint' of shape"),
        ({"keypoint": [[1, 2], [3]]}, "annotation 0 has a 'keypoint' of shape"),
        ({"keypoint_score": np.ones((1, 6, 17))}, "annotation 0 has a 'keypoint_score'"),
        ({"keypoint_score": 1}, "annotation 0 has a 'keypoint_score'"),
        ({"keypoint_score": np.zeros((2, 6, 17))}, "nobody"),
        ({"keypoint": np.ones((0, 6, 17, 2)), "keypoint_score": np.ones((0, 6, 17))}, "nobody"),
        ({"label": 7}, "label 7, but 2 labels"),
    ],
)
def test_pyskl_wrong_annotations(tmp_path, changes, message):
    file = write_pickle(tmp_path / "x.pkl", [{**pyskl_2d(), **changes}])
    with pytest.raises(PoseActError, match=message):
        read_sequences(file, labels=["a", "b"])


def test_pyskl_annotation_that_is_wrong_is_left_out_and_named(tmp_path, caplog):
    nobody = pyskl_2d("v1") | {"keypoint_score": np.zeros((2, 6, 17))}
    empty = pyskl_2d("v3") | {"keypoint": np.ones((0, 6, 17, 2))}
    content = [nobody, pyskl_2d("v2"), empty | {"keypoint_score": np.ones((0, 6, 17))}, {}]
    sequences = read_sequences(write_pickle(tmp_path / "x.pkl", content))
    assert [sequence.name for sequence in sequences] == ["v2"]
    assert "3 of 4 annotations" in caplog.text
    for number in (0, 2, 3):
        assert f"annotation {number}" in caplog.text
