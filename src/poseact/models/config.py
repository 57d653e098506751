"""Base of all network configurations, and checks of their arguments."""

from dataclasses import dataclass, fields

from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.models.action import STREAMS
from poseact.models.base import Network
from poseact.skeleton import Skeleton

_HIGHEST = 2**14
"""Upper limit of integers without a limit of their own: ten times what any preset has."""

_HIGHEST_OF = {
    **dict.fromkeys(("num_blocks", "action_blocks", "pyramids"), 64),
    "levels": 10,
    "kernel": 31,
    "image_size": 1024,
    "frames": 1024,
}


@dataclass(frozen=True)
class NetworkConfig:
    """Typed description from which a network is built; see the subclasses for its shape.

    Raises:
        PoseActError: A value is of another type or out of range.
    """

    skeleton: Skeleton
    """Joints, in the order of the outputs."""
    labels: tuple[str, ...] = ()
    """Action names, in the order of the outputs; none for a pure pose network."""
    image_size: int = 256
    """Side of the square crop in px that the network was designed for."""
    frames: int = 1
    """Clip length T that it was designed for; any other works."""

    def __post_init__(self) -> None:
        if not isinstance(self.skeleton, Skeleton) or self.num_joints < 2:
            raise PoseActError(
                f"skeleton={self.skeleton!r} was given; give a Skeleton of at least 2 joints."
            )
        if not isinstance(self.labels, tuple) or not all(isinstance(a, str) for a in self.labels):
            raise PoseActError(f"labels={self.labels!r} was given; give a tuple of action names.")
        if self.num_actions == 1 or len(set(self.labels)) != self.num_actions:
            raise PoseActError(
                f"labels={self.labels!r} was given; give none, or at least 2 different ones."
            )
        for field in fields(self):
            if isinstance(field.default, int):
                self._check_number(field.name, field.default)

    def _check_number(self, name: str, default: int) -> None:
        value = getattr(self, name)
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise PoseActError(f"{name}={value!r} was given; give True or False.")
            return
        lowest, highest = self.lowest().get(name, 1), _HIGHEST_OF.get(name, _HIGHEST)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise PoseActError(
                f"{name}={value!r} was given; give a whole number, {lowest} or more."
            )
        if value > highest:
            raise PoseActError(f"{name}={value!r} was given; give {highest} or less.")

    def lowest(self) -> dict[str, int]:
        return {}

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.skeleton)

    @property
    def num_actions(self) -> int:
        """A; 0 for a pure pose network."""
        return len(self.labels)

    @property
    def dims(self) -> int:
        """Coordinates per joint: 2, or 3 with depth."""
        raise NotImplementedError

    def build(self) -> Network:
        raise NotImplementedError


HEADS = ("blocks", "temporal", "prototypes")
"""Kinds of action heads: the paper's blocks, :class:`WindowHeads`, or their prototypes alone."""


def check_heads(heads: str) -> None:
    """Refuse an unknown kind of action heads.

    Raises:
        PoseActError: There is no such kind.
    """
    if heads not in HEADS:
        raise PoseActError(f"heads={heads!r} was given; give one of {', '.join(HEADS)}.")


def check_streams(streams: tuple[str, ...]) -> None:
    """Check the names of the action streams.

    Raises:
        PoseActError: None is given, or another than pose and appearance, or one twice.
    """
    if streams not in (STREAMS, STREAMS[:1], STREAMS[1:]):
        raise PoseActError(
            f"streams={streams!r} was given; give {STREAMS}, or a tuple of one of them."
        )


def checked_frames(frames: Tensor) -> Tensor:
    """Return the frames if their shape and type are valid.

    Raises:
        PoseActError: They are not ``(B, T, 3, H, W)`` floating-point numbers.
    """
    if frames.ndim != 5 or frames.shape[2] != 3 or 0 in frames.shape:
        raise PoseActError(
            f"Frames of shape {tuple(frames.shape)} were given; give (B, T, 3, H, W), "
            "with T = 1 for a still image."
        )
    if not frames.is_floating_point():
        raise PoseActError(
            f"Frames of type {frames.dtype} were given; give floating-point RGB in [-1, 1], "
            "which is pixels / 127.5 - 1."
        )
    return frames


def checked_blocks(num_blocks: int | None, available: int) -> int:
    """Return how many prediction blocks to run.

    Raises:
        PoseActError: More than there are, less than one, or no whole number.
    """
    if num_blocks is None:
        return available
    if not isinstance(num_blocks, int) or not 1 <= num_blocks <= available:
        raise PoseActError(
            f"num_blocks={num_blocks} was given, but this network has {available} prediction "
            f"blocks; give a whole number from 1 to {available}."
        )
    return num_blocks
