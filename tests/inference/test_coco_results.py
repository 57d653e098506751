"""Results that pycocotools reads."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from poseact.actions.frame_pose import FramePose
from poseact.inference.coco_results import CocoResults
from poseact.inference.predict import predict
from poseact.inference.predictor import Predictor
from poseact.media import Frame, write_image
from poseact.skeleton import COCO17, PA16


@pytest.mark.parametrize("skeleton", [COCO17, PA16], ids=["coco", "pa16"])
def test_people_are_in_cocos_layout(skeleton, tmp_path):
    results, count = CocoResults(skeleton), len(skeleton)
    joints = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    sure = np.linspace(0, 1, count).astype(np.float32)
    box = (10.0, 20.0, 40.0, 80.0)
    pose = FramePose(4, 0.1, 7, joints, sure, sure >= 0.5, (0, 0, 90, 90), box, 0.75)
    results.add("a.mp4", Frame(3, 0.0, np.zeros((80, 60, 3), np.uint8)), [])
    results.add("a.mp4", Frame(4, 0.1, np.zeros((80, 60, 3), np.uint8)), [pose])
    results.write(tmp_path / "results.coco.json")
    coco = COCO(tmp_path / "results.coco.json")
    assert [image["frame"] for image in coco.loadImgs(coco.getImgIds())] == [3, 4]
    (found,) = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    assert (found["track_id"], found["category_id"], found["score"]) == (7, 1, 0.75)
    assert found["bbox"] == [10, 20, 30, 60]
    assert coco.getAnnIds(imgIds=[1]) == []
    rows = np.reshape(found["keypoints"], (17, 3))
    for row, joint in zip(rows, COCO17.joints, strict=True):
        if joint in skeleton.joints:
            at = skeleton.index(joint)
            np.testing.assert_allclose(row[:2], joints[at] - 0.5)
            assert row[2] == 1 + (sure[at] >= 0.5)
        else:
            assert row.tolist() == [0, 0, 0]
    assert found["num_keypoints"] == (rows[:, 2] > 0).sum()


def test_boxes_end_with_the_picture(tmp_path):
    results, joints = CocoResults(COCO17), np.zeros((17, 2), np.float32)
    pose = FramePose(0, 0.0, 0, joints, np.ones(17), np.ones(17, bool), (-10.0, 5.0, 40.0, 55.0))
    results.add("a.png", Frame(0, 0.0, np.zeros((50, 60, 3), np.uint8)), [pose])
    results.write(tmp_path / "results.coco.json")
    (found,) = json.loads((tmp_path / "results.coco.json").read_text())["annotations"]
    assert found["bbox"] == [0, 5, 40, 45]
    assert found["area"] == 40 * 45


def test_predict_writes_them_where_they_are_asked_for(person, tmp_path):
    write_image(tmp_path / "in" / "one.png", person)
    write_image(tmp_path / "in" / "none.png", np.zeros((40, 60, 3), np.uint8))
    out = tmp_path / "out"
    report = predict(tmp_path / "in", out, device="cpu", draw=False, coco=True, people=2)
    found = json.loads(report.coco.read_text())
    assert [image["file_name"] for image in found["images"]] == ["none.png", "one.png"]
    assert {one["image_id"] for one in found["annotations"]} == {2}
    # A photo is searched as Predictor.image does, more closely than a frame of a video.
    wanted = Predictor(device="cpu", people=2).image(person)
    assert [one["score"] for one in found["annotations"]] == [round(one.score, 4) for one in wanted]
