"""Readers of MPII, COCO, Human3.6M and MPI-INF-3DHP, and label files that are damaged."""

from __future__ import annotations

import copy
import json
import pickle

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from poseact._utils.errors import PoseActError
from poseact.data.coco import read_coco
from poseact.data.lsp import read_lsp, read_lsp_extended
from poseact.data.mmpose_files import read_human36m, read_mpi_inf_3dhp
from poseact.data.mpii import read_mpii
from poseact.skeleton import COCO17, H36M17, MPI3DHP17, MPII16, PA16, Skeleton

# --- MPII -----------------------------------------------------------------------------------------


def mpii_points(seed=0):
    return np.random.default_rng(seed).uniform(20, 400, (16, 2))


def mpii_struct(points, hidden=(), missing=()):
    """RELEASE of two training images and a test image, nested as in the official file."""
    point = np.array(
        [
            (x, y, joint, np.zeros((0, 0)) if joint > 7 else str(int(joint not in hidden)))
            for joint, (x, y) in enumerate(points)
            if joint not in missing
        ],
        [(name, object) for name in ("x", "y", "id", "is_visible")],
    )
    labelled = {"x1": 10.0, "y1": 20.0, "x2": 40.0, "y2": 60.0, "annopoints": {"point": point}}
    people = np.zeros(2, [(name, object) for name in labelled])
    for index, scale in enumerate((1, 2)):
        people[index] = tuple({**labelled, "x2": 10.0 + 30 * scale}.values())
    annolist = np.zeros(3, [("image", object), ("annorect", object)])
    annolist[0] = ({"name": "a.jpg"}, people)
    annolist[1] = ({"name": "b.jpg"}, np.zeros((0, 0)))
    annolist[2] = ({"name": "test.jpg"}, {"scale": 1.0, "objpos": {"x": 1.0, "y": 2.0}})
    alone = np.empty((3, 1), object)
    alone[0, 0], alone[1, 0], alone[2, 0] = np.array([[2.0]]), np.zeros((0, 0)), np.array([[1.0]])
    return {"annolist": annolist, "img_train": np.array([1, 1, 0]), "single_person": alone}


def test_mpii_official_file(tmp_path):
    points = mpii_points()
    savemat(
        tmp_path / "mpii_human_pose_v1_u12_1.mat",
        {"RELEASE": mpii_struct(points, hidden=(0,), missing=(4, 15))},
    )
    first, second = read_mpii(tmp_path, MPII16)
    assert str(first.image) == str(tmp_path / "images" / "a.jpg")
    assert first.name != second.name
    assert np.flatnonzero(~first.valid).tolist() == [4, 15]
    assert np.flatnonzero(~first.visible).tolist() == [0, 4, 15]
    # MATLAB's first pixel is 1, its centre here 0.5.
    np.testing.assert_allclose(first.joints[first.valid], points[first.valid] - 0.5, rtol=1e-6)
    assert first.head_px == pytest.approx(0.6 * 50)
    assert second.head_px == pytest.approx(0.6 * np.hypot(60, 40))
    (alone,) = read_mpii(tmp_path, MPII16, single_person=True)
    assert alone.head_px == second.head_px


def test_mpii_json(tmp_path):
    points = mpii_points()
    seen = [1] * 16
    seen[MPII16.index("left_wrist")] = 0
    people = [{"image": "a.jpg", "joints": points.tolist(), "joints_vis": seen}]
    (tmp_path / "valid.json").write_text(json.dumps(people))
    (sample,) = read_mpii(tmp_path, labels="valid.json")
    assert not sample.valid[PA16.index("left_wrist")]
    assert sample.valid.sum() == 15
    neck = points[MPII16.index("neck")] - 0.5
    np.testing.assert_allclose(sample.joints[PA16.index("neck")], neck, rtol=1e-6)
    people[0]["joints"].pop()
    (tmp_path / "valid.json").write_text(json.dumps(people))
    with pytest.raises(PoseActError, match="person 0 is not"):
        read_mpii(tmp_path, labels="valid.json")


def test_mpii_samples(shared):
    samples = read_mpii(shared / "data/samples/mpii", labels="test_mpii.json", images=".")
    assert len(samples) == 5
    for sample in samples:
        height, width = sample.image.read().shape[:2]
        inside = sample.joints[sample.valid]
        assert ((inside > 0) & (inside < (width, height))).all()


# --- COCO -----------------------------------------------------------------------------------------


def coco_content(count=17):
    rng = np.random.default_rng(0)
    keypoints = np.column_stack((rng.uniform(5, 95, (count, 2)), np.full(count, 2)))
    person = {"id": 7, "image_id": 3, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
    person |= {"bbox": [1, 2, 60, 90], "area": 3000.5}
    return {
        "images": [{"id": 3, "file_name": "a.jpg", "width": 100, "height": 100}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }


def write_coco(root, content):
    content = copy.deepcopy(content)
    for person in content["annotations"]:
        if isinstance(person.get("keypoints"), np.ndarray):
            person["keypoints"] = person["keypoints"].ravel().tolist()
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def test_coco_flags_box_and_area(tmp_path):
    content = coco_content()
    points = content["annotations"][0]["keypoints"]
    points[COCO17.index("left_wrist"), 2] = 0
    points[COCO17.index("right_knee"), 2] = 1
    content["annotations"].append({**content["annotations"][0], "id": 8, "iscrowd": 1})
    content["annotations"].append({**content["annotations"][0], "id": 9})
    content["annotations"][2]["keypoints"] = np.zeros((17, 3))
    (sample,) = read_coco(write_coco(tmp_path, content), COCO17)
    assert np.flatnonzero(~sample.valid).tolist() == [COCO17.index("left_wrist")]
    hidden = {COCO17.index("left_wrist"), COCO17.index("right_knee")}
    assert set(np.flatnonzero(~sample.visible)) == hidden
    np.testing.assert_allclose(sample.joints[0], points[0, :2] + 0.5, rtol=1e-6)
    assert sample.box == (1, 2, 61, 92)
    assert sample.area_px == 3000.5
    assert str(sample.image).endswith("a.jpg")


def test_coco_with_names_of_one_s_own(tmp_path):
    content = coco_content(3)
    content["categories"][0] |= {"keypoints": ["Left Wrist", "knee-right", "tail"]}
    # Limbs are not used, so they may be wrong: some tools count joints from 0.
    content["categories"][0]["skeleton"] = [[0, 1], [1, 9], "x"]
    points = content["annotations"][0]["keypoints"]
    (sample,) = read_coco(write_coco(tmp_path, content))
    known = {PA16.joints[index] for index in np.flatnonzero(sample.valid)}
    assert known == {"left_wrist", "right_knee"}
    wrist = sample.joints[PA16.index("left_wrist")]
    np.testing.assert_allclose(wrist, points[0, :2] + 0.5, rtol=1e-6)


def test_coco_order_comes_from_the_category(tmp_path):
    content = coco_content()
    content["categories"][0]["keypoints"] = list(COCO17.joints[::-1])
    (sample,) = read_coco(write_coco(tmp_path, content), COCO17)
    nose = content["annotations"][0]["keypoints"][16, :2] + 0.5
    np.testing.assert_allclose(sample.joints[COCO17.index("nose")], nose, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1.0, 2.0, 2.0]}, r"annotation 7 .*3 numbers.*51 were expected"),
        (
            {"keypoints": ["x"] * 51},
            r"annotation 7 cannot be used .*keypoints.0: Input should be a valid n",
        ),
        ({"keypoints": [1.0, 2.0, 5.0] * 17}, r"annotation 7 has \[5.0\] as v"),
        ({"image_id": 99}, "annotation 7 has image_id 99"),
        ({"category_id": 4}, "annotation 7 has category_id 4"),
    ],
)
def test_coco_faults_name_the_annotation(tmp_path, change, message):
    content = coco_content()
    content["annotations"][0] |= change
    with pytest.raises(PoseActError, match=message):
        read_coco(write_coco(tmp_path, content))


@pytest.mark.parametrize(
    "change",
    [
        {"keypoints": [1.0, 2.0, 2.0]},
        {"keypoints": None},
        {"keypoints": [1.0, 2.0, 5.0] * 17},
        {"image_id": 99},
        {"image_id": [3]},
        {"category_id": 2, "keypoints": []},
        {"category_id": {}},
    ],
)
def test_a_bad_coco_annotation_is_left_out_and_named(tmp_path, change, caplog):
    content = coco_content()
    content["categories"].append({"id": 2, "name": "barbell"})
    content["annotations"].append({**content["annotations"][0], "id": 8} | change)
    content["annotations"].append({**content["annotations"][0], "id": 9})
    people = read_coco(write_coco(tmp_path, content))
    assert [person.name for person in people] == ["a.jpg#7", "a.jpg#9"]
    assert "1 of 3 annotations" in caplog.text
    assert "annotation 8" in caplog.text


def test_bad_coco_images_and_categories_are_left_out(tmp_path, caplog):
    content = coco_content()
    content["images"].append({"id": 4})
    content["categories"].append({"id": 2, "name": "bicycle", "keypoints": ["hub", "rim"]})
    assert len(read_coco(write_coco(tmp_path, content))) == 1
    assert "1 of 2 images" in caplog.text
    assert "1 of 2 categories" in caplog.text


@pytest.mark.parametrize(
    "box", [[10, 10, 0, 0], [1, 2, -3, 4], [1, 2], [], None, [1, 2, np.nan, 4], "box"]
)
def test_coco_box_that_is_none_is_that_of_the_keypoints(tmp_path, box):
    content = coco_content()
    points = content["annotations"][0]["keypoints"][:, :2] + 0.5
    content["annotations"][0]["bbox"] = box
    (sample,) = read_coco(write_coco(tmp_path, content))
    np.testing.assert_allclose(sample.box, (*points.min(0), *points.max(0)), rtol=1e-6)


@pytest.mark.parametrize("place", [np.nan, np.inf, None])
def test_coco_joint_without_a_label_needs_no_place(tmp_path, place):
    content = coco_content()
    values = content["annotations"][0]["keypoints"].ravel().tolist()
    values[3:6] = [place, place, 0]
    content["annotations"][0]["keypoints"] = values
    (sample,) = read_coco(write_coco(tmp_path, content), COCO17)
    assert np.flatnonzero(~sample.valid).tolist() == [1]
    assert np.isfinite(sample.joints).all()


def test_coco_structure_faults(tmp_path):
    content = coco_content()
    with pytest.raises(PoseActError, match="no lists 'images' and 'annotations'"):
        read_coco(write_coco(tmp_path, {"annotations": []}))
    content["categories"][0]["keypoints"] = ["hub", "rim"]
    with pytest.raises(PoseActError, match=r"hub, rim.*is a joint of pa16"):
        read_coco(write_coco(tmp_path, content))
    content["categories"][0] |= {"keypoints": ["nose", "head", "nose"]}
    with pytest.raises(PoseActError, match="names a joint twice"):
        read_coco(write_coco(tmp_path, content))
    content["images"][0].pop("file_name")
    with pytest.raises(PoseActError, match=r"image 3 cannot be used .*file_name: Field required"):
        read_coco(write_coco(tmp_path, content))


def test_coco_label_outside_the_image_stays_a_label(tmp_path):
    content = coco_content()
    content["annotations"][0]["keypoints"][5] = (150, -20, 1)
    (sample,) = read_coco(write_coco(tmp_path, content), COCO17)
    assert sample.valid[5]
    np.testing.assert_allclose(sample.joints[5], (150.5, -19.5))


def test_coco_samples(shared):
    samples = read_coco(shared / "data/samples/coco", COCO17, labels="test_coco.json", images=".")
    assert len(samples) == 12  # 14 annotations, of which 2 have no keypoint
    skier = samples[0]
    np.testing.assert_allclose(skier.joints[0], (367.5, 81.5))
    assert all(sample.image.exists() for sample in samples)


# --- 3D -------------------------------------------------------------------------------------------


def write_3d(root, names, layout, camera_keys, rotation=None):
    rng = np.random.default_rng(0)
    count = len(names)
    space = np.ones((count, len(layout), 4))
    space[..., :3] = rng.uniform(-0.8, 0.8, (count, len(layout), 3))
    space[..., 2] += 5
    part = np.ones((count, len(layout), 3))
    part[..., :2] = rng.uniform(100, 900, (count, len(layout), 2))
    np.savez(root / "labels.npz", imgname=np.array(names), part=part, S=space)
    camera = {"f": np.array([[1000.0], [1100.0]]), "c": np.array([[500.0], [510.0]])}
    if rotation is not None:
        camera |= {"R": rotation, "T": np.array([[1.0], [2.0], [3.0]])}
        camera |= {"k": np.array([[-0.2], [0.2], [0.0]]), "p": np.array([[0.01], [0.02]])}
    (root / "cameras.pkl").write_bytes(pickle.dumps(dict.fromkeys(camera_keys, camera), 2))
    return part, space


H36M_NAMES = [
    "S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg",
    "S9/S9_Walking.55011271/S9_Walking.55011271_000064.jpg",
    "S9/S9_Walking.55011271/S9_Walking.55011271_000065.jpg",
]
FILES = {"labels": "labels.npz", "cameras": "cameras.pkl"}


def test_human36m(tmp_path):
    rotation = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    keys = [("S1", "54138969"), ("S9", "55011271")]
    part, space = write_3d(tmp_path, H36M_NAMES, H36M17, keys, rotation)
    samples = read_human36m(tmp_path, **FILES)
    assert [sample.frame for sample in samples] == [1, 64, 65]
    assert samples[1].sequence == "S9_Walking.55011271"
    assert str(samples[0].image) == str(tmp_path / "images" / H36M_NAMES[0])
    wrist, pelvis = H36M17.index("left_wrist"), H36M17.index("pelvis")
    joint = samples[2].joints[PA16.index("left_wrist")]
    np.testing.assert_allclose(joint[:2], part[2, wrist, :2], rtol=1e-6)
    depth = 1000 * (space[2, wrist, 2] - space[2, pelvis, 2])
    assert joint[2] == pytest.approx(depth, abs=1e-2)
    assert samples[2].root_depth_mm == pytest.approx(1000 * space[2, pelvis, 2])
    assert samples[2].depth_valid.all()
    camera = samples[0].camera
    assert camera.translation == (1000, 2000, 3000)
    # The file's R turns the camera's axes into the world's.
    np.testing.assert_array_equal(camera.rotation, rotation.T)
    assert (camera.focal, camera.radial) == ((1000, 1100), (-0.2, 0.2, 0))
    chosen = read_human36m(tmp_path, **FILES, subjects=("S9",), every=64)
    assert [sample.frame for sample in chosen] == [64]


def test_mpi_inf_3dhp(tmp_path):
    names = ["S4_Seq2_Cam0_001033.jpg", "TS1_002001.jpg"]
    part, _ = write_3d(tmp_path, names, MPI3DHP17, ["S4_Seq2_Cam0", "TS1"])
    first, second = read_mpi_inf_3dhp(tmp_path, **FILES)
    assert (first.sequence, first.frame, second.sequence) == ("S4_Seq2_Cam0", 1033, "TS1")
    head = first.joints[PA16.index("head"), :2]
    np.testing.assert_allclose(head, part[0, MPI3DHP17.index("head"), :2], rtol=1e-6)
    assert second.camera.radial == (0, 0, 0)
    # This file's R and T take the room to the camera; T is (1, 2, 3) m.
    turn = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    write_3d(tmp_path, names, MPI3DHP17, ["S4_Seq2_Cam0", "TS1"], turn)
    first, _ = read_mpi_inf_3dhp(tmp_path, **FILES)
    point = np.array([10.0, 20.0, 30.0])
    np.testing.assert_allclose(first.camera.to_camera(point), turn @ point + [1000, 2000, 3000])


def test_unlabelled_root_makes_every_depth_unknown(tmp_path):
    keys = [("S1", "54138969"), ("S9", "55011271")]
    part, space = write_3d(tmp_path, H36M_NAMES, H36M17, keys)
    space[0, H36M17.index("pelvis"), 3] = 0
    np.savez(tmp_path / "labels.npz", imgname=np.array(H36M_NAMES), part=part, S=space)
    first, second, _ = read_human36m(tmp_path, **FILES)
    assert first.valid.all()
    assert not first.depth_valid.any()
    assert first.root_depth_mm is None
    assert second.depth_valid.all()


def test_3d_faults(tmp_path):
    write_3d(tmp_path, H36M_NAMES, H36M17, [("S1", "54138969")])
    with pytest.raises(PoseActError, match="needs the camera"):
        read_human36m(tmp_path, **FILES)
    write_3d(tmp_path, ["picture.jpg"], H36M17, [("S1", "54138969")])
    with pytest.raises(PoseActError, match=r"names the image picture\.jpg"):
        read_human36m(tmp_path, **FILES)
    write_3d(tmp_path, H36M_NAMES, Skeleton.generic(24), [("S1", "54138969")])
    with pytest.raises(PoseActError, match=r"'part' of shape \(3, 24, 3\)"):
        read_human36m(tmp_path, **FILES)


class _Runs:
    def __reduce__(self):
        return pytest.fail, ("the pickle was executed",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    write_3d(tmp_path, H36M_NAMES, H36M17, [])
    (tmp_path / "cameras.pkl").write_bytes(pickle.dumps({("S1", "54138969"): _Runs()}))
    with pytest.raises(PoseActError, match="which is not allowed"):
        read_human36m(tmp_path, **FILES)


@pytest.mark.parametrize("content", [b"", b"\x80", b"not a pickle", pickle.dumps([1, 2])])
def test_damaged_cameras_are_refused(tmp_path, content):
    write_3d(tmp_path, H36M_NAMES, H36M17, [])
    (tmp_path / "cameras.pkl").write_bytes(content)
    with pytest.raises(PoseActError, match=r"cameras\.pkl"):
        read_human36m(tmp_path, **FILES)


def test_3d_samples(shared):
    root = shared / "data/samples/h36m"
    samples = read_human36m(root, labels="test_h36m_body3d.npz", cameras="cameras.pkl", images=".")
    assert [sample.sequence for sample in samples][1] == "S5_SittingDown.54138969"
    for sample in samples:
        assert sample.image.exists()
        assert sample.valid.all()
        assert 2000 < sample.root_depth_mm < 8000
    # S8 faces the camera with arms spread: the right hand is on the left of the picture.
    facing = samples[3].joints
    assert facing[PA16.index("right_wrist"), 0] < facing[PA16.index("left_wrist"), 0] - 200


# --- damaged files --------------------------------------------------------------------------------


@pytest.fixture
def mat_file(tmp_path):
    savemat(tmp_path / "joints.mat", {"joints": np.ones((14, 3, 40))}, do_compression=True)
    return tmp_path / "joints.mat"


@pytest.mark.parametrize("reader", [read_lsp, read_lsp_extended])
def test_truncated_mat_is_refused(mat_file, reader):
    content = mat_file.read_bytes()
    for length in (1, 60, 130, len(content) // 2, len(content) - 9):
        mat_file.write_bytes(content[:length])
        with pytest.raises(PoseActError, match=r"joints\.mat"):
            reader(mat_file.parent)


def test_other_files_called_mat_are_refused(mat_file):
    mat_file.write_bytes(b"")
    with pytest.raises(PoseActError, match="is empty"):
        read_lsp(mat_file.parent)
    mat_file.write_bytes(b"Hello, this is a letter to you. " * 20)
    with pytest.raises(PoseActError, match="not a complete MATLAB file"):
        read_lsp(mat_file.parent)
    with h5py.File(mat_file, "w", userblock_size=512) as file:
        file["joints"] = np.ones((14, 3, 5))
    with pytest.raises(PoseActError, match=r"version 7\.3"):
        read_lsp(mat_file.parent)


def test_mpii_of_another_structure_is_refused(tmp_path):
    file = tmp_path / "mpii_human_pose_v1_u12_1.mat"
    savemat(file, {"RELEASE": {"annolist": np.ones((2, 2)), "img_train": np.ones(4)}})
    with pytest.raises(PoseActError, match="does not hold MPII's RELEASE"):
        read_mpii(tmp_path)
    savemat(file, {"joints": np.ones(3)})
    with pytest.raises(PoseActError, match="no array 'RELEASE' but joints"):
        read_mpii(tmp_path)
    savemat(file, {"RELEASE": np.ones((1, 1))})
    with pytest.raises(PoseActError, match="does not hold MPII's RELEASE"):
        read_mpii(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"images": [],\n "annotations": [}', "line 2, column 18"),
        (b"\xff\xfe{}", "UTF-8|not JSON"),
    ],
)
def test_json_faults_name_the_place(tmp_path, content, message):
    (tmp_path / "annotations.json").write_bytes(content)
    with pytest.raises(PoseActError, match=message):
        read_coco(tmp_path)


def test_damaged_archive_is_refused(tmp_path):
    write_3d(tmp_path, H36M_NAMES, H36M17, [("S1", "54138969")])
    file = tmp_path / "labels.npz"
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"text", b""):
        file.write_bytes(damaged)
        with pytest.raises(PoseActError, match=r"labels\.npz"):
            read_human36m(tmp_path, **FILES)
    np.savez(file, imgname=np.array(H36M_NAMES))
    with pytest.raises(PoseActError, match="lacks part, S"):
        read_human36m(tmp_path, **FILES)
