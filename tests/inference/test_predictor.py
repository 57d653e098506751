"""Prediction in source coordinates, with a network that finds coloured dots instead of joints."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import poseact
from poseact.inference.follow import PersonFollower, closer_square
from poseact.layers.softargmax import soft_argmax_2d
from poseact.media import Frame
from poseact.media.crop import crop_matrix, transform_points, warp_image, whole_square
from poseact.models.base import Network
from poseact.models.config import NetworkConfig
from poseact.models.outputs import Pose, Prediction
from poseact.skeleton import Skeleton

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
DOTS = Skeleton("dots", ("pelvis", "left_dot", "right_dot"))


class DotConfig(NetworkConfig):
    dims = 3


class DotNetwork(Network):
    """Finds a red, a green and a blue dot by soft-argmax; a missing dot has no confidence.

    Depth is 0.5, 0.6 and 0.7.
    """

    num_blocks = 1

    def __init__(self):
        super().__init__(DotConfig(DOTS, image_size=96))
        self.calls = []

    def forward(self, frames, num_blocks=None):
        batch, clip, _, height, width = frames.shape
        assert frames.min() >= -1
        assert frames.max() <= 1
        rgb = (frames.flatten(0, 1) + 1) / 2
        pure = (2 * rgb - rgb.sum(1, keepdim=True)).clamp_min(0)  # black and grey are no colour
        total = pure.sum((2, 3), keepdim=True)
        heat = pure / total.clamp_min(1e-6)
        # The soft-argmax of N cells puts cell i at i / (N - 1); a dot's centre is at (i + .5) / N.
        cells = torch.tensor([width, height])
        xy = (soft_argmax_2d(heat) * (cells - 1) + 0.5) / cells
        z = torch.tensor([0.5, 0.6, 0.7]).expand(batch * clip, 3)
        joints = torch.cat((xy, z.unsqueeze(-1)), -1)
        confidence = (total.flatten(1) > 0.5).float()
        if frames.max() > -1:  # not the trial run of a new Predictor
            self.calls.append(batch * clip)
        wide = F.avg_pool2d(heat, 15, 1, 7)  # real networks are no surer of a place than that
        shaped = (t.unflatten(0, (batch, clip)) for t in (joints, confidence, wide))
        return Prediction([Pose(*shaped)], {}, frames)


def picture(dots, width=400, height=300, radius=6):
    """Black picture with the coloured dots at ``(3, 2)`` px; a NaN dot is left out."""
    image = np.zeros((height, width, 3), np.uint8)
    ys, xs = np.mgrid[:height, :width] + 0.5
    for (x, y), colour in zip(dots, COLOURS, strict=True):
        image[(xs - x) ** 2 + (ys - y) ** 2 <= radius**2] = colour
    return image


@pytest.fixture
def predictor():
    return poseact.Predictor(DotNetwork(), device="cpu", people="one")


DOTS_AT = np.array([[200.0, 150.0], [160.0, 110.0], [240.0, 190.0]])


def test_one_person_in_the_whole_picture(predictor):
    (pose,) = predictor.image(picture(DOTS_AT))
    np.testing.assert_allclose(pose.joints[:, :2], DOTS_AT, atol=0.5)
    np.testing.assert_allclose(pose.joints[:, 2], [0, 200, 400], atol=0.01)  # mm from the pelvis
    assert pose.visible.all()
    x0, y0, x1, y1 = pose.box
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert x1 - x0 < 200  # the crop has come closer than the whole picture


def test_a_picture_without_a_person(predictor):
    (pose,) = predictor.image(np.zeros((50, 80, 3), np.uint8))
    assert not pose.visible.any()
    assert (pose.confidence == 0).all()


def test_boxes_give_one_person_each(predictor):
    image = picture(DOTS_AT)
    shifted = picture(DOTS_AT / 2 + 10, radius=4)
    both = np.maximum(image, shifted)
    near, far = (150.0, 100.0, 250.0, 200.0), (70.0, 50.0, 140.0, 120.0)
    first, second = predictor.image(both, [near, far])
    np.testing.assert_allclose(first.joints[:, :2], DOTS_AT, atol=1)
    np.testing.assert_allclose(second.joints[:, :2], DOTS_AT / 2 + 10, atol=1)
    assert (first.person, second.person) == (0, 1)
    assert (first.person_box, second.person_box) == (near, far)
    (same,) = predictor.image(both, np.array([far]))
    assert same.person_box == far
    assert predictor.image(image, []) == []


def test_joint_outside_the_picture_is_not_visible(predictor):
    dots = DOTS_AT.copy()
    dots[1] = np.nan
    (pose,) = predictor.image(picture(dots))
    assert pose.visible.tolist() == [True, False, True]


def test_joint_beyond_the_edge_is_not_visible():
    class Offset(DotNetwork):
        """Sees the pelvis a quarter of the crop further left than it is."""

        def forward(self, frames, num_blocks=None):
            prediction = super().forward(frames, num_blocks)
            prediction.pose.joints[..., 0, 0] -= 0.25
            return prediction

    image = picture(np.array([[10.0, 50.0], [40.0, 20.0], [70.0, 80.0]]), 100, 100)
    (pose,) = poseact.Predictor(Offset(), device="cpu", people="one").image(
        image, [(0, 0, 100, 100)]
    )
    assert pose.joints[0, 0] < 0
    assert pose.confidence[0] == 1
    assert pose.visible.tolist() == [False, True, True]


def test_depth_is_relative_to_the_pelvis_or_else_to_the_root():
    for joints, expected in ((DOTS.joints, [0, 200, 400]), (("a", "b", "c"), [0, 200, 400])):
        network = DotNetwork()
        network.config = DotConfig(Skeleton("s", joints), image_size=96)
        (pose,) = poseact.Predictor(network, device="cpu", people="one").image(picture(DOTS_AT))
        np.testing.assert_allclose(pose.joints[:, 2], expected, atol=0.01)


def test_number_of_blocks_reaches_the_network():
    network = poseact.create_model("tiny")
    crops = np.random.default_rng(0).integers(0, 255, (1, 128, 128, 3), np.uint8)
    outputs = {k: poseact.Predictor(network, k, "cpu").crops(crops).joints for k in (1, 2, None)}
    assert not np.allclose(outputs[1], outputs[2])
    np.testing.assert_array_equal(outputs[2], outputs[None])


def test_folded_and_double_networks_predict_too():
    network = poseact.create_model("tiny")
    crops = np.zeros((1, 128, 128, 3), np.uint8)
    wanted = poseact.Predictor(network, device="cpu").crops(crops).joints
    for other in (poseact.fused(network), copy.deepcopy(network).double()):
        joints = poseact.Predictor(other, device="cpu").crops(crops).joints
        np.testing.assert_allclose(joints, wanted, atol=0.01)


def frames_of(positions, size=(400, 300)):
    for i, dots in enumerate(positions):
        yield Frame(i, i / 25, picture(dots, *size, radius=4))


def test_video_follows_a_moving_person(predictor):
    path = [DOTS_AT / 2 + (i, i / 2) for i in range(40)]
    results = list(predictor.video(frames_of(path)))
    assert [frame.index for frame, _ in results] == list(range(40))
    for (_, (pose,)), dots in zip(results, path, strict=True):
        np.testing.assert_allclose(pose.joints[:, :2], dots, atol=0.7)
        assert pose.visible.all()
    sides = [pose.box[2] - pose.box[0] for _, (pose,) in results]
    assert max(sides) < 80
    # The first frame is searched, every other one costs a single crop.
    assert len(predictor.reader.runtime.module.network.calls) <= 40 + 3


def test_video_finds_the_person_again_after_a_cut(predictor):
    path = [DOTS_AT / 2] * 5 + [np.full((3, 2), np.nan)] * 3 + [DOTS_AT / 2 + (180, 100)] * 5
    results = list(predictor.video(frames_of(path)))
    assert not any(pose.visible.any() for _, (pose,) in results[5:8])
    for _, (pose,) in results[8:]:
        np.testing.assert_allclose(pose.joints[:, :2], DOTS_AT / 2 + (180, 100), atol=0.7)


def test_video_with_boxes_by_frame(predictor):
    path = [DOTS_AT] * 3
    box = (140.0, 90.0, 260.0, 210.0)
    results = list(predictor.video(frames_of(path), {0: [box, box], 2: [box]}))
    assert [len(poses) for _, poses in results] == [2, 0, 1]


BAD_BOXES = [
    (10, 10, 10, 20),
    (10, 20, 30, 5),
    (float("nan"), 0, 5, 5),
    (0, 0, float("inf"), 5),
    (0, 0, 1e160, 5),
]


@pytest.mark.parametrize("box", BAD_BOXES)
def test_empty_box(predictor, box):
    with pytest.raises(poseact.PoseActError, match="is empty"):
        predictor.image(picture(DOTS_AT), [box])


def test_box_beside_the_picture(predictor):
    with pytest.raises(poseact.PoseActError, match="outside its picture of 400 x 300 px"):
        predictor.image(picture(DOTS_AT), [(500, 20, 600, 90)])


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)),
        *("photo.jpg", None, [[[0, 0, 0]]]),
    ],
)
def test_what_is_no_picture(predictor, array):
    with pytest.raises(poseact.PoseActError, match="as a picture"):
        predictor.image(array)
    with pytest.raises(poseact.PoseActError, match="as a picture"):
        list(predictor.video([Frame(0, 0.0, array)]))


@pytest.mark.parametrize("boxes", [None, {}])
def test_what_is_no_video(predictor, boxes):
    with pytest.raises(poseact.PoseActError, match="A video of str was given; give frames"):
        list(predictor.video("clip.mp4", boxes))
    with pytest.raises(poseact.PoseActError, match="A video of ndarray"):
        list(predictor.video([picture(DOTS_AT)], boxes))


@pytest.mark.parametrize("boxes", [(10, 10, 30, 30), [(10, 10, 30, 30, 0.9)], [None], ["ab"]])
def test_what_is_no_box(predictor, boxes):
    with pytest.raises(poseact.PoseActError, match="is not four numbers"):
        predictor.image(picture(DOTS_AT), boxes)


def test_impossible_choices():
    with pytest.raises(poseact.PoseActError, match="num_blocks=5"):
        poseact.Predictor(DotNetwork(), num_blocks=5)
    with pytest.raises(poseact.PoseActError, match="'toaster' cannot be used"):
        poseact.Predictor(DotNetwork(), device="toaster")


BODY = np.array([[100.0, 100.0], [140.0, 180.0]])


def test_follower_smooths_and_gives_up():
    follower, sure, sharp = PersonFollower(smoothing=0.5), np.ones(2), np.zeros((2, 2))
    follower.update(BODY, sure, sharp, (320, 240, 120), 640, 480)
    assert follower.square == pytest.approx((120, 140, 88))
    follower.update(BODY + np.array([40, 0]), sure, sharp, follower.square, 640, 480)
    assert follower.square == pytest.approx((140, 140, 88))  # half way
    three, unsure = np.array([*BODY, [120.0, 120.0]]), np.array([0.6, 0.5, 0.1])
    follower.update(three, unsure, np.zeros((3, 2)), follower.square, 640, 480)
    assert follower.square is not None
    follower.lost_below = 0.5
    follower.update(three, unsure, np.zeros((3, 2)), follower.square, 640, 480)
    assert follower.square is None
    follower.update(BODY - 1000, sure, sharp, (0, 0, 100), 640, 480)
    assert follower.square is None


def test_window_shrinks_in_steps_and_grows_for_unseen_joints():
    body, all_seen, sharp = np.array([*BODY, [0.0, 0.0]]), np.ones(3), np.zeros((3, 2))
    body[2] = BODY[0]
    assert closer_square(body, all_seen, sharp, (0, 0, 80), 640, 480)[2] == pytest.approx(88)
    assert closer_square(body, all_seen, sharp, (0, 0, 640), 640, 480)[2] == pytest.approx(256)
    one_unseen = np.array([1, 1, 0.1])
    assert closer_square(body, one_unseen, sharp, (0, 0, 200), 640, 480)[2] == pytest.approx(240)
    assert closer_square(body, one_unseen, sharp, (0, 0, 600), 640, 480)[2] == pytest.approx(640)
    assert closer_square(body, np.array([1, 0.1, 0.1]), sharp, (0, 0, 200), 640, 480) is None


def test_window_grows_where_the_places_are_unsure():
    sure, spread = np.ones(2), np.array([[0.0, 10.0], [0.0, 30.0]])
    x, y, side = closer_square(BODY, sure, spread, (0, 0, 80), 640, 480)
    assert (x, y) == pytest.approx((120, 150))
    assert side == pytest.approx(1.1 * 120)


def test_crop_and_back_is_the_identity():
    points = np.random.default_rng(0).uniform(0, 300, (20, 2))
    for square in (whole_square(400, 300), (120.0, 80.0, 33.0)):
        matrix = crop_matrix(square, rotation_deg=17, flip=True)
        there = transform_points(matrix, points)
        np.testing.assert_allclose(transform_points(np.linalg.inv(matrix), there), points)


def test_outside_of_the_picture_is_black():
    crop = warp_image(np.full((40, 80, 3), 255, np.uint8), crop_matrix(whole_square(80, 40)), 64)
    assert (crop[:12] == 0).all()
    assert (crop[24:40] == 255).all()
