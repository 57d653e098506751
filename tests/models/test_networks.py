"""Properties that every network has, whatever its weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import poseact
from helpers.networks import KINDS, SIZE, clip, small
from poseact.layers.softargmax import window_confidence
from poseact.models.presets import PRESETS, preset_config
from poseact.skeleton import PA16

CLIP_LENGTHS = (1, 2, 3, 5, 8, 16, 20, 33)
JOINTS = (2, 13, 16, 17, 25)


def tensors(prediction):
    """Every tensor of a prediction, by name."""
    for k, pose in enumerate(prediction.poses):
        for name, value in pose._asdict().items():
            yield f"poses[{k}].{name}", value
    for stream, actions in prediction.actions.items():
        for k, action in enumerate(actions):
            yield f"actions[{stream}][{k}]", action.log_probabilities


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", CLIP_LENGTHS)
def test_any_clip_length(kind, frames):
    network = small(kind)
    with torch.inference_mode():
        prediction = network(clip(2, frames))
    dims = network.config.dims
    assert prediction.pose.joints.shape == (2, frames, 16, dims)
    assert prediction.pose.confidence.shape == (2, frames, 16)
    assert prediction.action.log_probabilities.shape == (2, 5)
    assert all(value.isfinite().all() for _, value in tensors(prediction))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("joints", JOINTS)
def test_any_number_of_joints(kind, joints):
    network = small(kind, joints)
    with torch.inference_mode():
        prediction = network(clip(1, 3))
    assert prediction.pose.joints.shape == (1, 3, joints, network.config.dims)
    assert prediction.pose.heatmaps.shape[2] == joints
    probabilities = prediction.action.probabilities
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(1))


@pytest.mark.parametrize("kind", KINDS)
def test_joints_and_confidence_stay_in_the_unit_interval(kind):
    with torch.inference_mode():
        prediction = small(kind)(clip(2, 3))
    for pose in prediction.poses:
        assert (pose.joints >= 0).all()
        assert (pose.joints <= 1).all()
        assert (pose.confidence > 0).all()
        assert (pose.confidence <= 1).all()
        torch.testing.assert_close(pose.heatmaps.sum((-2, -1)), torch.ones(2, 3, 16))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [SIZE, 72, 100])
def test_a_clip_is_its_frames(kind, size):
    network, frames = small(kind).double(), clip(2, 3, size).double()
    with torch.inference_mode():
        together = network(frames)
        alone = [network(frames[:, t : t + 1]) for t in range(3)]
    for k, pose in enumerate(together.poses):
        for t, single in enumerate(alone):
            torch.testing.assert_close(pose.joints[:, t], single.poses[k].joints[:, 0])
            torch.testing.assert_close(pose.confidence[:, t], single.poses[k].confidence[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_the_batch_permutes_the_outputs(kind):
    network, frames = small(kind).double(), clip(4, 2).double()
    order = torch.tensor([2, 0, 3, 1])
    with torch.inference_mode():
        straight, permuted = network(frames), network(frames[order])
    for (name, a), (_, b) in zip(tensors(straight), tensors(permuted), strict=True):
        torch.testing.assert_close(a[order], b, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_early_gives_the_first_outputs(kind):
    network, frames = small(kind), clip(2, 2)
    with torch.inference_mode():
        full = network(frames)
        for count in range(1, network.num_blocks + 1):
            early = network(frames, num_blocks=count)
            assert len(early.poses) == count
            for a, b in zip(early.poses, full.poses, strict=False):
                torch.testing.assert_close(a.joints, b.joints)
            if kind.startswith("spnet") and early.actions:
                for a, b in zip(early.actions["fused"], full.actions["fused"], strict=False):
                    torch.testing.assert_close(a.log_probabilities, b.log_probabilities)


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_early_skips_the_later_blocks(kind):
    network = small(kind)
    entered = []
    blocks = network.levels if kind.startswith("spnet") else network.pose_model.blocks
    for k, block in enumerate(blocks):
        inner = block.block if kind.startswith("spnet") else block
        inner.register_forward_hook(lambda *_, k=k: entered.append(k))
    with torch.inference_mode():
        network(clip(), num_blocks=1)
    assert entered == [0]


@pytest.mark.parametrize("count", [0, 3, -1])
def test_impossible_number_of_blocks(count):
    with pytest.raises(poseact.PoseActError, match=f"num_blocks={count}"):
        small("cvpr18-2d")(clip(), num_blocks=count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 5])
def test_every_parameter_receives_a_finite_gradient(kind, frames):
    network = small(kind).train()
    assert_all_gradients_finite(network, clip(2, frames))


def assert_all_gradients_finite(network, frames):
    prediction = network(frames)
    poses = sum(p.joints.square().mean() + p.confidence.mean() for p in prediction.poses)
    actions = [a for stream in prediction.actions.values() for a in stream]
    loss = poses - sum(action.log_probabilities[:, 0].mean() for action in actions)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_folding_batch_norm_changes_rounding_only(kind):
    network = small(kind).double().train()
    with torch.no_grad():
        network(clip(4, 3).double())  # statistics that are not those of a fresh network
    network.eval()
    folded, frames = poseact.fused(network), clip(2, 3).double()
    with torch.inference_mode():
        for (name, a), (_, b) in zip(
            tensors(network(frames)), tensors(folded(frames)), strict=True
        ):
            torch.testing.assert_close(a, b, msg=name)


def test_a_folded_network_can_be_copied_and_computes_in_half_precision_and_backwards():
    network = poseact.fold_batch_norm(small("cvpr18-2d"))
    frames = clip(1, 2)
    with torch.inference_mode():
        joints = network(frames).pose.joints
        copied = copy.deepcopy(network)(frames).pose.joints
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(frames).pose.joints
        exact = copy.deepcopy(network).double()(frames.double()).pose.joints
    torch.testing.assert_close(copied, joints)
    torch.testing.assert_close(exact.float(), joints, atol=1e-4, rtol=0)
    assert 1e-5 < (rough - joints).abs().max() < 0.1
    network(frames.requires_grad_()).pose.joints.sum().backward()
    assert frames.grad is not None
    assert frames.grad.abs().sum() > 0


def test_mirrored_depth_grid_mirrors_depth():
    network, frames = small("cvpr18-3d").double(), clip().double()
    with torch.inference_mode():
        z = network(frames).pose.joints[..., 2]
        network.pose_model.head.depth_grid.copy_(network.pose_model.head.depth_grid.flip(0))
        mirrored = network(frames).pose.joints[..., 2]
    torch.testing.assert_close(mirrored, 1 - z)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_predict_at_their_own_size(preset):
    config = preset_config(preset)
    network = poseact.create_model(preset).eval()
    with torch.inference_mode():
        prediction = network(clip(1, 1, config.image_size), num_blocks=1)
    assert prediction.pose.joints.shape == (1, 1, len(config.skeleton), config.dims)
    assert network.card.preset == preset


def test_tiny_keeps_its_budget():
    for labels in ((), tuple("abcdefghi")):
        network = poseact.create_model("tiny", labels=labels).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(clip(1, 16, 128))
        assert sum(p.numel() for p in network.parameters()) <= 2.5e6
        assert counter.get_total_flops() / 16 <= 0.3e9
    assert network.config.skeleton == PA16
    flat = poseact.create_model("tiny", depth_maps=1).eval()
    with torch.inference_mode():
        assert flat(clip(1, 1, 128)).pose.joints.shape[-1] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_joints": 1}, "at least 2 joints"),
        ({"labels": ("squat",)}, "at least 2"),
        ({"labels": ("squat", "squat")}, "different ones"),
        ({"labels": "squat"}, "tuple of action names"),
        ({"labels": {"a", "b"}}, "tuple of action names"),
        ({"num_actions": -3}, "num_actions=-3"),
        ({"num_blocks": 0}, "num_blocks=0"),
        ({"num_blocks": 1.5}, "num_blocks=1.5"),
        ({"channels": "17"}, "channels='17'"),
        ({"skeleton": "pa99"}, "skeleton='pa99'"),
        ({"stem": "x"}, "multitask, light"),
        ({"image_size": 8}, "16 or more"),
        ({"appearance_channels": 1, "num_actions": 3}, "2 or more"),
        ({"blocks": 2}, "no field 'blocks'"),
    ],
)
def test_bad_changes_of_a_preset(changes, message):
    with pytest.raises(poseact.PoseActError, match=message):
        poseact.create_model("cvpr18-mpii", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pyramids": 1}, "from 1 to 1"),
        ({"action_pyramids": ()}, "at least one pyramid"),
        ({"action_pyramids": [0]}, "from 1 to 6"),
        ({"action_pyramids": [7]}, "from 1 to 6"),
        ({"levels": 1}, "2 or more"),
        ({"image_size": 64}, "128 or more"),
        ({"action_channels": 8}, "16 or more"),
        ({"decoupled": 1}, "True or False"),
    ],
)
def test_bad_changes_of_spnet(changes, message):
    with pytest.raises(poseact.PoseActError, match=message):
        poseact.create_model("spnet-penn", **changes)


def test_changes_that_are_understood():
    network = poseact.create_model("tiny", skeleton="pa17", labels=["sit", "stand"], depth_maps=1)
    assert network.config.skeleton.name == "pa17"
    assert network.config.labels == ("sit", "stand")
    assert poseact.create_model("spnet-penn", pyramids=1, num_actions=0).num_blocks == 3


@pytest.mark.parametrize("kind", ["cvpr18-2d", "spnet-2d"])
@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(1, 3, 64, 64), "give \\(B, T, 3, H, W\\)"),
        (torch.zeros(1, 2, 64, 64, 3), "give \\(B, T, 3, H, W\\)"),
        (torch.zeros(1, 0, 3, 64, 64), "give \\(B, T, 3, H, W\\)"),
        (torch.zeros(1, 1, 3, 64, 64, dtype=torch.uint8), "floating-point"),
    ],
)
def test_frames_that_are_none(kind, frames, message):
    with pytest.raises(poseact.PoseActError, match=message):
        small(kind)(frames)


def test_no_action_where_none_was_reached():
    prediction = small("spnet-2d")(clip(), num_blocks=1)
    with pytest.raises(poseact.PoseActError, match="stopped before"):
        _ = prediction.action


def test_context_weights_survive_vanishing_confidence():
    head = small("cvpr18-2d").pose_model.head
    joints = head(torch.full((1, head.channels, 8, 8), -200.0)).joints
    torch.testing.assert_close(joints, torch.full((1, 16, 2), 0.5))


def test_confidence_never_exceeds_one():
    sharp = torch.zeros(1, 1, 9, 9).index_fill(2, torch.tensor([4]), 0.0)
    sharp[0, 0, 3:5, 3:5] = torch.tensor([[0.3, 0.3], [0.2, 0.2000002]])
    assert window_confidence(sharp) == 1


def test_unknown_preset():
    with pytest.raises(poseact.PoseActError, match="cvpr18-mpii"):
        poseact.create_model("cvpr18")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.slow
def test_presets_can_be_trained(preset):
    network = poseact.create_model(preset).train()
    assert_all_gradients_finite(network, clip(2, 2, 64))


def test_a_folded_copy_reads_earlier_poses_only_when_asked(monkeypatch):
    network = poseact.fold_batch_norm(small("cvpr18-2d"))
    read = []
    head = network.pose_model.head
    inner = head.read
    monkeypatch.setattr(head, "read", lambda *given: read.append(1) or inner(*given))
    with torch.inference_mode():
        poses = network(clip()).poses
        assert len(poses) == network.num_blocks > 1
        assert len(read) <= 1
        assert poses[-1] is poses[len(poses) - 1]
        assert [pose is other for pose, other in zip(poses, poses[:], strict=True)] == [True] * len(
            poses
        )
    assert len(read) == len(poses)
