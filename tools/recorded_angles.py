"""Joint angles of recorded motions, for ``convert_makehuman.py``."""

from __future__ import annotations

import numpy as np

from poseact.synthetic.angles import ANGLES, LIMITS, MIRROR, rotation, swing

# The ball of the foot lies this much (radians) below the ankle when the sole is level.
_FOOT_SLOPE = 0.45


def angles_of(joints: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Joint angles of a recorded motion of any rig, from its joint positions.

    Args:
        joints: ``(T, 3)`` places of spine (its middle), neck and head (their lower ends), and of
            left and right shoulder, elbow, wrist, hip, knee, ankle and toe.

    Returns:
        ``(T,)`` degrees for each of ``ANGLES``, within ``LIMITS``, the hands at rest; and
        ``(T, 3, 3)``, the turn of the pelvis.
    """
    hips, shoulders = (
        (joints[f"right_{name}"] + joints[f"left_{name}"]) / 2 for name in ("hip", "shoulder")
    )
    across = joints["left_shoulder"] - joints["right_shoulder"]
    turns = {
        "root": _axes(joints["spine"] - hips, joints["left_hip"] - joints["right_hip"]),
        "chest": _axes(shoulders - joints["spine"], across),
        "head": _axes(joints["head"] - joints["neck"], across),
    }
    out = {name: np.zeros(len(hips)) for name in ANGLES}
    for part, lower, upper in (("trunk", "root", "chest"), ("neck", "chest", "head")):
        turn = np.swapaxes(turns[lower], -1, -2) @ turns[upper]
        out[f"{part}_bend"] = np.arcsin(np.clip(turn[:, 1, 0], -1, 1))
        out[f"{part}_flexion"] = np.arctan2(-turn[:, 1, 2], turn[:, 1, 1])
        out[f"{part}_twist"] = np.arctan2(-turn[:, 2, 0], turn[:, 0, 0])
    for side, mirror in (("left", np.eye(3)), ("right", MIRROR)):

        def direction(
            frame: str, a: str, b: str, side: str = side, mirror: np.ndarray = mirror
        ) -> np.ndarray:
            along = joints[f"{side}_{b}"] - joints[f"{side}_{a}"]
            along = np.einsum("tji,tj->ti", turns[frame], along) @ mirror
            return along / np.linalg.norm(along, axis=1, keepdims=True)

        arm = _arm_angles(
            direction("chest", "shoulder", "elbow"), direction("chest", "elbow", "wrist")
        )
        leg = _leg_angles(
            *(
                direction("root", *ends)
                for ends in (("hip", "knee"), ("knee", "ankle"), ("ankle", "toe"))
            )
        )
        out |= {f"{side}_{name}": values for name, values in {**arm, **leg}.items()}
    out = {name: np.degrees(values) for name, values in out.items()}
    for name, (low, high) in LIMITS.items():
        out[name] = np.clip(out[name], low, high)
    return out, turns["root"]


def _axes(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """``(T, 3, 3)`` rotations whose columns are left (the nearest possible), up and forward."""
    y = up / np.linalg.norm(up, axis=1, keepdims=True)
    z = np.cross(left, y)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return np.stack((np.cross(y, z), y, z), -1)


def _arm_angles(upper: np.ndarray, lower: np.ndarray) -> dict[str, np.ndarray]:
    """Radians from the directions ``(T, 3)`` of the parts of the left arm in the chest's axes."""
    turned = np.stack(
        [swing(np.array([1.0, 0, 0]), u).T @ v for u, v in zip(upper, lower, strict=True)]
    )
    flexion = np.arccos(np.clip(turned[:, 0], -1, 1))
    return {
        "arm_elevation": np.arccos(np.clip(-upper[:, 1], -1, 1)),
        "arm_plane": np.arctan2(upper[:, 2], upper[:, 0]),
        # A straight arm has no plane of bending, so its turn fades out.
        "arm_twist": np.arctan2(turned[:, 1], turned[:, 2]) * _bend_weight(flexion),
        "elbow_flexion": flexion,
    }


def _leg_angles(upper: np.ndarray, lower: np.ndarray, foot: np.ndarray) -> dict[str, np.ndarray]:
    """Radians from the directions ``(T, 3)`` of the left leg's parts in the pelvis's axes."""
    abduction = np.arcsin(np.clip(upper[:, 0], -1, 1))
    flexion = np.arctan2(upper[:, 2], -upper[:, 1])
    knee, twist, ankle = np.zeros((3, len(upper)))
    for t in range(len(upper)):
        thigh = rotation("x", -np.degrees(flexion[t])) @ rotation("z", np.degrees(abduction[t]))
        shin = thigh.T @ lower[t]
        knee[t] = np.arccos(np.clip(-shin[1], -1, 1))
        twist[t] = np.arctan2(-shin[0], -shin[2]) * _bend_weight(knee[t])
        shank = thigh @ rotation("y", np.degrees(twist[t])) @ rotation("x", np.degrees(knee[t]))
        toe = shank.T @ foot[t]
        ankle[t] = np.arctan2(toe[1], toe[2]) + _FOOT_SLOPE
    return {
        "hip_flexion": flexion,
        "hip_abduction": abduction,
        "hip_twist": twist,
        "knee_flexion": knee,
        "ankle_flexion": ankle,
    }


def _bend_weight(flexion: np.ndarray | float) -> np.ndarray:
    """0 for a straight limb, 1 for one that is bent by 30 degrees or more."""
    return np.clip(np.degrees(flexion) / 30, 0, 1) ** 2
