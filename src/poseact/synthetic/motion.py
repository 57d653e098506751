"""Motions: sequences of joint angles, recorded or drawn from families of poses."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np

from poseact.skeleton import mirrored as other_side
from poseact.synthetic.angles import ANGLES, LIMITS, MIRROR, SIDE_ANGLES, rotation
from poseact.synthetic.body import Body, template
from poseact.synthetic.families import Family, Part, angles_at_ease, families

RECORDED_SHARE = 0.15
HELD_OUT = ("dab", "jumping_jacks", "zombieWalk1")
"""Recordings of the validation part; the others are of the training part."""

CLIP_FPS = 15.0
_RECORDED_FPS = 24.0
_SECONDS = (0.5, 2.0)
"""How long a drawn motion takes from one end of it to the other."""

_TRIES = 12
_SIDES = ("left", "right")


@dataclass(frozen=True)
class Motion:
    """T consecutive poses.

    Attributes:
        name: Where they come from.
        angles: ``(T, A)`` degrees, see :data:`~poseact.synthetic.angles.ANGLES`.
        roots: ``(T, 3, 3)`` turns of the pelvis.
        lift: Height above the floor in mm.
    """

    name: str
    angles: np.ndarray
    roots: np.ndarray
    lift: float = 0.0


@cache
def recordings() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Angles ``(T, A)`` and rotations of the pelvis ``(T, 3, 3)`` of the recordings, by name."""
    with (files("poseact") / "assets/makehuman/motions.npz").open("rb") as file:
        data = {key: array.astype(np.float64) for key, array in np.load(file).items()}
    names = sorted({key.split("/")[0] for key in data})
    return {name: (data[f"{name}/angles"], data[f"{name}/root"]) for name in names}


def draw_motion(rng: np.random.Generator, part: Part, frames: int, body: Body) -> Motion:
    """A random motion of a part, facing any direction.

    Args:
        rng: Random generator.
        part: ``train`` or ``validation``; they have no recording and no family in common.
        frames: How many poses.
        body: Whose limbs must not pass through each other.
    """
    recorded = rng.random() < RECORDED_SHARE
    motion = _recorded(rng, part, frames) if recorded else _drawn(rng, part, frames, body)
    if rng.random() < 0.5:
        motion = mirrored(motion)
    turn = rotation("y", rng.uniform(0, 360))
    return Motion(motion.name, motion.angles, turn @ motion.roots, motion.lift)


def mirrored(motion: Motion) -> Motion:
    """The mirrored motion."""
    columns = [ANGLES.index(other_side(name)) for name in ANGLES]
    turned = {f"{part}_{way}" for part in ("trunk", "neck") for way in ("bend", "twist")}
    signs = np.array([-1 if name in turned else 1 for name in ANGLES])
    return Motion(
        motion.name, motion.angles[:, columns] * signs, MIRROR @ motion.roots @ MIRROR, motion.lift
    )


def _recorded(rng: np.random.Generator, part: Part, frames: int) -> Motion:
    names = [name for name in recordings() if (name in HELD_OUT) == (part == "validation")]
    name = names[rng.integers(len(names))]
    angles, roots = recordings()[name]
    start = rng.integers(len(angles))
    steps = start + np.round(np.arange(frames) * _RECORDED_FPS / CLIP_FPS).astype(int)
    # After its end a recording is played backwards.
    period = max(2 * len(angles) - 2, 1)
    steps = steps % period
    steps = np.where(steps < len(angles), steps, period - steps)
    angles = angles[steps].copy()
    for side in _SIDES:  # the recordings have no hands
        for joint in ("pronation", "wrist_flexion", "grip"):
            angles[:, ANGLES.index(f"{side}_{joint}")] = rng.uniform(*angles_at_ease()[joint])
    return Motion(name, angles, roots[steps])


def _drawn(rng: np.random.Generator, part: Part, frames: int, body: Body) -> Motion:
    choices = families(part)
    weights = np.array([family.weight for family in choices])
    family = choices[rng.choice(len(choices), p=weights / weights.sum())]
    ends = []
    for _ in range(_TRIES):
        ends = [_draw_pose(rng, family) for _ in range(1 if frames == 1 else 2)]
        if not any(_tangled(body, angles) for angles, _ in ends):
            break
    phase = rng.uniform(0, 1) + np.arange(frames) / (CLIP_FPS * rng.uniform(*_SECONDS))
    share = (1 - np.cos(np.pi * phase)) / 2 if frames > 1 else np.zeros(1)
    angles, tilt = (a + share[:, None] * (b - a) for a, b in zip(ends[0], ends[-1], strict=True))
    roots = np.stack([rotation("z", roll) @ rotation("x", pitch) for pitch, roll in tilt])
    if family.level:
        roots = np.stack(
            [_levelled(body, a, r, family.level) for a, r in zip(angles, roots, strict=True)]
        )
    return Motion(family.name, angles, roots, rng.uniform(*family.lift))


def _draw_pose(rng: np.random.Generator, family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Angles ``(A,)`` and pitch and roll ``(2,)``, in degrees."""
    angles = {}
    for name, (low, high) in LIMITS.items():
        side, _, joint = name.partition("_")
        joint = joint if joint in SIDE_ANGLES and side in _SIDES else name
        given = family.angles
        if f"both_{joint}" in given:
            a, b = given[f"both_{joint}"]
            other = angles.get(other_side(name))
            value = rng.uniform(a, b) if other is None else other + rng.normal(0, 4)
        else:
            a, b = given.get(name, given.get(joint, angles_at_ease()[joint]))
            value = rng.uniform(a, b)
        angles[name] = min(max(value, low), high)
    tilt = np.array([rng.uniform(*family.pitch), rng.uniform(*family.roll)])
    return np.array([angles[name] for name in ANGLES]), tilt


def _levelled(
    body: Body, angles: np.ndarray, root: np.ndarray, ends: tuple[str, str]
) -> np.ndarray:
    """Tip the pelvis about its left-right axis until two joints are equally high."""
    joints = body.joint_places(angles, root)
    a, b = (joints[[template().joint(f"{end}.{side}") for side in "LR"]].mean(0) for end in ends)
    rise, run = a[1] - b[1], a[2] - b[2]
    tip = np.degrees(np.arctan2(rise, abs(run))) * (1 if run > 0 else -1)
    return rotation("x", tip) @ root


def _tangled(body: Body, angles: np.ndarray) -> bool:
    """Whether limbs pass through each other, the trunk or the head."""
    joints = body.joint_places(angles, np.eye(3))

    def line(*names: str) -> np.ndarray:
        """Points along the bones between joints of the rig, without their starts."""
        ends = joints[[template().joint(name) for name in names]]
        steps = np.linspace(0.15, 1, 7)[:, None]
        return np.concatenate([a + steps * (b - a) for a, b in pairwise(ends)])

    arms, thighs, shins = (
        [line(*(f"{name}.{side}" for name in names)) for side in "LR"]
        for names in (
            ("lowerarm01", "wrist", "finger3-3"),
            ("upperleg01", "lowerleg01"),
            ("lowerleg01", "foot"),
        )
    )
    trunk, head = line("spine05", "spine02", "neck01"), line("head", "neck03")
    # Pairs of lines with their least distance in mm.
    pairs = [(*arms, 70.0), (*shins, 100.0), (thighs[0][3:], thighs[1][3:], 110.0)]
    for arm in arms:
        pairs += [(arm, trunk, 130.0), (arm, head, 110.0)]
        pairs += [(arm, leg, 95.0) for leg in (*thighs, *shins)]
    for own, other in ((0, 1), (1, 0)):
        pairs += [(shins[own], thighs[other], 105.0), (shins[own], trunk, 150.0)]
    return any(np.linalg.norm(a[:, None] - b, axis=-1).min() < least for a, b, least in pairs)
