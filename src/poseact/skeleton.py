"""Body skeletons: joint names, limbs, mirror pairs and conversions by name.

Joints are addressed by name everywhere; an index is only ever obtained from a :class:`Skeleton`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from poseact.errors import PoseActError

# Joints that are, by definition here, the middle of two others.
MIDPOINTS = {
    "pelvis": ("right_hip", "left_hip"),
    "thorax": ("right_shoulder", "left_shoulder"),
}


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of named joints.

    Attributes:
        name: Short name, such as ``pa16``.
        joints: Joint names in the order of the arrays; sides are ``left_…`` and ``right_…`` of the
            person, not of the image.
        limbs: Pairs of joint names that a drawing connects.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise PoseActError(
                f"Skeleton {self.name} names a joint twice in {self.joints}; give each joint once."
            )
        for limb in self.limbs:
            for joint in limb:
                self.index(joint)

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint in the arrays.

        Raises:
            PoseActError: There is no joint of this name.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            raise PoseActError(
                f"Skeleton {self.name} has no joint {joint!r}; "
                f"its joints are {', '.join(self.joints)}."
            ) from None

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        """The limbs as pairs of indices."""
        return tuple((self.index(a), self.index(b)) for a, b in self.limbs)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """Permutation that swaps left and right joints, to follow a mirrored image."""
        return tuple(self.index(_mirrored(joint)) for joint in self.joints)

    def side(self, joint: str) -> str:
        """``left``, ``right`` or ``centre``."""
        prefix = joint.split("_", maxsplit=1)[0]
        return prefix if prefix in ("left", "right") else "centre"

    def convert(
        self, joints: np.ndarray, valid: np.ndarray, target: Skeleton
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reorder joints into another skeleton by name.

        A joint that this skeleton lacks is invalid in the result, except the midpoints of
        ``MIDPOINTS``, which are valid where both of their ends are.

        Args:
            joints: ``(..., J, D)`` coordinates in this skeleton's order.
            valid: ``(..., J)`` boolean.
            target: The skeleton to convert to, with K joints.

        Returns:
            ``(..., K, D)`` coordinates (0 where invalid) and ``(..., K)`` boolean validity.
        """
        out = np.zeros((*joints.shape[:-2], len(target), joints.shape[-1]), joints.dtype)
        out_valid = np.zeros((*valid.shape[:-1], len(target)), bool)
        for k, joint in enumerate(target.joints):
            ends = (joint,) if joint in self.joints else MIDPOINTS.get(joint, ())
            if not ends or any(end not in self.joints for end in ends):
                continue
            source = [self.index(end) for end in ends]
            out[..., k, :] = joints[..., source, :].mean(-2)
            out_valid[..., k] = valid[..., source].all(-1)
        out[~out_valid] = 0
        return out, out_valid

    @classmethod
    def generic(cls, num_joints: int) -> Skeleton:
        """A skeleton of ``num_joints`` joints without names, limbs or sides."""
        return cls(f"generic{num_joints}", tuple(f"joint{i}" for i in range(num_joints)))


def _mirrored(joint: str) -> str:
    side, _, rest = joint.partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return f"{other}_{rest}" if other else joint


def _sided(*parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts for side in ("right", "left"))


_BODY_LIMBS = (
    ("pelvis", "thorax"),
    ("thorax", "neck"),
    ("neck", "head"),
    *(
        limb
        for side in ("right", "left")
        for limb in (
            ("thorax", f"{side}_shoulder"),
            (f"{side}_shoulder", f"{side}_elbow"),
            (f"{side}_elbow", f"{side}_wrist"),
            ("pelvis", f"{side}_hip"),
            (f"{side}_hip", f"{side}_knee"),
            (f"{side}_knee", f"{side}_ankle"),
        )
    ),
)

_TRUNK = ("pelvis", "thorax", "neck", "head")

PA16 = Skeleton(
    "pa16", (*_TRUNK, *_sided("shoulder", "elbow", "wrist", "hip", "knee", "ankle")), _BODY_LIMBS
)
PA17 = Skeleton("pa17", (*PA16.joints, "spine"), _BODY_LIMBS)
PA20 = Skeleton(
    "pa20",
    (*_TRUNK, *_sided("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot")),
    (
        *_BODY_LIMBS,
        *(
            limb
            for side in ("right", "left")
            for limb in ((f"{side}_wrist", f"{side}_hand"), (f"{side}_ankle", f"{side}_foot"))
        ),
    ),
)
LSP14 = Skeleton(
    "lsp14",
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "neck",
        "head",
    ),
    (
        *(limb for limb in _BODY_LIMBS if not set(limb) & {"pelvis", "thorax"}),
        ("neck", "right_shoulder"),
        ("neck", "left_shoulder"),
        ("right_shoulder", "right_hip"),
        ("left_shoulder", "left_hip"),
        ("right_hip", "left_hip"),
    ),
)

BLAZEPOSE33 = Skeleton(
    "blazepose33",
    (
        "nose",
        *(
            f"{side}_{part}"
            for side in ("left", "right")
            for part in ("eye_inner", "eye", "eye_outer")
        ),
        *(
            f"{side}_{part}"
            for part in (
                *("ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
                *("hip", "knee", "ankle", "heel", "foot_index"),
            )
            for side in ("left", "right")
        ),
    ),
    (
        ("right_shoulder", "left_shoulder"),
        ("right_hip", "left_hip"),
        *(
            (f"{side}_{start}", f"{side}_{end}")
            for side in ("right", "left")
            for start, end in (
                *(("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist")),
                *(("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"), ("heel", "foot_index")),
            )
        ),
    ),
)

SKELETONS = {skeleton.name: skeleton for skeleton in (PA16, PA17, PA20, LSP14, BLAZEPOSE33)}
