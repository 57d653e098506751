"""Scores of the person detector on photos with labels in COCO's format."""

import json

import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.evaluation.eval_people import LabelledPhoto, read_photos, score_people
from poseact.inference.detect import THRESHOLD, Person
from poseact.skeleton import COCO17

SHARED = np.ones(len(COCO17), bool)
BOXES = [(20, 20, 80, 200), (120, 30, 200, 190)]


def annotation(box, number, identity):
    x0, y0, x1, y1 = box
    joints = np.column_stack((np.linspace(x0, x1, 17), np.linspace(y0, y1, 17), np.full(17, 2)))
    size = [x0, y0, x1 - x0, y1 - y0]
    row = {"id": identity, "image_id": number, "category_id": 1, "bbox": size, "iscrowd": 0}
    return row | {"area": float(size[2] * size[3]), "keypoints": joints}


def photo(number, boxes, found, poses=None):
    people = [annotation(box, number, 10 * number + k) for k, box in enumerate(boxes)]
    if poses is None:
        poses = [annotation(one.box, number, 0)["keypoints"][:, :2] + 0.5 for one in found]
    poses = np.array(poses).reshape(-1, len(COCO17), 2)
    shown = [one for one in found if one.score >= THRESHOLD]
    return LabelledPhoto(number, None, people, found, poses, shown, height=240)


def test_what_is_as_labelled_scores_one():
    found = [Person(box, 0.9) for box in BOXES]
    scores = score_people([photo(1, BOXES, found), photo(2, [], [])], SHARED)
    assert (scores.photos, scores.people, scores.empty, scores.false_people) == (2, 2, 1, 0)
    assert (scores.ap, scores.ap50, scores.ar10, scores.oks_ap) == pytest.approx((1, 1, 1, 1))
    assert (scores.tall4, scores.tall8) == (1, 1)
    assert np.isnan(scores.small)


def test_a_missed_person_and_false_people():
    photos = [
        photo(1, BOXES, [Person(BOXES[0], 0.9)]),
        photo(2, [], [Person((0, 0, 9, 9), THRESHOLD), Person((0, 0, 9, 9), THRESHOLD - 0.01)]),
    ]
    scores = score_people(photos, SHARED)
    assert scores.false_people == 1
    assert scores.tall4 == scores.ar10 == pytest.approx(0.5)
    assert 0.4 < scores.ap < 0.6
    assert scores.precision == pytest.approx(0.5)


def test_two_boxes_on_one_person_find_one():
    found = [Person(BOXES[0], 0.9), Person((22, 20, 82, 200), 0.8)]
    assert score_people([photo(1, BOXES, found)], SHARED).tall4 == 0.5


def test_joints_that_are_not_given_do_not_count():
    found = [Person(box, 0.9) for box in BOXES]
    poses = np.array([annotation(box, 1, 0)["keypoints"][:, :2] + 0.5 for box in BOXES])
    poses[:, 0] = 1e4
    known = SHARED.copy()
    known[0] = False
    assert score_people([photo(1, BOXES, found, poses)], known).oks_ap == pytest.approx(1)
    assert score_people([photo(1, BOXES, found, poses)], SHARED).oks_ap < 1


def test_nobody_found_scores_nothing():
    scores = score_people([photo(1, BOXES, [])], SHARED)
    assert (scores.ap, scores.ar10, scores.tall4, scores.oks_ap) == (0, 0, 0, 0)


def write_labels(folder, **changes):
    row = annotation(BOXES[0], 7, 1)
    row["keypoints"] = row["keypoints"].ravel().tolist()
    content = {"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}]}
    content = content | {"annotations": [row]} | changes
    (folder / "labels.json").write_text(json.dumps(content))
    return folder / "labels.json"


def test_labels_are_read_with_the_photos_without_people(tmp_path):
    first, second = read_photos(write_labels(tmp_path), tmp_path)
    assert (first.number, first.path, len(first.people)) == (7, tmp_path / "a.jpg", 1)
    assert second.people == []
    np.testing.assert_array_equal(first.people[0]["keypoints"][:, 2], 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "KeyError|7"),
        ({"images": [], "annotations": []}, "lists no images"),
        ({"images": [{"id": 7, "file_name": "../a.jpg"}]}, "leads out of"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 3]}]}, "is not a COCO file"),
        ({"annotations": [{"image_id": 7, "bbox": [1, 2, 3, 4], "keypoints": [1]}]}, "is not"),
        ({"annotations": 3}, "is not a COCO file"),
    ],
)
def test_damaged_labels_are_refused(tmp_path, changes, message):
    with pytest.raises(PoseActError, match=message):
        read_photos(write_labels(tmp_path, **changes), tmp_path)


def test_the_halves_are_the_same_everywhere():
    assert [LabelledPhoto(number, None, []).half for number in range(8)] == [1, 1, 1, 0, 0, 1, 1, 1]
