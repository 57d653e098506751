"""Smoothing of poses: calm at rest, quick in motion."""

import numpy as np

from poseact.actions.frame_pose import FramePose
from poseact.inference.smoothing import PoseSmoother

FPS = 30
SHAPE = np.random.default_rng(0).uniform(0, 100, (17, 2)).astype(np.float32)


def smoothed(shifts, fps=FPS, person=0):
    """Poses moved by ``(N, 2)`` or ``(N, 17, 2)`` px, smoothed, as shifts."""
    smoother = PoseSmoother()
    sure = np.ones(17, np.float32)
    found = []
    for k, shift in enumerate(shifts):
        joints = (SHAPE + shift).astype(np.float32)
        pose = FramePose(k, k / fps, person, joints, sure, sure > 0, (0, 0, 1, 1))
        (calm,) = smoother.smooth([pose])
        found.append(calm.joints - SHAPE)
    return np.array(found)


def test_tremble_at_rest_is_removed():
    tremble = np.random.default_rng(1).normal(0, 1, (90, 17, 2))
    assert smoothed(tremble)[30:].std() < 0.6


def test_a_quick_motion_is_not_left_behind():
    quick = np.linspace(0, 300, FPS)[:, None] * np.array([1, 0])  # three sizes in a second
    lag = quick[-1, 0] - smoothed(quick[:, None])[-1, :, 0].mean()
    assert 0 < lag < 10  # a frame is 10 px


def test_people_do_not_blend_and_who_comes_back_starts_again():
    smoother = PoseSmoother()
    sure = np.ones(17, np.float32)

    def pose(person, time, shift):
        joints = SHAPE + np.float32(shift)
        return FramePose(0, time, person, joints, sure, sure > 0, (0, 0, 1, 1))

    smoother.smooth([pose(0, 0.0, 0), pose(1, 0.0, 500)])
    first, second = smoother.smooth([pose(0, 0.1, 0), pose(1, 0.1, 500)])
    np.testing.assert_allclose(first.joints, SHAPE, atol=1e-3)
    np.testing.assert_allclose(second.joints, SHAPE + 500, atol=1e-3)
    (back,) = smoother.smooth([pose(0, 3.0, 200)])
    np.testing.assert_array_equal(back.joints, SHAPE + 200)
