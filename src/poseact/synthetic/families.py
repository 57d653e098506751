"""Families of poses: ranges of joint angles around something that people do.

A range applies to each side on its own, or to one side where the name says ``left_`` or
``right_``; ``both_`` gives both sides the same angle, but for a few degrees. Half of all poses are
mirrored, so ``left`` stands for "one side". What is not named stays within ``AT_EASE``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Range = tuple[float, float]

AT_EASE: dict[str, Range] = {
    "trunk_flexion": (-6, 14),
    "trunk_bend": (-8, 8),
    "trunk_twist": (-12, 12),
    "neck_flexion": (-15, 25),
    "neck_bend": (-12, 12),
    "neck_twist": (-45, 45),
    "arm_elevation": (10, 50),
    "arm_plane": (0, 70),
    "arm_twist": (-30, 40),
    "elbow_flexion": (5, 80),
    "pronation": (-60, 60),
    "wrist_flexion": (-25, 30),
    "grip": (0, 70),
    "hip_flexion": (-10, 25),
    "hip_abduction": (0, 16),
    "hip_twist": (-10, 25),
    "knee_flexion": (0, 25),
    "ankle_flexion": (-15, 12),
}


@dataclass(frozen=True)
class Family:
    """One kind of pose.

    Attributes:
        name: What people do.
        angles: Ranges in degrees by name, see the module.
        pitch: How far the pelvis tips forward; 90 lies on the belly, -90 on the back.
        roll: How far it tips to the right.
        level: Two joints of the rig, without their side, that rest on the floor: the pitch is
            chosen for it.
        lift: Height above the floor in mm.
        weight: How often it is drawn, against the others.
    """

    name: str
    angles: dict[str, Range] = field(default_factory=dict)
    pitch: Range = (-6, 10)
    roll: Range = (-5, 5)
    level: tuple[str, str] | None = None
    lift: Range = (0, 0)
    weight: float = 1.0


_OVERHEAD: dict[str, Range] = {
    "both_arm_elevation": (125, 180),
    "both_arm_plane": (0, 90),
    "both_elbow_flexion": (0, 90),
    "both_arm_twist": (-20, 90),
}
_FLOOR_ARMS: dict[str, Range] = {
    "both_arm_elevation": (70, 105),
    "both_arm_plane": (60, 90),
    "both_elbow_flexion": (0, 12),
    "both_wrist_flexion": (-75, -55),
    "grip": (0, 5),
}
ANY_ARMS: dict[str, Range] = {
    "arm_elevation": (15, 178),
    "arm_plane": (-30, 110),
    "arm_twist": (-60, 90),
    "elbow_flexion": (0, 140),
}

TRAINING = (
    Family("stand", weight=1.0),
    Family("gesture", ANY_ARMS, weight=1.5),
    Family("overhead", _OVERHEAD, weight=1.2),
    Family(
        "run",
        {
            "trunk_flexion": (0, 25),
            "trunk_twist": (-30, 10),
            "left_hip_flexion": (30, 95),
            "left_knee_flexion": (40, 120),
            "right_hip_flexion": (-30, 10),
            "right_knee_flexion": (5, 110),
            "left_arm_elevation": (20, 60),
            "left_arm_plane": (-50, -10),
            "right_arm_elevation": (20, 80),
            "right_arm_plane": (50, 100),
            "elbow_flexion": (50, 120),
            "ankle_flexion": (-40, 15),
        },
        pitch=(0, 20),
        lift=(0, 150),
        weight=1.5,
    ),
    Family(
        "jump",
        {**ANY_ARMS, "hip_flexion": (-30, 100), "knee_flexion": (0, 120), "hip_abduction": (0, 45)},
        pitch=(-20, 30),
        roll=(-20, 20),
        lift=(100, 900),
        weight=1.2,
    ),
    Family(
        "squat",
        {
            **ANY_ARMS,
            "both_hip_flexion": (60, 125),
            "both_knee_flexion": (70, 145),
            "both_hip_abduction": (10, 35),
            "both_ankle_flexion": (5, 30),
            "trunk_flexion": (0, 45),
        },
        pitch=(15, 45),
        weight=1.3,
    ),
    Family(
        "lunge",
        {
            **ANY_ARMS,
            "left_hip_flexion": (60, 110),
            "left_knee_flexion": (60, 115),
            "right_hip_flexion": (-35, 0),
            "right_knee_flexion": (10, 100),
            "right_ankle_flexion": (-40, 20),
        },
        pitch=(-5, 25),
        weight=1.3,
    ),
    Family(
        "sit",
        {
            "arm_elevation": (10, 120),
            "arm_plane": (20, 100),
            "elbow_flexion": (10, 130),
            "both_hip_flexion": (75, 105),
            "knee_flexion": (40, 115),
            "hip_abduction": (0, 30),
            "trunk_flexion": (-10, 40),
        },
        pitch=(-20, 15),
        lift=(0, 300),
    ),
    Family(
        "sit on floor",
        {
            "arm_elevation": (15, 110),
            "arm_plane": (-40, 100),
            "hip_flexion": (70, 125),
            "hip_abduction": (0, 50),
            "hip_twist": (-10, 55),
            "knee_flexion": (0, 145),
            "trunk_flexion": (-10, 60),
        },
        pitch=(-35, 20),
    ),
    Family(
        "kneel",
        {
            **ANY_ARMS,
            "hip_flexion": (-10, 80),
            "knee_flexion": (85, 145),
            "ankle_flexion": (-50, 20),
            "trunk_flexion": (-20, 40),
        },
        pitch=(-10, 30),
    ),
    Family(
        "plank",
        {
            **_FLOOR_ARMS,
            "trunk_flexion": (-12, 10),
            "neck_flexion": (-45, 15),
            "both_hip_flexion": (-10, 35),
            "both_knee_flexion": (0, 15),
            "both_hip_abduction": (0, 15),
            "both_ankle_flexion": (0, 30),
        },
        pitch=(70, 70),
        level=("wrist", "ball"),
        weight=1.2,
    ),
    Family(
        "push-up",
        {
            **_FLOOR_ARMS,
            "both_arm_elevation": (25, 80),
            "both_arm_plane": (-35, 40),
            "both_arm_twist": (-25, 10),
            "both_elbow_flexion": (60, 120),
            "neck_flexion": (-45, 5),
            "both_hip_flexion": (-10, 15),
            "both_knee_flexion": (0, 10),
            "both_ankle_flexion": (5, 30),
        },
        pitch=(80, 80),
        level=("wrist", "ball"),
        weight=1.2,
    ),
    Family(
        "all fours",
        {
            **_FLOOR_ARMS,
            "hip_flexion": (45, 110),
            "knee_flexion": (60, 110),
            "trunk_flexion": (-25, 40),
            "neck_flexion": (-45, 20),
        },
        pitch=(80, 80),
        level=("wrist", "lowerleg01"),
    ),
    Family(
        "down dog",
        {
            **_FLOOR_ARMS,
            "both_arm_elevation": (130, 175),
            "both_hip_flexion": (60, 115),
            "both_knee_flexion": (0, 25),
            "both_ankle_flexion": (0, 30),
        },
        pitch=(110, 110),
        level=("wrist", "ball"),
        weight=0.6,
    ),
    Family(
        "lie on back",
        {
            **ANY_ARMS,
            "hip_flexion": (-10, 120),
            "knee_flexion": (0, 130),
            "hip_abduction": (0, 40),
            "trunk_flexion": (-5, 55),
        },
        pitch=(-95, -70),
        roll=(-15, 15),
        weight=1.4,
    ),
    Family(
        "lie on front",
        {
            "arm_elevation": (15, 175),
            "arm_plane": (-30, 60),
            "elbow_flexion": (0, 120),
            "trunk_flexion": (-45, 5),
            "neck_flexion": (-50, 0),
            "hip_flexion": (-25, 15),
            "knee_flexion": (0, 100),
            "ankle_flexion": (-50, -10),
        },
        pitch=(75, 95),
        roll=(-10, 10),
        weight=0.9,
    ),
    Family(
        "lie on side",
        {"arm_elevation": (15, 170), "hip_flexion": (-20, 110), "knee_flexion": (0, 130)},
        pitch=(-15, 15),
        roll=(70, 105),
        weight=0.6,
    ),
    Family(
        "bridge",
        {
            "both_arm_elevation": (140, 180),
            "both_arm_plane": (40, 90),
            "both_elbow_flexion": (0, 45),
            "trunk_flexion": (-45, -20),
            "neck_flexion": (-50, -20),
            "both_hip_flexion": (-35, -10),
            "both_knee_flexion": (50, 110),
            "both_hip_abduction": (0, 20),
        },
        pitch=(-90, -90),
        level=("wrist", "ball"),
        weight=0.7,
    ),
    Family(
        "bend forward",
        {
            **ANY_ARMS,
            "trunk_flexion": (20, 80),
            "both_hip_flexion": (20, 75),
            "knee_flexion": (0, 50),
            "neck_flexion": (-45, 30),
        },
        pitch=(20, 70),
        weight=1.3,
    ),
    Family(
        "kick",
        {
            **ANY_ARMS,
            "left_hip_flexion": (40, 130),
            "left_hip_abduction": (0, 70),
            "left_knee_flexion": (0, 60),
            "right_hip_flexion": (-20, 20),
            "right_knee_flexion": (0, 40),
            "left_ankle_flexion": (-50, 10),
        },
        pitch=(-35, 10),
        roll=(-10, 25),
        lift=(0, 200),
        weight=1.3,
    ),
    Family(
        "swing",
        {
            "arm_elevation": (40, 140),
            "arm_plane": (30, 130),
            "elbow_flexion": (0, 100),
            "grip": (50, 85),
            "trunk_twist": (-45, 45),
            "trunk_flexion": (0, 35),
            "hip_flexion": (0, 60),
            "hip_twist": (-35, 45),
            "hip_abduction": (5, 35),
            "knee_flexion": (5, 70),
        },
        pitch=(0, 25),
        weight=1.2,
    ),
    Family(
        "handstand",
        {
            "both_arm_elevation": (150, 178),
            "both_arm_plane": (20, 90),
            "both_elbow_flexion": (0, 25),
            "hip_flexion": (-35, 60),
            "hip_abduction": (0, 45),
            "knee_flexion": (0, 80),
            "trunk_flexion": (-30, 20),
            "neck_flexion": (-50, 0),
            "ankle_flexion": (-50, 0),
        },
        pitch=(155, 200),
        roll=(-25, 25),
        weight=1.0,
    ),
    Family(
        "splits",
        {**ANY_ARMS, "hip_abduction": (45, 80), "hip_flexion": (0, 100), "knee_flexion": (0, 20)},
        pitch=(-15, 40),
        lift=(0, 500),
        weight=0.7,
    ),
    Family(
        "tumble",
        {
            **ANY_ARMS,
            "hip_flexion": (-30, 130),
            "knee_flexion": (0, 140),
            "trunk_flexion": (-35, 70),
        },
        pitch=(-180, 180),
        roll=(-60, 60),
        lift=(0, 900),
        weight=1.5,
    ),
    Family(
        "anything",
        {
            **ANY_ARMS,
            "trunk_flexion": (-35, 70),
            "trunk_bend": (-30, 30),
            "trunk_twist": (-40, 40),
            "hip_flexion": (-30, 125),
            "hip_abduction": (-10, 70),
            "hip_twist": (-40, 55),
            "knee_flexion": (0, 140),
        },
        pitch=(-40, 60),
        roll=(-30, 30),
        lift=(0, 500),
        weight=2.0,
    ),
)
"""The families of the training part."""
