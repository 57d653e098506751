"""Sequences from COCO files of tracked people."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.data.sequences.registry import read_sequences
from poseact.skeleton import COCO17


def coco_tracks(frames=4, label="wave"):
    rng = np.random.default_rng(0)
    images = [
        {"id": 10 + k, "file_name": f"park/{k:03d}.jpg", "frame_id": k, "video_id": "park"}
        for k in range(frames)
    ]
    annotations = [
        {
            **{"id": 2 * k + track, "image_id": 10 + k, "track_id": track, "category_id": 1},
            "keypoints": np.column_stack((rng.uniform(0, 99, (17, 2)), np.full(17, 2))).ravel(),
            "label": label,
        }
        for k in range(frames)
        for track in (0, 1)
    ]
    return {
        "images": images[::-1],
        "annotations": annotations[::-1],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }


def write_coco(path, content):
    path.write_text(json.dumps(content, default=lambda value: value.tolist()))
    return path


def test_coco_tracks_in_the_order_of_frames(tmp_path):
    content = coco_tracks()
    content["annotations"] = [
        each for each in content["annotations"] if (each["track_id"], each["image_id"]) != (1, 11)
    ]
    by_track = {(a["track_id"], a["image_id"]): a for a in content["annotations"]}
    by_track[0, 12]["keypoints"][2] = 0
    by_track[0, 13]["keypoints"][2] = 1
    file = write_coco(tmp_path / "tracks.json", content)
    sequences = {s.name: s for s in read_sequences(file, fps=10)}
    assert set(sequences) == {"park#0", "park#1"}
    assert {s.recording for s in sequences.values()} == {"park"}
    whole, gap = sequences["park#0"], sequences["park#1"]
    np.testing.assert_allclose(whole.times, [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(gap.times, [0, 0.2, 0.3])
    expected = by_track[1, 12]["keypoints"].reshape(17, 3)[:, :2]
    np.testing.assert_allclose(gap.joints[1], expected, rtol=1e-6)
    assert whole.confidence[:, 0].tolist() == [1, 1, 0, 1]
    assert (whole.label, whole.skeleton) == ("wave", COCO17)


def test_coco_tracks_scores_and_names(tmp_path):
    content = coco_tracks()
    content["categories"][0] |= {"name": "juggling", "keypoints": ["Nose", "Left Wrist"]}
    for annotation in content["annotations"]:
        del annotation["label"]
        annotation["keypoints"] = [5, 6, 0.25, 7, 8, 1]
    sequence = read_sequences(write_coco(tmp_path / "tracks.json", content))[0]
    assert sequence.skeleton.joints == ("nose", "left_wrist")
    assert sequence.confidence.tolist() == [[0.25, 1]] * 4
    assert sequence.label == "juggling"


def test_coco_tracks_are_cut_where_the_label_changes(tmp_path):
    content = coco_tracks(6)
    for annotation in content["annotations"]:
        if annotation["image_id"] in (12, 13):
            annotation["label"] = "rest"
    sequences = read_sequences(write_coco(tmp_path / "tracks.json", content))
    first = [(s.label, len(s), s.times[0] * 30) for s in sequences if "#0" in s.name]
    assert first == [("wave", 2, 0), ("rest", 2, 2), ("wave", 2, 4)]
    assert len({s.name for s in sequences}) == 6


def test_coco_tracks_videos_are_folders_without_an_id(tmp_path):
    content = coco_tracks()
    for image in content["images"]:
        del image["video_id"], image["frame_id"]
        image["file_name"] = f"sea/{image['file_name'][-7:]}"
    sequences = read_sequences(write_coco(tmp_path / "tracks.json", content))
    assert {s.recording for s in sequences} == {"sea"}
    # The images count in the order in which the file lists them.
    last = content["annotations"][0]
    found = next(s for s in sequences if s.name == f"sea#{last['track_id']}")
    np.testing.assert_allclose(found.joints[0, 0], last["keypoints"][:2], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][3].pop("track_id"), r"annotation 4 .*track_id: Field required"),
        (lambda c: c["annotations"][3].update(track_id=[1]), r"annotation 4 .*track_id"),
        (lambda c: c["annotations"][3].update(image_id=99), "annotation 4 belongs to no image"),
        (lambda c: c["annotations"].insert(3, None), "annotation 3 cannot be used"),
        (lambda c: c["annotations"][3].update(keypoints=[1, 2, 3]), "annotation 4 .*51 were"),
        (lambda c: c["annotations"][3].update(track_id=1, image_id=11), "two people in one frame"),
        (lambda c: c["images"][0].pop("file_name"), r"image 13 .*file_name: Field required"),
        (lambda c: c["images"][0].update(id={}), r"image {} cannot be used .*id"),
        (lambda c: c["images"][0].update(frame_id="first"), r"image 13 .*frame_id"),
        (lambda c: c["images"][0].update(frame_id=10**400), r"image 13 .*frame_id"),
    ],
)
def test_what_is_wrong_in_coco_tracks_is_left_out_and_named(tmp_path, change, message, caplog):
    content = coco_tracks()
    change(content)
    assert read_sequences(write_coco(tmp_path / "tracks.json", content))
    assert "left out" in caplog.text
    assert re.search(message, caplog.text)


def test_coco_tracks_without_anything_to_use(tmp_path):
    content = coco_tracks()
    for annotation in content["annotations"]:
        del annotation["track_id"]
    with pytest.raises(
        PoseActError, match=r"None of the 8 .* annotation 7 cannot be used .*track_id"
    ):
        read_sequences(write_coco(tmp_path / "tracks.json", content))
    content = coco_tracks() | {"annotations": []}
    with pytest.raises(PoseActError, match="no 'annotations'"):
        read_sequences(write_coco(tmp_path / "tracks.json", content))


def test_coco_tracks_frames_numbered_across_all_videos(tmp_path):
    content = coco_tracks()
    for image in content["images"]:
        image["frame_id"] += 10_003_420_000
    plain = read_sequences(write_coco(tmp_path / "tracks.json", coco_tracks()))
    shifted = read_sequences(write_coco(tmp_path / "tracks.json", content))
    for one, other in zip(plain, shifted, strict=True):
        np.testing.assert_array_equal(one.times, other.times)
