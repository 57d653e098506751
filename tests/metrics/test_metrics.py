import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment, minimize
from scipy.spatial.transform import Rotation

from poseact import metrics
from poseact._utils.errors import PoseActError
from poseact.evaluation.oks import oks_ap, oks_sigmas
from poseact.metrics import (
    assigned,
    mpjpe,
    n_mpjpe,
    overlaps,
    pa_mpjpe,
    pck,
    pckh,
    pcp,
    torso_size,
    track_score,
)
from poseact.skeleton import COCO17, LSP14, PA16, Skeleton


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def all_valid(poses):
    return np.ones(poses.shape[:2], bool)


def test_pck_by_hand():
    target = np.zeros((3, 2, 2))
    predicted = np.array([[[3, 4], [0, 1]], [[0, 2], [9, 9]], [[0, 0], [0, 0]]], float)
    valid = np.array([[True, True], [True, False], [True, True]])
    scale = np.array([25.0, 5.0, np.nan])
    # Limits 5 and 1 px: image 0 hits at exactly 5 and at 1, image 1 misses at 2; 2 is left out.
    result = pck(predicted, target, valid, scale, 0.2)
    np.testing.assert_array_equal(result.per_joint, [0.5, 1.0])
    assert result.mean == pytest.approx(2 / 3)
    assert (result.people, result.excluded) == (2, 1)


def test_pck_without_labels_is_nan():
    zeros = np.zeros((2, 3, 2))
    valid = np.zeros((2, 3), bool)
    valid[0, 0] = True
    result = pck(zeros, zeros, valid, np.ones(2), 0.2)
    assert result.per_joint[0] == 1
    assert np.isnan(result.per_joint[1:]).all()
    assert (result.people, result.excluded) == (1, 1)
    nobody = pck(zeros, zeros, valid & False, np.ones(2), 0.2)
    assert np.isnan(nobody.mean)
    assert (nobody.people, nobody.excluded) == (0, 2)


def test_predicted_nan_is_a_miss():
    target = np.zeros((1, 1, 2))
    assert pck(target * np.nan, target, np.ones((1, 1), bool), np.ones(1), 0.2).mean == 0
    assert (
        pcp(np.full((1, 2, 2), np.nan), np.eye(2)[None], np.ones((1, 2), bool), [(0, 1)]).mean == 0
    )


def test_a_valid_label_must_be_a_number():
    target = np.full((1, 1, 2), np.nan)
    with pytest.raises(PoseActError, match="1 of 1 labelled joints"):
        pck(np.zeros((1, 1, 2)), target, np.ones((1, 1), bool), np.ones(1), 0.2)


def test_shapes_and_masks_must_fit():
    poses, valid = np.zeros((2, 3, 2)), np.ones((2, 3), bool)
    for wrong in (
        (poses, np.zeros((2, 4, 2)), valid, np.ones(2)),
        (poses, poses, valid, np.ones(3)),
        (poses, poses, valid.astype(float), np.ones(2)),
    ):
        with pytest.raises(PoseActError, match=r"give \(N, J, D\)"):
            pck(*wrong, 0.2)
    with pytest.raises(PoseActError, match=r"give \(N, J, D\)"):
        mpjpe(poses, poses, valid[:1])


def test_pckh_agrees_with_a_loop(rng):
    target = rng.uniform(0, 200, (30, 16, 2))
    predicted = target + rng.normal(0, 12, target.shape)
    valid = rng.random((30, 16)) < 0.8
    head = np.where(rng.random(30) < 0.1, np.nan, rng.uniform(10, 40, 30))
    hits = []
    for n in range(30):
        for j, joint in enumerate(PA16.joints):
            if joint in ("pelvis", "thorax") or not valid[n, j] or np.isnan(head[n]):
                continue
            x, y = predicted[n, j] - target[n, j]
            hits.append((x * x + y * y) ** 0.5 <= 0.5 * head[n])
    result = pckh(predicted, target, valid, head, PA16)
    assert 0.2 < result.mean < 0.8
    assert result.mean == pytest.approx(np.mean(hits))
    unscored = [PA16.index("pelvis"), PA16.index("thorax")]
    assert np.isnan(result.per_joint).sum() == 2
    assert np.isnan(result.per_joint[unscored]).all()


@pytest.mark.parametrize("skeleton", [PA16, LSP14])
def test_torso_size_falls_back_to_the_other_diagonal(skeleton):
    joints = np.zeros((3, len(skeleton), 2))
    joints[:, skeleton.index("left_shoulder")] = (3, 4)
    joints[:, skeleton.index("right_shoulder")] = (6, 8)
    valid = np.ones((3, len(skeleton)), bool)
    valid[1:, skeleton.index("left_shoulder")] = False
    valid[2, skeleton.index("left_hip")] = False
    np.testing.assert_array_equal(torso_size(joints, valid, skeleton), [5, 10, np.nan])


def test_curve_and_area_by_hand():
    target = np.zeros((1, 4, 3))
    predicted = np.zeros((1, 4, 3))
    predicted[0, :, 2] = (0, 50, 100, 200)
    thresholds = np.array([0, 50, 100, 150])
    curve = metrics.pck_curve(predicted, target, all_valid(target), np.ones(1), thresholds)
    np.testing.assert_array_equal(curve, [0.25, 0.5, 0.75, 0.75])
    assert metrics.auc(curve) == pytest.approx(0.5625)


def test_strict_pcp_needs_both_ends():
    target = np.array([[[0, 0], [10, 0], [10, 20]]], float)
    limbs = [(0, 1), (1, 2)]
    # Both ends of the first limb at exactly half of its length of 10, then one a bit further: only
    # the longer limb forgives that.
    near, far = target.copy(), target.copy()
    near[0, :2, 1] = 5
    far[0, 1, 1] = 5.1
    valid = all_valid(target)
    np.testing.assert_array_equal(pcp(near, target, valid, limbs).per_joint, [1, 1])
    np.testing.assert_array_equal(pcp(far, target, valid, limbs).per_joint, [0, 1])
    valid[0, 2] = False
    half = pcp(far, target, valid, limbs)
    np.testing.assert_array_equal(half.per_joint, [0, np.nan])
    assert half.mean == 0


def test_mpjpe_by_hand():
    target = np.zeros((2, 2, 3))
    predicted = np.array([[[3, 4, 0], [0, 0, 12]], [[1, 0, 0], [np.nan, 0, 0]]])
    valid = np.array([[True, True], [True, False]])
    result = mpjpe(predicted, target, valid)
    np.testing.assert_array_equal(result.per_joint, [3, 12])
    assert result.mean == pytest.approx(18 / 3)


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe, n_mpjpe])
def test_a_predicted_nan_has_no_distance(metric):
    target = np.eye(4)[None, :, :3]
    predicted = target.copy()
    predicted[0, 1] = np.nan
    with pytest.raises(PoseActError, match="1 of 4 predicted joints"):
        metric(predicted, target, all_valid(target))


def test_pa_mpjpe_ignores_similarities(rng):
    target = rng.normal(0, 300, (20, 16, 3))
    valid = rng.random((20, 16)) < 0.8
    turn = Rotation.random(20, rng=rng).as_matrix()
    scale = rng.uniform(0.5, 2, (20, 1, 1))
    moved = scale * (target @ turn) + rng.normal(0, 500, (20, 1, 3))
    assert mpjpe(moved, target, valid).mean > 300
    assert pa_mpjpe(moved, target, valid).mean < 1e-6
    noisy = target + rng.normal(0, 40, target.shape)
    expected = pa_mpjpe(noisy, target, valid).mean
    assert 20 < expected < mpjpe(noisy, target, valid).mean
    moved = scale * (noisy @ turn) + 100
    assert pa_mpjpe(moved, target, valid).mean == pytest.approx(expected)
    # What is not labelled has no say.
    moved[~valid] = np.nan
    assert pa_mpjpe(moved, target, valid).mean == pytest.approx(expected)


def test_pa_mpjpe_does_not_mirror(rng):
    target = rng.normal(0, 300, (5, 16, 3))
    mirrored = target * (-1, 1, 1)
    assert pa_mpjpe(mirrored, target, all_valid(target)).mean > 50


def test_pa_mpjpe_agrees_with_an_optimiser(rng):
    target, predicted = rng.normal(0, 1, (2, 1, 6, 3))

    def residual(x):
        turned = predicted[0] @ Rotation.from_rotvec(x[:3]).as_matrix().T
        return ((x[3] * turned + x[4:] - target[0]) ** 2).sum()

    best = min(
        (minimize(residual, [*rng.normal(0, 1.5, 3), 0.5, 0, 0, 0]) for _ in range(10)),
        key=lambda result: result.fun,
    )
    turned = predicted[0] @ Rotation.from_rotvec(best.x[:3]).as_matrix().T
    errors = np.linalg.norm(best.x[3] * turned + best.x[4:] - target[0], axis=-1)
    assert pa_mpjpe(predicted, target, all_valid(target)).mean == pytest.approx(
        errors.mean(), rel=1e-3
    )


def test_n_mpjpe_ignores_scale_alone(rng):
    target = metrics.root_centred(rng.normal(0, 300, (20, 16, 3)), 3)
    assert (target[:, 3] == 0).all()
    valid = all_valid(target)
    assert n_mpjpe(target * rng.uniform(0.2, 3, (20, 1, 1)), target, valid).mean < 1e-6
    turned = target @ Rotation.from_euler("y", 30, degrees=True).as_matrix()
    assert n_mpjpe(turned, target, valid).mean > 50
    # By hand: the best factor for (1, 1) onto (2, 4) is 3, which leaves 1 and 1.
    one = n_mpjpe(np.array([[[1.0], [1.0]]]), np.array([[[2.0], [4.0]]]), np.ones((1, 2), bool))
    np.testing.assert_allclose(one.per_joint, [1, 1])


def test_degenerate_poses():
    target = np.arange(24.0).reshape(2, 4, 3) ** 2
    valid = np.zeros((2, 4), bool)
    for metric in (mpjpe, pa_mpjpe, n_mpjpe):
        nobody = metric(target, target, valid)
        assert np.isnan(nobody.mean)
        assert (nobody.people, nobody.excluded) == (0, 2)
    valid[0, 0] = valid[1] = True
    # One joint can be moved anywhere, so that person says nothing.
    assert pa_mpjpe(target + 9, target, valid)[2:] == (1, 1)
    assert mpjpe(target + 9, target, valid)[2:] == (2, 0)
    # A prediction in one point cannot be scaled to fit.
    point = pa_mpjpe(np.ones_like(target), target, valid)
    spread = np.linalg.norm(target[1] - target[1].mean(0), axis=-1).mean()
    assert point.mean == pytest.approx(spread)
    assert (
        n_mpjpe(np.zeros_like(target), target, valid).mean == mpjpe(0 * target, target, valid).mean
    )


def test_depth_error_by_hand():
    predicted, target = np.array([[10.0, -30, np.nan]]), np.array([[0.0, 0, 0]])
    result = metrics.depth_error(predicted, target, np.array([[True, True, False]]))
    assert result.mean == 20


def coco_people(shared):
    """COCO's 17 joints, areas and image numbers of the people in the sample's annotations."""
    file = shared / "data/samples/coco/test_coco.json"
    people = [a for a in json.loads(file.read_text())["annotations"] if a["num_keypoints"]]
    joints = np.array([a["keypoints"][:51] for a in people], float).reshape(-1, 17, 3)
    return joints, np.array([a["area"] for a in people]), [a["image_id"] for a in people]


def test_oks_ap_agrees_with_pycocotools_on_coco_json(shared, rng, tmp_path, capsys):
    joints, area, images = coco_people(shared)
    valid = joints[..., 2] > 0
    spread = rng.uniform(0, 0.12, (len(joints), 1, 1)) * np.sqrt(area)[:, None, None]
    predicted = joints[..., :2] + rng.normal(0, 1, (len(joints), 17, 2)) * spread
    confidence = rng.random(len(joints))
    ours = oks_ap(
        predicted,
        confidence,
        joints[..., :2],
        valid,
        area,
        list(map(str, images)),
        oks_sigmas(COCO17),
    )

    found = [
        {"image_id": i, "category_id": 1, "keypoints": np.c_[p, np.ones(17)].ravel().tolist(),
         "score": float(s)}
        for p, s, i in zip(predicted, confidence, images, strict=True)
    ]  # fmt: skip
    (tmp_path / "found.json").write_text(json.dumps(found))
    truth = COCO(shared / "data/samples/coco/test_coco.json")
    theirs = COCOeval(truth, truth.loadRes(str(tmp_path / "found.json")), "keypoints")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    assert 0.1 < ours.ap < 0.95
    np.testing.assert_allclose(ours[:4], theirs.stats[[0, 1, 2, 5]])
    assert ours.people == len(joints)


def test_oks_ap_by_hand(capsys):
    pair = Skeleton("pair", ("left_hip", "right_hip", "belly"))
    target = np.array([[[0, 0], [10, 0], [5, 0]]] * 4, float)
    predicted = target.copy()
    predicted[1] = np.nan
    predicted[0, 2] = 1e4  # COCO has no belly
    valid, area = all_valid(target), np.array([2000.0, 2000, np.nan, 2000])
    valid[3, :2] = False
    sigmas = oks_sigmas(pair)
    np.testing.assert_array_equal(sigmas, [0.107, 0.107, np.nan])
    result = oks_ap(predicted, np.ones(4), target, valid, area, ["a", "b", "c", "d"], sigmas)
    # Of two people one is found, exactly: precision is 1 up to a recall of 1/2.
    assert result.ar == 0.5
    assert result.ap == pytest.approx(51 / 101)
    assert (result.people, result.excluded) == (2, 2)
    nobody = oks_ap(predicted, np.ones(4), target, valid & False, area, list("abcd"), sigmas)
    assert np.isnan(nobody.ap)
    assert capsys.readouterr().out == ""


def test_calibration_error_by_hand_and_auroc_with_ties():
    probability = np.array([0.95, 0.95, 0.05, 0.05])
    right = np.array([True, False, False, False])
    # Two bins of two items: |0.95 - 0.5| and |0.05 - 0|, half of the items each.
    assert metrics.calibration_error(probability, right) == pytest.approx((0.45 + 0.05) / 2)
    assert metrics.auroc(probability, right) == pytest.approx((1 + 1 + 0.5) / 3)
    assert metrics.auroc(-probability, right) == pytest.approx(0.5 / 3)
    assert np.isnan(metrics.auroc(probability, np.ones(4, bool)))


def tracked(*people):
    """Ids and boxes of 10 x 10 px of ``(id, x)``."""
    ids = np.array([one for one, _ in people])
    boxes = np.array([(x, 0, x + 10, 10) for _, x in people], float).reshape(-1, 4)
    return ids, boxes


def test_overlaps_by_hand():
    first, second = np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 10], [5, 0, 15, 10]])
    np.testing.assert_allclose(overlaps(first, second), [[1, 1 / 3]])
    assert overlaps(np.zeros((0, 4)), second).shape == (0, 2)


@pytest.mark.parametrize("shape", [(0, 3), (1, 4), (3, 3), (4, 2), (2, 12), (7, 6)])
def test_pairs_of_the_largest_sum_are_those_of_scipy(rng, shape):
    gain = rng.random(shape)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    assert assigned(gain) == list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_ids_that_stay_are_right():
    truth = [tracked((0, 0), (1, 50))] * 4
    found = [tracked((7, 1), (3, 50))] * 4
    score = track_score(truth, found)
    assert score == (8, 8, 8, 0)
    assert score.idf1 == 1


def test_a_swap_of_ids_is_two_switches_and_half_wrong():
    truth = [tracked((0, 0), (1, 50))] * 4
    found = [tracked((7, 0), (3, 50))] * 2 + [tracked((3, 0), (7, 50))] * 2
    score = track_score(truth, found)
    assert (score.right, score.switches) == (4, 2)
    assert score.idf1 == 0.5


def test_who_is_lost_and_found_again_counts_once_by_the_longer_part():
    truth = [tracked((0, 0))] * 10
    found = [tracked((1, 0))] * 6 + [tracked()] * 1 + [tracked((2, 0))] * 3
    assert track_score(truth, found) == (10, 9, 6, 1)


def test_a_person_found_twice_keeps_the_id_of_before():
    truth = [tracked((0, 0))] * 3
    found = [tracked((1, 2))] + [tracked((2, 0), (1, 2))] * 2
    assert track_score(truth, found) == (3, 5, 3, 0)
    assert np.isnan(track_score([], []).idf1)
