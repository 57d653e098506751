"""Named outputs of the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, overload

from torch import Tensor

from poseact._utils.errors import PoseActError


class Pose(NamedTuple):
    """The pose of every frame, from one prediction block.

    Attributes:
        joints: ``(B, T, J, D)``; x and y in [0, 1] of the crop, and for D = 3 the depth z in
            [0, 1], where 0.5 is the depth of the root.
        confidence: ``(B, T, J)`` in (0, 1).
        heatmaps: ``(B, T, J, H, W)`` probability of each joint's place; sums to one over (H, W).
    """

    joints: Tensor
    confidence: Tensor
    heatmaps: Tensor


class Action(NamedTuple):
    """One action prediction for every clip.

    Attributes:
        log_probabilities: ``(B, A)``; their negative at the true class is the cross-entropy.
        maps: ``(B, A, t, j)`` class activation over coarse time and joints, before pooling.
    """

    log_probabilities: Tensor
    maps: Tensor

    @property
    def probabilities(self) -> Tensor:
        """``(B, A)``, sums to one."""
        return self.log_probabilities.exp()


class PosesOnDemand(Sequence[Pose]):
    """The poses of the blocks, each computed on first access.

    Args:
        read: Reads the pose of block k, counted from 0.
        count: Number of blocks.
    """

    def __init__(self, read: Callable[[int], Pose], count: int) -> None:
        self._read = cache(read)
        self._blocks = range(count)

    def __len__(self) -> int:
        return len(self._blocks)

    @overload
    def __getitem__(self, index: int) -> Pose: ...

    @overload
    def __getitem__(self, index: slice) -> list[Pose]: ...

    def __getitem__(self, index: int | slice) -> Pose | list[Pose]:
        if isinstance(index, slice):
            return [self._read(block) for block in self._blocks[index]]
        return self._read(self._blocks[index])


class Prediction(NamedTuple):
    """Output of a network.

    The last entry of every list is the answer; the earlier ones are for supervision.

    Attributes:
        poses: One :class:`Pose` per prediction block; a network folded for inference reads the
            earlier ones only when they are asked for.
        actions: Action predictions per stream, block by block: ``pose``, ``appearance`` and
            ``fused`` (CVPR'18) or ``fused`` alone (SPNet); empty for a network without actions.
        features: ``(B, T, C, H, W)`` visual features that action streams read.
        action_pose: The pose that the action streams read, None without actions.
        appearance: ``(B, T, J, C)`` those features gathered at each joint, None without actions.
    """

    poses: Sequence[Pose]
    actions: dict[str, list[Action]]
    features: Tensor
    action_pose: Pose | None = None
    appearance: Tensor | None = None

    def in_full_precision(self) -> Prediction:
        """The same with poses and actions, which the losses read, as 32-bit numbers."""
        return self._replace(
            poses=[Pose(*(value.float() for value in pose)) for pose in self.poses],
            actions={
                stream: [Action(*(value.float() for value in block)) for block in blocks]
                for stream, blocks in self.actions.items()
            },
        )

    @property
    def pose(self) -> Pose:
        """Pose of the last block that ran."""
        return self.poses[-1]

    @property
    def action(self) -> Action:
        """The final action prediction.

        Raises:
            PoseActError: No action was predicted.
        """
        if "fused" not in self.actions:
            raise PoseActError(
                "No action was predicted: the network has no labels, or it was stopped before its "
                "first action block; create it with labels and run more blocks."
            )
        return self.actions["fused"][-1]
