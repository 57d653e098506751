import numpy as np
import pytest

from poseact.errors import PoseActError
from poseact.metrics import pck, torso_size
from poseact.skeleton import LSP14, PA16


def test_pck_by_hand():
    target = np.zeros((3, 2, 2))
    predicted = np.array([[[3, 4], [0, 1]], [[0, 2], [9, 9]], [[0, 0], [0, 0]]], float)
    valid = np.array([[True, True], [True, False], [True, True]])
    scale = np.array([25.0, 5.0, np.nan])
    # Limits 5 and 1 px: image 0 hits at exactly 5 and at 1, image 1 misses at 2; 2 is left out.
    result = pck(predicted, target, valid, scale, 0.2)
    np.testing.assert_array_equal(result.per_joint, [0.5, 1.0])
    assert result.mean == pytest.approx(2 / 3)
    assert (result.images, result.excluded) == (2, 1)


def test_pck_without_labels_is_nan():
    zeros = np.zeros((2, 3, 2))
    valid = np.zeros((2, 3), bool)
    valid[0, 0] = True
    result = pck(zeros, zeros, valid, np.ones(2), 0.2)
    assert result.per_joint[0] == 1
    assert np.isnan(result.per_joint[1:]).all()
    assert np.isnan(pck(zeros, zeros, valid & False, np.ones(2), 0.2).mean)


def test_predicted_nan_is_a_miss():
    target = np.zeros((1, 1, 2))
    assert pck(target * np.nan, target, np.ones((1, 1), bool), np.ones(1), 0.2).mean == 0


def test_pck_refuses_shapes_that_do_not_match():
    with pytest.raises(PoseActError, match=r"give \(N, J, 2\)"):
        pck(np.zeros((2, 3, 2)), np.zeros((2, 4, 2)), np.ones((2, 3), bool), np.ones(2), 0.2)


@pytest.mark.parametrize("skeleton", [PA16, LSP14])
def test_torso_size_falls_back_to_the_other_diagonal(skeleton):
    joints = np.zeros((3, len(skeleton), 2))
    joints[:, skeleton.index("left_shoulder")] = (3, 4)
    joints[:, skeleton.index("right_shoulder")] = (6, 8)
    valid = np.ones((3, len(skeleton)), bool)
    valid[1:, skeleton.index("left_shoulder")] = False
    valid[2, skeleton.index("left_hip")] = False
    np.testing.assert_array_equal(torso_size(joints, valid, skeleton), [5, 10, np.nan])
