"""Named joints: limbs, mirror pairs and conversions by name.

Joints are addressed by name everywhere; an index is only ever obtained from a :class:`Skeleton`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from poseact._utils.boundary import within
from poseact._utils.errors import PoseActError

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
            return self._places[joint]
        except KeyError:
            raise PoseActError(
                f"Skeleton {self.name} has no joint {joint!r}; "
                f"its joints are {', '.join(self.joints)}."
            ) from None

    @cached_property
    def _places(self) -> dict[str, int]:
        return {joint: place for place, joint in enumerate(self.joints)}

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        """The limbs as pairs of indices."""
        return tuple((self.index(a), self.index(b)) for a, b in self.limbs)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """Permutation that swaps left and right joints, to follow a mirrored image."""
        return tuple(self.index(mirrored(joint)) for joint in self.joints)

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
            ``(..., K, D)`` coordinates (0 where invalid) and ``(..., K)`` boolean validity. Joints
            whose place is no number or beyond any picture are invalid.

        Raises:
            PoseActError: The arrays are for another number of joints.
        """
        if not joints.shape[-2] == valid.shape[-1] == len(self):
            raise PoseActError(
                f"{joints.shape[-2]} joints and {valid.shape[-1]} flags were given for the "
                f"{len(self)} joints of {self.name}; give one of each per joint."
            )
        valid = valid & within(joints)
        out = np.zeros((*joints.shape[:-2], len(target), joints.shape[-1]), joints.dtype)
        out_valid = np.zeros((*valid.shape[:-1], len(target)), bool)
        for k, joint in enumerate(target.joints):
            source = [self.index(end) for end in self._sources(joint)]
            if not source:
                continue
            out[..., k, :] = joints[..., source, :].mean(-2)
            out_valid[..., k] = valid[..., source].all(-1)
        out[~out_valid] = 0
        return out, out_valid

    def unfillable(self, target: Skeleton) -> tuple[str, ...]:
        """The target's joints that :meth:`convert` can never fill from this skeleton."""
        return tuple(joint for joint in target.joints if not self._sources(joint))

    def renamed(self, name: str, names: Mapping[str, str]) -> Skeleton:
        """The same skeleton under a new name, with some joints renamed.

        Args:
            name: Of the new skeleton.
            names: Old joint names to new ones; the others stay.
        """
        for joint in names:
            self.index(joint)
        return Skeleton(
            name,
            tuple(names.get(joint, joint) for joint in self.joints),
            tuple((names.get(a, a), names.get(b, b)) for a, b in self.limbs),
        )

    def _sources(self, joint: str) -> tuple[str, ...]:
        """Joints of this skeleton whose mean is the given one; empty if there are none."""
        ends = (joint,) if joint in self._places else MIDPOINTS.get(joint, ())
        return ends if all(end in self._places for end in ends) else ()

    @classmethod
    def generic(cls, num_joints: int) -> Skeleton:
        """A skeleton of ``num_joints`` joints without names, limbs or sides."""
        return cls(f"generic{num_joints}", tuple(f"joint{i}" for i in range(num_joints)))


def mirrored(joint: str) -> str:
    """Name of the joint on the other side; one of the centre is its own."""
    side, _, rest = joint.partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return f"{other}_{rest}" if other else joint
