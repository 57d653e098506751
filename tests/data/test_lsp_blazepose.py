import cv2
import numpy as np
import pytest
from scipy.io import savemat

from poseact._utils.errors import PoseActError
from poseact.data.blazepose import read_blazepose
from poseact.data.lsp import read_lsp, read_lsp_extended
from poseact.data.sample import labelled_box
from poseact.skeleton import BLAZEPOSE33, LSP14, PA16


def write_lsp(root, labels):
    (root / "images").mkdir()
    for number in range(labels.shape[2]):
        image = np.full((40, 30, 3), number, np.uint8)
        cv2.imwrite(str(root / "images" / f"im{number + 1:05d}.jpg"), image)
    savemat(root / "joints.mat", {"joints": labels})


def lsp_labels(count=3):
    labels = np.random.default_rng(0).uniform(1, 29, (14, 3, count))
    labels[:, 2] = 1
    return labels


def test_lsp_by_name_with_midpoints(tmp_path):
    labels = lsp_labels()
    write_lsp(tmp_path, labels)
    samples = read_lsp_extended(tmp_path)
    assert [sample.name for sample in samples] == ["im00001.jpg", "im00002.jpg", "im00003.jpg"]
    for number, sample in enumerate(samples):
        points = labels[:, :2, number]
        for joint in LSP14.joints:
            expected = points[LSP14.index(joint)]
            np.testing.assert_allclose(sample.joints[PA16.index(joint)], expected, rtol=1e-6)
        pelvis = points[[LSP14.index("right_hip"), LSP14.index("left_hip")]].mean(0)
        np.testing.assert_allclose(sample.joints[PA16.index("pelvis")], pelvis, rtol=1e-6)
        assert sample.valid.all()
        assert not sample.depth_valid.any()
        assert sample.image.exists()
        assert sample.image.read().shape == (40, 30, 3)


def test_lsp_unlabelled_joints_are_invalid_and_outside_the_box(tmp_path):
    labels = lsp_labels()
    hip, wrist = LSP14.index("left_hip"), LSP14.index("right_wrist")
    labels[hip, :, 0] = (-300, -250, 0)
    labels[wrist, :, 0] = (35, 10, 1)  # right of a 30 px wide image: still a label
    labels[:, 2, 1] = 0
    write_lsp(tmp_path, labels)
    first, last = read_lsp_extended(tmp_path)
    assert not first.valid[PA16.index("left_hip")]
    assert not first.valid[PA16.index("pelvis")]
    assert first.valid.sum() == 14
    assert first.box[0] >= 0
    assert first.box[2] == 35
    assert last.name == "im00003.jpg"


def test_lsp_wrong_shape_is_refused(tmp_path):
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((3, 14, 5))})
    with pytest.raises(PoseActError, match=r"\(3, 14, 5\).*\(14, 3, N\)"):
        read_lsp_extended(tmp_path)
    savemat(tmp_path / "joints.mat", {"points": np.zeros((14, 3, 5))})
    with pytest.raises(PoseActError, match="no array 'joints' but points"):
        read_lsp_extended(tmp_path)


def test_lsp_image_numbers_count_from_1_and_include_both_ends(tmp_path):
    write_lsp(tmp_path, lsp_labels(5))
    samples = read_lsp_extended(tmp_path, images=(2, 4))
    assert [sample.name for sample in samples] == ["im00002.jpg", "im00003.jpg", "im00004.jpg"]
    for images in ((0, 3), (4, 6), (3, 2)):
        with pytest.raises(PoseActError, match="has images 1 to 5"):
            read_lsp_extended(tmp_path, images=images)


def test_first_lsp_marks_hidden_joints(tmp_path):
    labels = np.random.default_rng(0).uniform(1, 29, (3, 14, 2))
    labels[2] = 0
    labels[2, LSP14.index("left_wrist"), 1] = 1
    savemat(tmp_path / "joints.mat", {"joints": labels})
    samples = read_lsp(tmp_path)
    assert [sample.name for sample in samples] == ["im0001.jpg", "im0002.jpg"]
    wrist = PA16.index("left_wrist")
    np.testing.assert_allclose(
        samples[1].joints[wrist], labels[:2, LSP14.index("left_wrist"), 1], rtol=1e-6
    )
    assert samples[1].valid.all()
    assert not samples[1].visible[wrist]
    assert samples[1].visible.sum() == 15
    assert samples[0].visible.all()
    with pytest.raises(PoseActError, match=r"read the first LSP.*as lsp"):
        read_lsp_extended(tmp_path)


def test_missing_label_files_are_named_and_missing_images_are_not_looked_for(tmp_path):
    with pytest.raises(PoseActError, match=r"joints\.mat does not exist"):
        read_lsp_extended(tmp_path)
    with pytest.raises(PoseActError, match=r"blazepose\.npz does not exist"):
        read_blazepose(tmp_path)
    write_lsp(tmp_path, lsp_labels())
    (tmp_path / "images/im00002.jpg").unlink()
    exists = [sample.image.exists() for sample in read_lsp_extended(tmp_path)]
    assert exists == [True, False, True]


def write_blazepose(root, landmarks, world):
    (root / "images").mkdir()
    names = np.array([f"Squat_{number}.jpg" for number in range(len(landmarks))])
    for name in names:
        cv2.imwrite(str(root / "images" / name), np.zeros((20, 20, 3), np.uint8))
    np.savez(root / "blazepose.npz", names=names, landmarks=landmarks, world=world)


def blazepose_arrays(count=2):
    rng = np.random.default_rng(1)
    landmarks = rng.uniform(0, 20, (count, 33, 4)).astype(np.float32)
    landmarks[..., 3] = 1
    return landmarks, rng.uniform(-1, 1, (count, 33, 3)).astype(np.float32)


def test_blazepose_depth_is_mm_behind_the_pelvis(tmp_path):
    landmarks, world = blazepose_arrays()
    write_blazepose(tmp_path, landmarks, world)
    sample = read_blazepose(tmp_path)[0]
    wrist, source = PA16.index("left_wrist"), 15  # MediaPipe numbers the left wrist 15
    np.testing.assert_allclose(sample.joints[wrist, :2], landmarks[0, source, :2])
    expected = 1000 * (world[0, source, 2] - world[0, [23, 24], 2].mean())
    assert sample.joints[wrist, 2] == pytest.approx(expected, rel=1e-4)
    assert sample.joints[PA16.index("pelvis"), 2] == pytest.approx(0, abs=1e-3)
    unknown = {joint for joint, known in zip(PA16.joints, sample.valid, strict=True) if not known}
    assert unknown == {"neck", "head"}
    np.testing.assert_array_equal(sample.depth_valid, sample.valid)


def test_blazepose_unseen_joints_are_unknown(tmp_path):
    landmarks, world = blazepose_arrays(3)
    landmarks[0, BLAZEPOSE33.index("left_knee"), 3] = 0.49
    landmarks[1, BLAZEPOSE33.index("left_hip"), 3] = 0.1
    landmarks[2, :, 3] = 0
    write_blazepose(tmp_path, landmarks, world)
    first, second = read_blazepose(tmp_path)
    assert not first.valid[PA16.index("left_knee")]
    assert first.depth_valid.sum() == 13
    assert not second.valid[PA16.index("pelvis")]
    assert not second.depth_valid.any()
    assert second.valid.sum() == 12


def test_blazepose_box_includes_the_face(tmp_path):
    landmarks, world = blazepose_arrays(1)
    landmarks[0, BLAZEPOSE33.index("nose"), :2] = (10, -5)
    write_blazepose(tmp_path, landmarks, world)
    assert read_blazepose(tmp_path)[0].box[1] == -5


def test_blazepose_holds_out_whole_exercises(tmp_path):
    landmarks, world = blazepose_arrays(40)
    names = np.array([f"Exercise{number // 2:02d}_{number % 2}.jpg" for number in range(40)])
    np.savez(tmp_path / "blazepose.npz", names=names, landmarks=landmarks, world=world)
    held_out = [sample.name for sample in read_blazepose(tmp_path, part="held-out")]
    train = [sample.name for sample in read_blazepose(tmp_path, part="train")]
    assert held_out == list(names[36:])  # the last 2 of 20 exercises
    assert train == list(names[:36])


def test_blazepose_wrong_shape_is_refused(tmp_path):
    landmarks, world = blazepose_arrays()
    write_blazepose(tmp_path, landmarks[:, :17], world)
    with pytest.raises(PoseActError, match=r"'landmarks' of shape \(2, 17, 4\)"):
        read_blazepose(tmp_path)


def test_box_needs_a_label():
    with pytest.raises(PoseActError, match="A box needs a labelled joint"):
        labelled_box(np.zeros((16, 2)), np.zeros(16, bool))
