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
