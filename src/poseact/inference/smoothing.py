"""Smoothing of poses for display by the One-Euro filter (Casiez et al., CHI 2012)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from poseact.actions.frame_pose import FramePose

# Hz, at rest; and how much it rises with the speed, in the person's own sizes per second.
_CUTOFF_HZ = 1.5
_CUTOFF_PER_SPEED = 6.0
_SPEED_CUTOFF_HZ = 1.0
# Smoothing restarts after a longer absence.
_LONGEST_GAP_S = 0.5


@dataclass
class _State:
    time: float
    joints: np.ndarray
    speed: np.ndarray


class PoseSmoother:
    """Smooths the poses of people, each by the id; slow motions more than fast ones."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def smooth(self, poses: list[FramePose]) -> list[FramePose]:
        """The poses of the people in the next frame, smoothed."""
        if poses:
            oldest = poses[0].time - _LONGEST_GAP_S
            kept = ((one, state) for one, state in self._states.items() if state.time >= oldest)
            self._states = dict(kept)
        return [replace(pose, joints=self._joints(pose)) for pose in poses]

    def _joints(self, pose: FramePose) -> np.ndarray:
        joints, state = pose.joints, self._states.get(pose.person)
        if state is None or pose.time <= state.time:
            state = _State(pose.time, joints, np.zeros((len(joints), 1), joints.dtype))
            self._states[pose.person] = state
            return joints
        passed = pose.time - state.time
        moved = joints - state.joints
        size = max(float(np.ptp(joints[:, :2], axis=0).max()), 1.0)
        speed = np.linalg.norm(moved[:, :2], axis=1, keepdims=True) / (size * passed)
        state.speed = state.speed + _share(_SPEED_CUTOFF_HZ, passed) * (speed - state.speed)
        share = _share(_CUTOFF_HZ + _CUTOFF_PER_SPEED * state.speed, passed)
        state.joints = (state.joints + share * moved).astype(joints.dtype)
        state.time = pose.time
        return state.joints


def _share(cutoff_hz: np.ndarray | float, passed: float) -> np.ndarray | float:
    """Share of the new value in a low-pass filter."""
    turn = 2 * np.pi * cutoff_hz * passed
    return turn / (1 + turn)
