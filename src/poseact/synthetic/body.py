"""The MakeHuman body: shapes, and its mesh posed by joint angles."""

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np

from poseact.synthetic.angles import ANGLES, MIRROR, arm_direction, bend, rotation, swing

MM = 100.0
"""Millimetres in the mesh's unit, the decimetre."""

_X = np.array([1.0, 0.0, 0.0])
_DOWN = np.array([0.0, -1.0, 0.0])

# Share of the total bending at each bone of the trunk and the neck, from below.
_TRUNK = {"spine05": 0.15, "spine04": 0.35, "spine03": 0.55, "spine02": 0.8, "spine01": 1.0}
_NECK = {"neck01": 0.3, "neck02": 0.5, "neck03": 0.75, "head": 1.0}

# The shoulder blade follows the upper arm by about a third of its way above this elevation.
_RHYTHM_START, _RHYTHM = 40.0, 0.25


@dataclass(frozen=True)
class Template:
    """The mesh, the rig and the shape targets, V vertices, F quads, B bones, J joints, T targets.

    Joints are the heads of the bones in their order, then the balls of the feet.
    Coordinates are in dm with x to the body's left, y up and z forward.
    """

    vertices: np.ndarray  # (V, 3)
    quads: np.ndarray  # (F, 4)
    groups: np.ndarray  # (F,)
    group_names: tuple[str, ...]
    joints: np.ndarray  # (J, 3)
    joint_names: tuple[str, ...]
    parents: np.ndarray  # (B,)
    bones: np.ndarray  # (V, 4)
    weights: np.ndarray  # (V, 4)
    target_names: tuple[str, ...]
    target_vertices: np.ndarray  # (T, V, 3)
    target_joints: np.ndarray  # (T, J, 3)

    @cached_property
    def bone_names(self) -> tuple[str, ...]:
        """The joint names that are bones."""
        return self.joint_names[: len(self.parents)]

    def joint(self, name: str) -> int:
        """Row of a joint or bone."""
        return self.joint_names.index(name)

    @cached_property
    def vertex_groups(self) -> np.ndarray:
        """``(V,)`` number of the group of faces that each vertex belongs to."""
        out = np.zeros(len(self.vertices), int)
        for number in range(len(self.group_names)):
            out[self.quads[self.groups == number]] = number
        return out

    def group(self, name: str) -> np.ndarray:
        """Rows of the vertices of a group of faces."""
        return np.flatnonzero(self.vertex_groups == self.group_names.index(name))

    @cached_property
    def skin(self) -> np.ndarray:
        """``(V, B)`` weight of every bone on every vertex."""
        out = np.zeros((len(self.vertices), len(self.parents)), np.float32)
        np.add.at(out, (np.arange(len(out))[:, None], self.bones), self.weights)
        return out

    @cached_property
    def corners(self) -> np.ndarray:
        """``(V, 8)`` quads around each vertex, padded with F."""
        order = np.argsort(self.quads, axis=None, kind="stable")
        vertex = self.quads.ravel()[order].astype(int)
        start = np.searchsorted(vertex, np.arange(len(self.vertices)))
        slot = np.arange(len(vertex)) - start[vertex]
        out = np.full((len(self.vertices), 8), len(self.quads))
        keep = slot < 8
        out[vertex[keep], slot[keep]] = order[keep] // 4
        return out

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """``(V, 3)`` outward normals of length 1."""
        a, b, c, d = (vertices[self.quads[:, i]] for i in range(4))
        faces = np.concatenate((np.cross(c - a, d - b), np.zeros((1, 3), vertices.dtype)))
        out = np.zeros_like(vertices)
        for column in self.corners.T:
            out += faces[column]
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


@cache
def template() -> Template:
    """The body that ships with the package."""
    with (files("poseact") / "assets/makehuman/body.npz").open("rb") as file:
        data = dict(np.load(file))
    unit = data.pop("target_unit")
    return Template(
        **{
            **data,
            "quads": data["quads"].astype(np.int32),
            "weights": data["weights"].astype(np.float32),
            "target_vertices": data["target_vertices"] * unit,
            **{
                key: tuple(str(name) for name in data[key])
                for key in ("group_names", "joint_names", "target_names")
            },
        }
    )


@dataclass(frozen=True)
class Shape:
    """Shape parameters of a body.

    Attributes:
        targets: Weight of each target by name.
        height: Factor of the whole body.
        leg: Factor of the legs' length.
        arm: Factor of the arms' length.
    """

    targets: dict[str, float]
    height: float = 1.0
    leg: float = 1.0
    arm: float = 1.0

    def described(self) -> dict[str, float]:
        """All numbers by name."""
        numbers = {**self.targets, "height": self.height, "leg": self.leg, "arm": self.arm}
        return {name: round(value, 3) for name, value in numbers.items()}


@dataclass(frozen=True)
class Posed:
    """A body in a pose, in mm, with y up.

    Attributes:
        vertices: ``(V, 3)``.
        normals: ``(V, 3)`` of length 1.
        joints: ``(J, 3)`` as in :class:`Template`.
    """

    vertices: np.ndarray
    normals: np.ndarray
    joints: np.ndarray


class Body:
    """One person's body.

    Args:
        shape: What the person is like.
        padding: ``(V,)`` mm that clothes and hair stand off the skin.
    """

    def __init__(self, shape: Shape, padding: np.ndarray | None = None) -> None:
        base = template()
        weights = np.array([shape.targets.get(name, 0.0) for name in base.target_names], np.float32)
        vertices = base.vertices + np.tensordot(weights, base.target_vertices, 1)
        joints = base.joints + np.tensordot(weights, base.target_joints, 1)
        vertices, joints = _stretched(vertices, joints, shape)
        self.normals = base.normals(vertices)
        if padding is not None:
            vertices = vertices + self.normals * (padding[:, None] / MM)
        self.vertices, self.joints = vertices * shape.height, joints * shape.height
        self._aligned = {side: self._alignments(side) for side in "LR"}

    def pose(self, angles: np.ndarray, root: np.ndarray) -> Posed:
        """Pose the mesh by linear blend skinning.

        Args:
            angles: ``(A,)`` degrees, see :data:`~poseact.synthetic.angles.ANGLES`.
            root: ``(3, 3)`` turn of the pelvis.
        """
        base = template()
        matrices, places = self._bones(angles, root)
        shifts = places - np.einsum("bij,bj->bi", matrices, self.joints[: len(matrices)])
        affine = np.concatenate((matrices, shifts[..., None]), -1).reshape(-1, 12)
        blend = (base.skin @ affine.astype(np.float32)).reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", blend[..., :3], self.vertices) + blend[..., 3]
        normals = np.einsum("vij,vj->vi", blend[..., :3], self.normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        joints = self._with_balls(matrices, places)
        return Posed(vertices * MM, normals.astype(np.float32), joints * MM)

    def joint_places(self, angles: np.ndarray, root: np.ndarray) -> np.ndarray:
        """``(J, 3)`` joints of :meth:`pose` in mm, without the mesh."""
        return self._with_balls(*self._bones(angles, root)) * MM

    def _bones(self, angles: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations ``(B, 3, 3)`` and heads ``(B, 3)`` in dm of the bones."""
        base = template()
        turns = self._turns(dict(zip(ANGLES, angles.tolist(), strict=True)), root)
        matrices = np.stack([turns[name] for name in base.bone_names])
        places = np.zeros((len(matrices), 3))
        for bone, parent in enumerate(base.parents):
            if parent >= 0:
                offset = self.joints[bone] - self.joints[parent]
                places[bone] = places[parent] + matrices[parent] @ offset
        return matrices, places

    def _with_balls(self, matrices: np.ndarray, places: np.ndarray) -> np.ndarray:
        balls = []
        for side in "LR":
            foot, ball = template().joint(f"foot.{side}"), template().joint(f"ball.{side}")
            balls.append(places[foot] + matrices[foot] @ (self.joints[ball] - self.joints[foot]))
        return np.concatenate((places, balls))

    def _alignments(self, side: str) -> dict[str, np.ndarray]:
        """Rotations ``(3, 3)`` of the limbs from the mesh's pose to the T-pose."""

        def along(a: str, b: str, target: np.ndarray) -> np.ndarray:
            ends = [self.joints[template().joint(f"{name}.{side}")] for name in (a, b)]
            direction = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
            return swing(direction, target)

        out = _X if side == "L" else -_X
        return {
            "upperarm": along("upperarm01", "lowerarm01", out),
            "lowerarm": along("lowerarm01", "wrist", out),
            "hand": along("wrist", "finger3-1", out),
            "upperleg": along("upperleg01", "lowerleg01", _DOWN),
            "lowerleg": along("lowerleg01", "foot", _DOWN),
        }

    def _turns(self, angles: dict[str, float], root: np.ndarray) -> dict[str, np.ndarray]:
        """Rotation ``(3, 3)`` of every bone from the mesh's pose."""
        out = {"root": root, "pelvis.L": root, "pelvis.R": root}
        trunk = [angles[f"trunk_{name}"] for name in ("flexion", "bend", "twist")]
        neck = [angles[f"neck_{name}"] for name in ("flexion", "bend", "twist")]
        out |= {bone: root @ bend(*(a * share for a in trunk)) for bone, share in _TRUNK.items()}
        chest = out["spine01"]
        out |= {bone: chest @ bend(*(a * share for a in neck)) for bone, share in _NECK.items()}
        for side, word, mirror in (("L", "left", np.eye(3)), ("R", "right", MIRROR)):
            own = {k.removeprefix(f"{word}_"): v for k, v in angles.items() if k.startswith(word)}
            aligned = self._aligned[side]
            for base, local in (
                (chest, _arm_turns(own)),
                (root, _leg_turns(own)),
            ):
                for bone, (part, turn) in local.items():
                    rest = aligned.get(part, np.eye(3))
                    out[f"{bone}.{side}"] = base @ mirror @ turn @ mirror @ rest
        return out


def _arm_turns(angles: dict[str, float]) -> dict[str, tuple[str, np.ndarray]]:
    """Alignment and rotation ``(3, 3)`` of the bones of a left arm, in the chest's axes."""
    elevation = angles["arm_elevation"]
    lift = rotation("z", max(elevation - _RHYTHM_START, 0) * _RHYTHM)
    upper = swing(_X, arm_direction(elevation, angles["arm_plane"]))
    out = {"clavicle": ("", lift), "shoulder01": ("", lift)}
    for bone, share in (("upperarm01", 0.4), ("upperarm02", 1.0)):
        out[bone] = ("upperarm", upper @ rotation("x", -angles["arm_twist"] * share))
    elbow = out["upperarm02"][1] @ rotation("y", -angles["elbow_flexion"])
    for bone, share in (("lowerarm01", 0.2), ("lowerarm02", 0.7)):
        out[bone] = ("lowerarm", elbow @ rotation("x", angles["pronation"] * share))
    hand = elbow @ rotation("x", angles["pronation"]) @ rotation("z", -angles["wrist_flexion"])
    out |= dict.fromkeys(("wrist", *(f"metacarpal{i}" for i in range(1, 5))), ("hand", hand))
    for finger in range(1, 6):
        for knuckle in range(1, 4):
            curl = angles["grip"] * knuckle * (0.3 if finger == 1 else 1.0)
            out[f"finger{finger}-{knuckle}"] = ("hand", hand @ rotation("z", -curl))
    return out


def _leg_turns(angles: dict[str, float]) -> dict[str, tuple[str, np.ndarray]]:
    """Alignment and rotation ``(3, 3)`` of the bones of a left leg, in the pelvis's axes."""
    hip = rotation("x", -angles["hip_flexion"]) @ rotation("z", angles["hip_abduction"])
    out = {
        bone: ("upperleg", hip @ rotation("y", angles["hip_twist"] * share))
        for bone, share in (("upperleg01", 0.4), ("upperleg02", 1.0))
    }
    knee = out["upperleg02"][1] @ rotation("x", angles["knee_flexion"])
    out |= dict.fromkeys(("lowerleg01", "lowerleg02"), ("lowerleg", knee))
    out["foot"] = ("", knee @ rotation("x", -angles["ankle_flexion"]))
    return out


def _stretched(
    vertices: np.ndarray, joints: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """Lengthen or shorten the limbs of a body in the mesh's pose."""
    base = template()
    points = np.concatenate((vertices, joints))
    hip = joints[base.joint("upperleg01.L")][1]
    below = np.minimum(points[:, 1] - hip, 0)
    shift = np.zeros_like(points)
    arms = np.zeros((len(points), 2), bool)
    for column, side in enumerate("LR"):
        start, end = (joints[base.joint(f"{name}.{side}")] for name in ("upperarm01", "wrist"))
        axis = (end - start) / np.linalg.norm(end - start)
        along = (points - start) @ axis
        # The arms alone reach out beyond the shoulders.
        beyond = np.maximum(along, 0) * (np.abs(points[:, 0]) > abs(start[0]))
        arms[:, column] = (beyond > 0) & (np.sign(points[:, 0]) == np.sign(start[0]))
        near = np.linalg.norm(points - start - along[:, None] * axis, axis=1) < 1.5
        arms[:, column] &= near
        shift += np.where(arms[:, column, None], (shape.arm - 1) * beyond[:, None] * axis, 0)
    shift[:, 1] += np.where(arms.any(1), 0, (shape.leg - 1) * below)
    points = points + shift
    return points[: len(vertices)].astype(np.float32), points[len(vertices) :]
