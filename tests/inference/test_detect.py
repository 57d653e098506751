"""People found in whole pictures, by the weights that ship with the package."""

import numpy as np
import pytest

from poseact import Predictor
from poseact._utils.errors import PoseActError
from poseact.data.pose_table import PoseTable
from poseact.inference.detect import Looks, PersonDetector, merged
from poseact.inference.predict import predict
from poseact.media import Frame, VideoWriter, write_image
from poseact.metrics import overlaps
from poseact.skeleton import COCO17


@pytest.fixture(scope="module")
def detector():
    return PersonDetector("cpu")


def boxes_of(people):
    return np.array([one.box for one in people]).reshape(-1, 4)


def test_one_person_is_found_once_and_inside_the_picture(detector, person):
    (found,) = detector.find(person, 0.5)
    x0, y0, x1, y1 = found.box
    height, width = person.shape[:2]
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert y1 - y0 > 0.4 * height


def test_people_side_by_side_are_two(detector, person):
    width = person.shape[1]
    people = boxes_of(detector.find(np.concatenate((person, person), 1), 0.5))
    assert len(people) == 2
    assert sorted((people[:, 0] + people[:, 2]) / 2 > width) == [False, True]


@pytest.mark.slow(covers=True)
def test_the_mirrored_picture_has_the_mirrored_box(detector, person):
    pictures = person, person[:, ::-1].copy()
    (there,), (mirrored,) = (detector.find(picture, 0.5) for picture in pictures)
    x0, y0, x1, y1 = mirrored.box
    back = np.array([[person.shape[1] - x1, y0, person.shape[1] - x0, y1]])
    assert overlaps(boxes_of([there]), back)[0, 0] > 0.8


@pytest.mark.slow(covers=True)
def test_a_person_who_leaves_the_picture_is_found_in_it(detector, person):
    (found,) = detector.find(person, 0.5)
    middle = round((found.box[1] + found.box[3]) / 2)
    cut = boxes_of(detector.find(person[:middle]))
    assert len(cut) <= 2
    assert (cut >= 0).all()
    assert (cut[:, 3] <= middle).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((240, 320, 3), np.uint8),
        np.full((7, 1900, 3), 90, np.uint8),
        np.ones((1, 1, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8),
    ],
    ids=["black", "a strip", "one pixel", "noise"],
)
def test_nobody_is_in_pictures_without_people(detector, picture):
    assert detector.find(picture) == []


@pytest.mark.parametrize(
    "kind", ["a poster", "half outside", pytest.param("upside down", marks=pytest.mark.slow)]
)
def test_odd_views_of_a_person_have_boxes_inside_the_picture(detector, person, kind):
    picture = person[::-1].copy()
    if kind == "a poster":
        picture = np.full((240, 400, 3), 120, np.uint8)
        picture[40:200, 200:360] = person[::2, ::2]
    elif kind == "half outside":
        picture = person[:, person.shape[1] // 2 :].copy()
    height, width = picture.shape[:2]
    people = boxes_of(detector.find(picture))
    assert len(people) <= 4
    assert (people[:, :2] >= 0).all()
    assert (people[:, 2:] <= (width, height)).all()
    if kind == "a poster":
        inside = people[(people[:, 0] >= 190) & (people[:, 1] >= 30)]
        assert len(inside) >= 1


class Maps:
    """A runtime whose maps show one doubtful person of 48 x 96 px in the middle of each picture."""

    device = "cpu"

    def __call__(self, pictures):
        count, height, width = (pictures.shape[0], *(side // 4 for side in pictures.shape[1:3]))
        peaks, size = np.zeros((count, height, width)), np.zeros((count, 2, height, width))
        peaks[:, height // 2, width // 2] = 0.4
        size[:, 0], size[:, 1] = 24, 12
        empty, joints = (
            np.zeros((count, 2, height, width)),
            np.full((count, 17, height, width), 0.5),
        )
        reach = np.zeros((count, 17, 2, height, width))
        rising = np.arange(height // 4)[:, None] + np.zeros(width // 4)
        return peaks, size, empty, reach, joints, np.tile(rising, (count, 1, 1, 1))


def test_evidence_is_the_mean_over_the_box_in_the_closest_crops():
    detector = PersonDetector(run=Maps())
    picture = np.zeros((320, 320, 3), np.uint8)
    (found,) = detector.find(picture, 0.02, Looks((320,), (2.2, 1.3)))
    # The box fills the crops of 12 cells but for their margin: all rows count about the same.
    assert found.evidence == pytest.approx([5.5], abs=0.3)
    for once in (Looks((320,)), Looks((320,), (2.2, 1.3), doubted_from=0.6)):
        (found,) = detector.find(picture, 0.02, once)
        assert found.score < 0.6
        assert found.evidence.shape == (0,)


def test_what_is_no_picture_is_refused(detector):
    with pytest.raises(PoseActError, match="picture"):
        detector.find(np.zeros((4, 4), np.uint8))


def test_looks_agree_on_one_person_and_missing_looks_lower_the_score():
    box = [10, 10, 60, 110]
    both = [np.array([[*box, 0.8]]), np.array([[12, 10, 62, 110, 0.6]])]
    (agreed,) = merged(both, [1.0, 1.0])
    assert agreed[0] == pytest.approx((10 * 0.8 + 12 * 0.6) / 1.4)
    assert agreed[4] == pytest.approx(0.7)
    (alone,) = merged([both[0], np.zeros((0, 5))], [1.0, 1.0])
    assert alone[4] == pytest.approx(0.4)


def test_a_look_says_most_of_people_of_its_size():
    near, far = np.array([[0, 0, 50, 110, 0.9]]), np.array([[0, 0, 50, 110, 0.1]])
    (found,) = merged([near, far], [1.0, 4.0])
    assert found[4] > 0.8


def test_at_most_twenty_people_the_surest():
    places = np.arange(30.0) * 100
    rows = np.column_stack((places, 0 * places, places + 50, 0 * places + 110, 0.9 - places / 1e4))
    found = merged([rows], [1.0])
    assert len(found) == 20
    np.testing.assert_allclose(found[:, 4], rows[:20, 4])


def test_the_predictor_reads_everyone_whom_the_detector_finds(person):
    picture = np.concatenate((person, person), 1)
    predictor = Predictor(device="cpu")
    poses = predictor.image(picture)
    assert [pose.person for pose in poses] == [0, 1]
    assert sorted(np.median(pose.joints[:, 0]) > person.shape[1] for pose in poses) == [False, True]
    assert predictor.image(np.zeros((100, 100, 3), np.uint8)) == []


def test_predict_finds_everyone_and_nobody(person, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    write_image(photos / "two.png", np.concatenate((person, person), 1))
    write_image(photos / "none.png", np.zeros((100, 100, 3), np.uint8))
    report = predict(photos, tmp_path / "out", device="cpu")
    assert (report.frames, report.failed, len(report.drawn)) == (2, {}, 2)
    found = [(name, pose.person) for name, pose in PoseTable.read_parquet(report.parquet).items()]
    assert found == [("two.png", 0), ("two.png", 1)]


def test_ids_stay_through_a_video(person, tmp_path):
    with VideoWriter(tmp_path / "two.mp4", 10, 2 * person.shape[1], person.shape[0]) as video:
        for k in range(8):
            video.write(np.concatenate((person, person), 1), k / 10)
    report = predict(tmp_path / "two.mp4", tmp_path / "out", device="cpu", draw=False)
    places = {0: [], 1: []}
    for pose in PoseTable.read_parquet(report.parquet):
        places[pose.person].append(float(np.median(pose.joints[:, 0])))
    assert [len(seen) for seen in places.values()] == [8, 8]
    assert max(map(np.ptp, places.values())) < 0.2 * person.shape[1]


@pytest.mark.parametrize("people", [0, -1, 1.5, True, "everyone"])
def test_a_number_of_people_that_is_none_is_refused(people):
    with pytest.raises(PoseActError, match="give 'all', 'one' or a number from 1"):
        Predictor(people=people)


@pytest.fixture(scope="module")
def fast():
    return Predictor(device="cpu", fast=True)


def test_a_fast_predictor_takes_the_poses_of_the_detector(fast, person):
    picture = np.concatenate((person, person), 1)
    poses = fast.image(picture)
    assert [pose.joints.shape for pose in poses] == [(len(COCO17), 2)] * 2
    own = Predictor(device="cpu")
    into = own.skeleton.convert
    for coarse in poses:
        (fine,) = own.image(picture, [coarse.person_box])
        places, known = into(fine.joints[:, :2], fine.confidence > 0.5, COCO17)
        off = np.linalg.norm(places - coarse.joints, axis=1)[known & coarse.visible]
        x0, y0, x1, y1 = coarse.person_box
        assert len(off) > 8
        assert np.median(off) < 0.05 * max(x1 - x0, y1 - y0)


def test_a_fast_predictor_keeps_ids_and_finds_nobody_where_nobody_is(fast, person):
    video = [Frame(k, k / 10, person) for k in range(3)]
    seen = [[pose.person for pose in poses] for _, poses in fast.video(video)]
    assert seen == [[0]] * 3
    assert fast.image(np.zeros((100, 100, 3), np.uint8)) == []


def test_a_fast_predictor_does_not_open_the_pose_network(person, monkeypatch):
    monkeypatch.setattr("poseact.inference.predictor.open_pose", None)
    assert len(Predictor(device="cpu", fast=True).image(person)) == 1


def test_predict_writes_the_fast_poses_and_says_whose_they_are(person, tmp_path):
    write_image(tmp_path / "one.png", person)
    report = predict(tmp_path / "one.png", tmp_path / "out", device="cpu", fast=True)
    table = PoseTable.read_parquet(report.parquet)
    assert (table.skeleton.name, table.model["licence"]) == (COCO17.name, "Apache-2.0")


def test_fast_and_boxes_exclude_one_another(fast, person, tmp_path):
    with pytest.raises(PoseActError, match="leave out"):
        fast.image(person, [(0, 0, 50, 50)])
    write_image(tmp_path / "one.png", person)
    (tmp_path / "boxes.csv").write_text("source,frame,x0,y0,x1,y1\none.png,0,0,0,50,50\n")
    with pytest.raises(PoseActError, match="leave out"):
        predict(tmp_path / "one.png", tmp_path, boxes=tmp_path / "boxes.csv", fast=True)
