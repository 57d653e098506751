"""Joint angles: the pose of a body as named numbers within human limits.

The body's axes are x to its left, y up and z forward. All angles are 0 when it stands straight with
its arms hanging down. The turns of the limbs are counted from a T-pose: arms level to the sides,
palms down, legs straight. An angle of the right side is that of the left side's mirror image.
"""

import numpy as np

# Degrees, about the ends of what trained people reach; see the normal ranges of the American
# Academy of Orthopaedic Surgeons (1965), widened for the spine and the hip, whose recorded motion
# includes that of the pelvis.
_TRUNK_LIMITS = {
    "trunk_flexion": (-45.0, 85.0),
    "trunk_bend": (-35.0, 35.0),
    "trunk_twist": (-45.0, 45.0),
    "neck_flexion": (-50.0, 50.0),
    "neck_bend": (-35.0, 35.0),
    "neck_twist": (-70.0, 70.0),
}
_SIDE_LIMITS = {
    # Of the upper arm: 0 hangs down, 90 is level, 180 points up …
    "arm_elevation": (0.0, 180.0),
    # … in the plane that points to the side at 0 and forward at 90.
    "arm_plane": (-50.0, 130.0),
    # Outward rotation of the upper arm about its axis, relative to the shortest rotation.
    "arm_twist": (-90.0, 100.0),
    "elbow_flexion": (0.0, 150.0),
    "pronation": (-85.0, 85.0),
    "wrist_flexion": (-70.0, 75.0),
    "grip": (0.0, 85.0),
    "hip_flexion": (-35.0, 130.0),
    "hip_abduction": (-30.0, 80.0),
    "hip_twist": (-45.0, 60.0),
    "knee_flexion": (0.0, 150.0),
    "ankle_flexion": (-50.0, 30.0),
}
LIMITS = {
    **_TRUNK_LIMITS,
    **{f"{s}_{name}": limit for s in ("left", "right") for name, limit in _SIDE_LIMITS.items()},
}
"""Lowest and highest angle in degrees, by name."""

ANGLES = tuple(LIMITS)
"""The names, in the order of arrays of angles."""

SIDE_ANGLES = tuple(_SIDE_LIMITS)

MIRROR = np.diag([-1.0, 1.0, 1.0])


def rotation(axis: str, degrees: float) -> np.ndarray:
    """``(3, 3)`` right-handed rotation about x, y or z."""
    a = "xyz".index(axis)
    b, c = (a + 1) % 3, (a + 2) % 3
    out = np.eye(3)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out[b, b] = out[c, c] = cos
    out[c, b], out[b, c] = sin, -sin
    return out


def swing(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The ``(3, 3)`` shortest rotation from one ``(3,)`` unit vector to another."""
    cross, cos = np.cross(source, target), float(source @ target)
    if cos < -0.999:  # opposite: half a turn about any axis across
        axis = np.cross(source, [0.0, 0.0, 1.0] if abs(source[2]) < 0.9 else [0.0, 1.0, 0.0])
        axis /= np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cos)


def arm_direction(elevation: float, plane: float) -> np.ndarray:
    """Direction ``(3,)`` of the left upper arm in the chest's axes, from degrees."""
    e, p = np.radians((elevation, plane))
    return np.array([np.sin(e) * np.cos(p), -np.cos(e), np.sin(e) * np.sin(p)])


def bend(flexion: float, side: float, twist: float) -> np.ndarray:
    """Rotation ``(3, 3)`` of the trunk or neck: forward, to the right, and left about its axis."""
    return rotation("y", twist) @ rotation("z", side) @ rotation("x", flexion)


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


# The ball of the foot lies this much (radians) below the ankle when the sole is level.
_FOOT_SLOPE = 0.45


def _bend_weight(flexion: np.ndarray | float) -> np.ndarray:
    """0 for a straight limb, 1 for one that is bent by 30 degrees or more."""
    return np.clip(np.degrees(flexion) / 30, 0, 1) ** 2
