"""Motion capture in the BVH format of Biovision: a tree of joints with rotations over time."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.sequences.common import depth_from_root, files_below, read_each
from poseact.skeleton import PA16, Skeleton

LEG_MM = 835.0
"""Thigh and shin of an adult of 1.7 m (Winter, 2009: 0.491 of the height)."""

_CENTIMETRE = 10.0
_MOST_JOINTS = 2000
_LEAST_PLACES = 10_000
_WHAT = "a BVH file"

# Names of joints in rigs, without the side, in lower case; the first one found is used.
# Most call the shoulder joint an arm, and "shoulder" is then the collar bone.
_NAMES = {
    "shoulder": ("arm", "uparm", "upperarm", "shoulder"),
    "elbow": ("forearm", "loarm", "lowarm", "lowerarm", "elbow"),
    "wrist": ("hand", "wrist"),
    "hip": ("upleg", "upperleg", "thigh", "hip"),
    "knee": ("leg", "loleg", "lowleg", "lowerleg", "shin", "calf", "knee"),
    "ankle": ("foot", "ankle"),
}
_SIDES = ("left", "right")


@dataclass
class _Joint:
    name: str
    parent: int
    offset: np.ndarray
    channels: list[str] = field(default_factory=list)


def read_bvh(
    path: Path, *, up: Literal["y", "z"] | None = None, unit_mm: float | None = None
) -> list[PoseSequence]:
    """Read BVH files, seen against the z axis, or along the y axis if z points upwards.

    Where a rig's limbs have common names (``LeftArm``, ``mixamorig:LeftForeArm``, ``Foot_R``,
    ``RightKnee`` …) the sequence has the skeleton ``pa16``; else all joints of the file in their
    order, without names. The format states neither units nor axes.

    Args:
        path: A file, or a folder of them; those that cannot be read are left out with a warning.
        up: The axis that points upwards; by default the one along which the shoulders of a named
            rig at rest are above its ankles, y for others.
        unit_mm: Length of the file's unit; by default such that a named rig's leg measures
            ``LEG_MM``, a centimetre for others.

    Raises:
        PoseActError: There is no file, all are cut short or not BVH, or an option is none of these.
    """
    if up not in ("y", "z", None) or not (unit_mm is None or unit_mm > 0):
        raise PoseActError(
            f"up={up!r} and unit_mm={unit_mm} were given; give y or z, and a length above 0."
        )
    files = files_below(path, (".bvh",), _WHAT)
    return read_each(path, files, lambda name, file: _read(name, file, up, unit_mm))


def _read(name: str, file: Path, up: str | None, unit_mm: float | None) -> PoseSequence:
    with one_sentence(
        f"{file} is cut short or not BVH ({{error}}); give {_WHAT} with HIERARCHY and MOTION."
    ):
        # Names may be in any encoding.
        text = file.read_text(encoding="utf-8", errors="replace")
        hierarchy, *rest = re.split(r"^\s*MOTION\s*$", text, maxsplit=1, flags=re.MULTILINE)
        motion = "".join(rest)
        rig = _hierarchy(hierarchy)
        step, values = _motion(motion, sum(len(joint.channels) for joint in rig))
        places = _places(rig, values)
    named = _named_joints(rig)
    if (up or _upwards(_rest(rig), named)) == "z":
        places = places[..., [0, 2, 1]] * (1, 1, -1)
    mm = places * (1, -1, -1) * (unit_mm or _unit_mm(places, named))
    if named:
        layout = Skeleton("bvh", tuple(named))
        chosen = mm[:, list(named.values())]
        joints, known = layout.convert(chosen, np.ones(chosen.shape[:2], bool), PA16)
        skeleton, root = PA16, PA16.index("pelvis")
    else:
        joints, known = mm, np.ones(mm.shape[:2], bool)
        skeleton, root = Skeleton.generic(len(rig)), 0
    return PoseSequence(
        name=name,
        skeleton=skeleton,
        times=np.arange(len(values)) * step,
        joints=np.where(known[..., None], depth_from_root(joints, root), 0).astype(np.float32),
        confidence=known.astype(np.float32),
    )


def _hierarchy(text: str) -> list[_Joint]:
    """Joints and the ends of limbs, each after its parent."""
    rig: list[_Joint] = []
    open_joints: list[int] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word in ("ROOT", "JOINT", "End"):
            parent = open_joints[-1] if open_joints else -1
            # The rest of "End Site" names nothing.
            name = f"{rig[parent].name} end" if word == "End" else " ".join(rest)
            if len(rig) == _MOST_JOINTS:
                raise ValueError(f"it has more than {_MOST_JOINTS} joints")
            rig.append(_Joint(name, parent, np.zeros(3)))
            open_joints.append(len(rig) - 1)
        elif word == "OFFSET":
            rig[-1].offset = np.array(rest, np.float64).reshape(3)
        elif word == "CHANNELS":
            rig[-1].channels = rest[1:]
            if int(rest[0]) != len(rest) - 1:
                raise ValueError(f"it claims {rest[0]} channels where {len(rest) - 1} are named")
        elif word == "}":
            open_joints.pop()
    if not rig or open_joints:
        raise ValueError("its hierarchy is not complete")
    return rig


def _motion(text: str, channels: int) -> tuple[float, np.ndarray]:
    """Seconds from frame to frame, and values ``(N, channels)``."""
    match = re.match(r"\s*Frames:\s*(\d+)\s+Frame Time:\s*(\S+)\s+", text)
    if match is None:
        raise ValueError("its motion has no 'Frames:' and 'Frame Time:'")
    frames, step = int(match[1]), float(match[2])
    values = np.array(text[match.end() :].split(), np.float64)
    if not (frames > 0 and 0 < step < math.inf and values.size == frames * channels):
        raise ValueError(
            f"{values.size} numbers for {frames} frames of {channels} channels, "
            f"{step} seconds from each to the next"
        )
    return step, values.reshape(frames, channels)


def _require_place(rig: list[_Joint], values: np.ndarray) -> None:
    """Refuse a file that claims many more joints and frames than it has numbers."""
    places = len(rig) * len(values)
    if places > _LEAST_PLACES + 2 * values.size:
        raise ValueError(f"it claims {len(rig)} joints in {len(values)} frames")


def _rest(rig: list[_Joint]) -> np.ndarray:
    """Positions ``(J, 3)`` of the rest pose."""
    places = np.zeros((len(rig), 3))
    for j, joint in enumerate(rig):
        places[j] = joint.offset + (places[joint.parent] if joint.parent >= 0 else 0)
    return places


def _places(rig: list[_Joint], values: np.ndarray) -> np.ndarray:
    """Forward kinematics: places ``(N, J, 3)`` for values ``(N, channels)``.

    A joint's turns apply in the order of its channels, each about an axis that those before it have
    turned; channels of position stand in the place of the offset.
    """
    _require_place(rig, values)
    places = np.zeros((len(values), len(rig), 3))
    turns: list[Rotation] = []
    column = 0
    for j, joint in enumerate(rig):
        own = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        shift = np.tile(joint.offset, (len(values), 1))
        order, degrees = "", []
        for channel, value in zip(joint.channels, own.T, strict=True):
            if channel.endswith("position"):
                shift[:, "XYZ".index(channel[0])] = value
            else:
                order += channel[0]
                degrees.append(value)
        turn = Rotation.identity(len(values))
        if order:
            turn = Rotation.from_euler(order, np.stack(degrees, -1), degrees=True)
        if joint.parent >= 0:
            above = turns[joint.parent]
            shift, turn = places[:, joint.parent] + above.apply(shift), above * turn
        places[:, j] = shift
        turns.append(turn)
    return places


def _named_joints(rig: list[_Joint]) -> dict[str, int]:
    """Indices of the limbs' joints, and of neck and head if the rig has them, by our names.

    Empty if a joint of a limb is missing.
    """
    index: dict[str, int] = {}
    for j, joint in enumerate(rig):
        name = joint.name.split(":")[-1].lower()
        if not name.startswith("_"):  # helpers of MakeHuman's rigs
            index.setdefault(re.sub(r"[^a-z]", "", name), j)
    named = {}
    for side in _SIDES:
        for joint, words in _NAMES.items():
            forms = (
                form
                for word in words
                for form in (side + word, side[0] + word, word + side, word + side[0])
            )
            found = next((index[form] for form in forms if form in index), None)
            if found is None:
                return {}
            named[f"{side}_{joint}"] = found
    # A rig's head is where it turns on the neck; its end is the top.
    top = index.get("headend", index.get("head"))
    others = {"neck": index.get("neck"), "head": top}
    return named | {joint: j for joint, j in others.items() if j is not None}


def _upwards(rest: np.ndarray, named: dict[str, int]) -> str:
    if not named:
        return "y"
    shoulders, ankles = (
        rest[[named[f"{side}_{joint}"] for side in _SIDES]].mean(0)
        for joint in ("shoulder", "ankle")
    )
    height = abs(shoulders - ankles)
    return "y" if height[1] >= height[2] else "z"


def _unit_mm(places: np.ndarray, named: dict[str, int]) -> float:
    if not named:
        return _CENTIMETRE
    # Measured in the motion, since some files only contain the lengths of bones there.
    legs = np.stack(
        [
            places[:, [named[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")]]
            for side in _SIDES
        ]
    )
    length = float(np.linalg.norm(np.diff(legs, axis=2), axis=-1).sum(-1).mean())
    return LEG_MM / length if length > 0 else _CENTIMETRE
