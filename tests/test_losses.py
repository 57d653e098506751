import math

import pytest
import torch

from poseact._utils.errors import PoseActError
from poseact.losses import PoseCriterion, PoseTargets, gaussian
from poseact.models.outputs import Pose, Prediction

CELLS = 16


def prediction_of(joints, confidence=None, maps=None, blocks=1):
    confidence = torch.full(joints.shape[:3], 0.5) if confidence is None else confidence
    maps = torch.full((*joints.shape[:3], CELLS, CELLS), CELLS**-2.0) if maps is None else maps
    return Prediction([Pose(joints, confidence, maps)] * blocks, {}, torch.zeros(1))


def targets_of(joints, valid=None, known=None, depth_valid=None):
    ones = torch.ones(joints.shape[:3], dtype=torch.bool)
    valid = ones if valid is None else valid
    return PoseTargets(
        joints,
        valid,
        ones if known is None else known,
        valid if depth_valid is None else depth_valid,
    )


def test_elastic_net_by_hand_and_summed_over_blocks():
    predicted = torch.tensor([[[[0.5, 0.5, 0.5], [0.2, 0.2, 0.0]]]])
    target = torch.tensor([[[[0.4, 0.7, 0.1], [9.0, 9.0, 9.0]]]])
    valid = torch.tensor([[[True, False]]])
    one = PoseCriterion()(prediction_of(predicted), targets_of(target, valid))
    assert one["joints"].item() == pytest.approx((0.1 + 0.01 + 0.2 + 0.04) / 2)
    assert one["depth"].item() == pytest.approx(0.4 + 0.16)
    two = PoseCriterion()(prediction_of(predicted, blocks=2), targets_of(target, valid))
    for name, value in one.items():
        assert two[name].item() == pytest.approx(2 * value.item())


def test_mean_is_over_the_clips_that_have_labels():
    predicted = torch.zeros(3, 1, 2, 2)
    target = torch.tensor([0.1, 0.3, 0.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    valid = torch.tensor([[True, True], [True, False], [False, False]]).unsqueeze(1)
    terms = PoseCriterion()(prediction_of(predicted), targets_of(target, valid))
    assert terms["joints"].item() == pytest.approx(((0.1 + 0.01) + (0.3 + 0.09)) / 2)


def test_masked_joints_have_no_gradient_even_if_not_finite():
    joints = torch.rand(2, 1, 4, 3, generator=torch.manual_seed(0)).requires_grad_()
    logits = torch.randn(2, 1, 4, CELLS, CELLS).requires_grad_()
    maps = logits.flatten(3).softmax(-1).unflatten(3, (CELLS, CELLS))
    peak = torch.zeros(2, 1, 4, requires_grad=True)
    target = torch.rand(2, 1, 4, 3)
    valid = torch.ones(2, 1, 4, dtype=torch.bool)
    valid[0, 0, 1] = False
    target[0, 0, 1] = math.nan
    criterion = PoseCriterion()
    terms = criterion(
        prediction_of(joints, peak.sigmoid(), maps), targets_of(target, valid, known=valid)
    )
    criterion.total(terms).backward()
    for leaf in (joints, logits, peak):
        assert leaf.grad is not None
        assert leaf.grad[0, 0, 1].abs().max() == 0
        assert torch.isfinite(leaf.grad).all()
        assert (
            leaf.grad[1, 0].flatten(1).abs().amax(1) if leaf is not peak else leaf.grad[1]
        ).all()


def test_depth_is_masked_on_its_own():
    joints = torch.full((1, 1, 2, 3), 0.5, requires_grad=True)
    target = torch.zeros(1, 1, 2, 3)
    depth_valid = torch.tensor([[[True, False]]])
    terms = PoseCriterion()(prediction_of(joints), targets_of(target, depth_valid=depth_valid))
    terms["depth"].backward()
    assert joints.grad is not None
    assert joints.grad[0, 0, 0, 2] > 0
    assert joints.grad[0, 0, 1, 2] == 0


def test_no_valid_joint_gives_zero_and_finite_gradients():
    joints = torch.rand(2, 1, 4, 3, requires_grad=True)
    maps = torch.full((2, 1, 4, CELLS, CELLS), CELLS**-2.0, requires_grad=True)
    peak = torch.zeros(2, 1, 4, requires_grad=True)
    none = torch.zeros(2, 1, 4, dtype=torch.bool)
    criterion = PoseCriterion()
    terms = criterion(
        prediction_of(joints, peak.sigmoid(), maps),
        targets_of(torch.full((2, 1, 4, 3), math.nan), none, known=none),
    )
    total = criterion.total(terms)
    assert total.item() == 0
    total.backward()
    for leaf in (joints, maps, peak):
        assert leaf.grad is not None
        assert leaf.grad.abs().max() == 0


def test_confidence_learns_inside_and_outside_but_not_the_unknown():
    confidence = torch.tensor([[[0.9, 0.9, 0.9]]], requires_grad=True)
    valid = torch.tensor([[[True, False, False]]])
    known = torch.tensor([[[True, True, False]]])
    terms = PoseCriterion()(
        prediction_of(torch.zeros(1, 1, 3, 2), confidence),
        targets_of(torch.zeros(1, 1, 3, 2), valid, known),
    )
    assert terms["confidence"].item() == pytest.approx(-(math.log(0.9) + math.log(0.1)) / 2)
    terms["confidence"].backward()
    assert confidence.grad is not None
    assert (confidence.grad.sign() == torch.tensor([-1, 1, 0])).all()


def test_heatmap_term_is_least_where_the_map_is_the_gaussian():
    position = torch.tensor([0.3, 0.62])
    best = gaussian(position[1], CELLS, 1.0)[:, None] * gaussian(position[0], CELLS, 1.0)
    target = targets_of(position.reshape(1, 1, 1, 2))
    joints = torch.zeros(1, 1, 1, 2)

    def term(maps):
        prediction = prediction_of(joints, maps=maps.reshape(1, 1, 1, CELLS, CELLS))
        return PoseCriterion()(prediction, target)["heatmap"].item()

    entropy = -(best * best.clamp_min(1e-12).log()).sum().item()
    assert term(best) == pytest.approx(entropy, rel=1e-4)
    assert term(best.roll(1, 0)) > term(best) + 0.1
    assert term(best.T) > term(best) + 0.1
    assert term(torch.full((CELLS, CELLS), CELLS**-2.0)) == pytest.approx(2 * math.log(CELLS))


def test_gaussian_sits_on_the_grid_of_the_soft_argmax():
    cells = gaussian(torch.tensor([0.0, 0.4, 1.0]), 6, 0.5)
    torch.testing.assert_close(cells.sum(-1), torch.ones(3))
    assert cells.argmax(-1).tolist() == [0, 2, 5]
    assert cells[1] @ torch.linspace(0, 1, 6) == pytest.approx(0.4, abs=1e-4)


def test_2d_network_has_no_depth_loss():
    terms = PoseCriterion()(
        prediction_of(torch.zeros(1, 1, 2, 2)), targets_of(torch.ones(1, 1, 2, 3))
    )
    assert terms["depth"].item() == 0


def test_weights_make_the_total():
    criterion = PoseCriterion({"heatmap": 0.0, "joints": 2.0})
    terms = {name: torch.tensor(1.0) for name in criterion.weights}
    assert criterion.total(terms).item() == pytest.approx(
        2 + criterion.weights["depth"] + criterion.weights["confidence"]
    )


def test_wrong_use_is_refused():
    with pytest.raises(PoseActError, match="heatmaps"):
        PoseCriterion({"heatmaps": 1})
    with pytest.raises(PoseActError, match="sigma"):
        PoseCriterion(sigma=0)
    with pytest.raises(PoseActError, match="joints"):
        PoseCriterion()(prediction_of(torch.zeros(1, 1, 3, 2)), targets_of(torch.zeros(1, 1, 2, 2)))
