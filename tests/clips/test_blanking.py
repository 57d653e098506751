"""Pictures in which nothing but the person is left."""

from __future__ import annotations

import math
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

import poseact
from helpers.networks import action_network
from poseact.actions.clip_inputs import window_answers
from poseact.actions.frame_pose import FramePose
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.blanking import GREY, blank_outside, read_blanked
from poseact.clips.extract import extract
from poseact.clips.features import read_features
from poseact.clips.folder import Clip, Stretch
from poseact.inference.follow import PersonFollower, person_box
from poseact.inference.predictor import Predictor
from poseact.media import Frame, VideoReader, VideoWriter

FRAMES = 4


@pytest.fixture(scope="module")
def frames():
    """Frames of the clip that ships with the package."""
    with as_file(files("poseact.assets") / "demo.mp4") as path, VideoReader(path) as reader:
        return [frame for frame, _ in zip(reader, range(FRAMES), strict=False)]


@pytest.fixture(scope="module")
def predictor():
    return Predictor(device="cpu")


@pytest.fixture(scope="module")
def readings(predictor, frames):
    return [reading for _, reading in predictor.follow(frames)]


def box_of(reading):
    seen = reading.pose.confidence >= 0.5
    return person_box(reading.pose.joints[seen], reading.spread[seen])


def disturbed(frame, box):
    """The frame with noise outside of the box."""
    x0, y0, x1, y1 = box
    rng = np.random.default_rng(frame.index)
    image = rng.integers(0, 255, frame.image.shape, np.uint8)
    inside = np.s_[max(int(y0), 0) : math.ceil(y1), max(int(x0), 0) : math.ceil(x1)]
    image[inside] = frame.image[inside]
    return Frame(frame.index, frame.time, image)


def test_what_does_not_touch_the_box_is_grey():
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    blank = blank_outside(image, (1.5, -3.0, 3.2, 2.0))
    assert (blank[:2, 1:4] == image[:2, 1:4]).all()
    blank[:2, 1:4] = GREY
    assert (blank == GREY).all()
    assert image[4, 6, 2] == 104  # the picture itself is left alone


@pytest.mark.parametrize("box", [(-5, -5, 20, 20), (50.0, 1.0, 60.0, 4.0)])
def test_boxes_around_and_beside_the_picture(box):
    image = np.full((5, 7, 3), 9, np.uint8)
    assert (blank_outside(image, box) == (9 if box[0] < 0 else GREY)).all()


def test_the_box_leaves_the_room_of_a_crop():
    joints = np.array([[10.0, 20.0], [20.0, 60.0]])
    spread = np.array([[1.0, 2.0], [3.0, 0.0]])
    # x from 9 to 23, y from 18 to 60; 5 % of the 42 px are 2.1.
    assert person_box(joints, spread) == pytest.approx((6.9, 15.9, 25.1, 62.1))


def test_pixels_outside_the_box_change_nothing(predictor, frames, readings):
    for frame, reading in zip(frames, readings, strict=True):
        noisy = disturbed(frame, box_of(reading))
        clean = read_blanked(predictor, frame, reading)
        again = read_blanked(predictor, noisy, reading)
        np.testing.assert_array_equal(clean.appearance, again.appearance)
        np.testing.assert_array_equal(clean.pose.joints, again.pose.joints)
        assert clean.pose.box == pytest.approx(reading.pose.box)
        # As it is, the network does see them.
        x0, y0, x1, y1 = reading.pose.box
        window = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
        (plain,) = predictor.read(noisy.image, [window])
        assert np.abs(plain.appearance - reading.appearance).max() > 0.01


def test_nobody_seen_leaves_the_box_of_all_joints(predictor, frames, readings):
    reading = readings[0]
    pose = FramePose(**{**vars(reading.pose), "confidence": np.zeros_like(reading.pose.confidence)})
    blanked = read_blanked(predictor, frames[0], reading._replace(pose=pose))
    assert np.isfinite(blanked.appearance).all()


def test_the_answer_does_not_depend_on_the_scene(frames, monkeypatch):
    """From the frames to the actions; only where the person is comes from the whole picture."""
    torch.manual_seed(1)
    network = action_network(("sit", "stand"))
    predictor = Predictor(network, device="cpu")
    follow, follower = Predictor.follow_frame, PersonFollower()
    followed = {frame.index: follow(predictor, frame, follower) for frame in frames}
    monkeypatch.setattr(Predictor, "follow_frame", lambda _, frame, __: followed[frame.index])

    def answer(pictures, background):
        ((_, found),) = read_features(predictor, pictures, [Stretch(0.0, math.inf)], background)
        sequence = PoseSequence(
            "clip",
            predictor.skeleton,
            found.times,
            found.joints,
            found.confidence,
            found.appearance,
        )
        return window_answers(network, sequence, [found.times[-1]])["appearance"]

    def box(reading):
        seen = reading.pose.confidence >= 0.5
        seen = seen if seen.sum() > 1 else np.ones_like(seen)
        return person_box(reading.pose.joints[seen], reading.spread[seen])

    noisy = [disturbed(frame, box(followed[frame.index])) for frame in frames]
    assert torch.equal(answer(frames, "blank"), answer(noisy, "blank"))
    assert not torch.equal(answer(frames, "blank"), answer(frames, "keep"))


@pytest.mark.slow
def test_both_ways_are_kept_side_by_side(tmp_path, frames):
    height, width = frames[0].image.shape[:2]
    video = tmp_path / "a.mp4"
    with VideoWriter(video, 15, width, height) as writer:
        for frame in frames[:2]:
            writer.write(frame.image)
    clips, network = [Clip(video, "a", "move", "a")], poseact.load("small-open")

    def read(background):
        return extract(clips, network, tmp_path / "cache", background=background)

    first, blank, again = read("keep"), read("blank"), read("blank")
    assert (first.frames, blank.frames, again.frames) == (2, 2, 0)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    plain, grey, kept = (found.sequences[0].appearance for found in (first, blank, again))
    np.testing.assert_array_equal(grey, kept)
    assert np.abs(plain.astype(float) - grey.astype(float)).max() > 0.01
    with pytest.raises(poseact.PoseActError, match="'green' was given"):
        read("green")
